package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// Store keeps artifacts below one root. Several stores, in several processes, may share a root and a database.
type Store struct {
	db      *sqldb.DB
	bucket  bucket
	options Options
	roots   []string // the root's absolute paths, as written and with its links resolved
	beside  *beside  // nil when new experiments keep their files in the root
	proxied string   // what URLs of this server's proxy begin with, when new experiments have those
	log     *slog.Logger
	turns   turns // of conditional PUTs
}

// Options says where artifacts are and whom they belong to.
type Options struct {
	// Root is where all artifacts are: a local folder, which is made when it is not there, or s3://bucket/prefix and the
	// like, see openCloud.
	Root string
	// Beside is where new experiments put their files, when that is another place than Root. A local folder is opened for
	// the runs and models that are there, and a URL of this server's proxy is Root; anything else is left to clients.
	Beside string
	// Cloud says how object stores are reached.
	Cloud CloudOptions
	// Runs, Models and Versions find the artifacts of runs, of logged models and of model versions.
	Runs     RunFinder
	Models   ModelFinder
	Versions VersionFinder
	// Disabled turns the proxy off, as --no-serve-artifacts does: its routes answer 503. Listings and downloads of runs
	// go on.
	Disabled bool
	// UploadStall is how long an upload may stand still before it is dropped; two minutes when 0.
	UploadStall time.Duration
	Log         *slog.Logger // slog.Default() when nil
}

// RunFinder tells where a run's artifacts are and which experiment it belongs to; an unknown run is
// RESOURCE_DOES_NOT_EXIST.
type RunFinder interface {
	RunArtifacts(ctx context.Context, runID string) (artifactURI, experimentID string, err error)
}

// VersionFinder tells where a model version's files are; an unknown version is RESOURCE_DOES_NOT_EXIST.
type VersionFinder interface {
	VersionArtifacts(ctx context.Context, name, version string) (artifactURI string, err error)
}

// New opens the store and brings its table up to date.
func New(ctx context.Context, db *sqldb.DB, o Options) (*Store, error) {
	if o.Root == "" {
		return nil, fmt.Errorf("artifact store: no root is given")
	}
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	s := &Store{db: db, options: o, log: o.Log}
	if strings.Contains(o.Root, "://") {
		b, err := openCloud(ctx, o.Root, o.Cloud)
		if err != nil {
			return nil, err
		}
		s.bucket = b
	} else if err := s.openFolder(o.Root); err != nil {
		return nil, err
	}
	s.beside, s.proxied = newBeside(o.Beside, s.roots), ownProxy(o.Beside)
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.options.UploadStall == 0 {
		s.options.UploadStall = 2 * time.Minute
	}
	return s, nil
}

func (s *Store) openFolder(dir string) error {
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if s.bucket, err = openDisk(root, time.Now()); err != nil {
		return err
	}
	s.roots = []string{root}
	if resolved, err := filepath.EvalSymlinks(root); err == nil && resolved != root {
		s.roots = append(s.roots, resolved)
	}
	return nil
}

// Close lets go of the root; requests under way fail.
func (s *Store) Close() error {
	err := s.bucket.close()
	if s.beside != nil {
		err = errors.Join(err, s.beside.close())
	}
	return err
}

// Info is what is known of a file.
type Info struct {
	Size    int64
	ModTime time.Time
	SHA256  string // lower-case hex; empty when the file was changed behind the store's back
	Tag     string // what an object store calls this version of the file
}

// ETag is a strong entity tag: two files with the same tag have the same bytes.
func (i Info) ETag() string {
	if i.SHA256 != "" {
		return `"` + i.SHA256 + `"`
	}
	if i.Tag != "" {
		sum := sha256.Sum256([]byte(i.Tag)) // other text than a SHA-256 of the content: 32 digits
		return `"` + hex.EncodeToString(sum[:16]) + `"`
	}
	return `"` + strconv.FormatInt(i.Size, 36) + "-" + strconv.FormatInt(i.ModTime.UnixNano(), 36) + `"`
}

// Expect is what a caller says that a stream holds; it is checked before the file exists.
type Expect struct {
	Size   int64  // in bytes; negative when not known
	SHA256 []byte // nil when not known
}

// Put stores a file, replacing what was there. When it returns nil the file survives a power cut; otherwise nothing has
// changed. A wrong size or digest is INVALID_PARAMETER_VALUE, a full disk is INSUFFICIENT_STORAGE.
func (s *Store) Put(ctx context.Context, path string, r io.Reader, expect Expect) (Info, error) {
	key, err := keyOfText(path)
	if err != nil {
		return Info{}, err
	}
	return s.put(ctx, key, r, expect)
}

func (s *Store) put(ctx context.Context, key string, r io.Reader, expect Expect) (Info, error) {
	if key == "" {
		return Info{}, errInvalidPath
	}
	b, inside := s.at(key)
	f, err := b.put(ctx, inside, r, s.checkAndRecord(ctx, key, expect))
	if err != nil {
		return Info{}, err
	}
	if f.tag != "" && !f.mtime.IsZero() {
		// The store has named the file only now. The row just saves hashing again, and the file is there without it.
		if err := s.record(ctx, key, f); err != nil {
			s.log.WarnContext(ctx, "artifact digest not recorded", "path", key, "error", err)
		}
	}
	return infoOf(f), nil
}

// checkAndRecord compares what was received with what was announced, and writes a disk's row before the file appears: then a
// file that is newer than its row, and of another size, was not put by us.
func (s *Store) checkAndRecord(ctx context.Context, key string, expect Expect) func(stored) error {
	return func(f stored) error {
		if err := expect.check(f); err != nil || f.mtime.IsZero() || isBeside(key) {
			return err
		}
		return s.record(ctx, key, f)
	}
}

func infoOf(f stored) Info {
	return Info{Size: f.size, ModTime: f.mtime, Tag: f.tag, SHA256: hex.EncodeToString(f.sha256[:])}
}

func (e Expect) check(got stored) error {
	if e.Size >= 0 && got.size != e.Size {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%d bytes were announced and %d received; nothing was stored",
			e.Size, got.size)
	}
	if e.SHA256 != nil && string(e.SHA256) != string(got.sha256[:]) {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"the content's SHA-256 is %x, not %x as announced; nothing was stored", got.sha256, e.SHA256)
	}
	return nil
}

// File is an open artifact.
type File struct {
	io.ReadSeekCloser
	Info
}

// Get opens a file. A missing one is RESOURCE_DOES_NOT_EXIST, a folder INVALID_PARAMETER_VALUE, one that has not the size
// with which it was put DATA_CORRUPT.
func (s *Store) Get(ctx context.Context, path string) (*File, error) {
	key, err := keyOfText(path)
	if err != nil {
		return nil, err
	}
	return s.get(ctx, key)
}

func (s *Store) get(ctx context.Context, key string) (*File, error) {
	b, inside := s.at(key)
	o, err := b.open(ctx, inside)
	if err != nil {
		return nil, err
	}
	info := Info{Size: o.size, ModTime: o.mtime, Tag: o.tag}
	sum, known, err := s.digestOf(ctx, key, o.stored)
	if mlflow.CodeOf(err) == mlflow.CodeDataCorrupt {
		o.Close()
		return nil, err
	}
	if err != nil {
		s.log.WarnContext(ctx, "artifact digest not read", "path", key, "error", err)
	}
	if known {
		info.SHA256 = hex.EncodeToString(sum)
	}
	return &File{ReadSeekCloser: o.ReadSeekCloser, Info: info}, nil
}

// List gives the entries of a folder, sorted; each Path is the entry's own name. A file and a missing folder have none.
func (s *Store) List(ctx context.Context, path string) ([]mlflow.FileInfo, error) {
	key, err := keyOfText(path)
	if err != nil {
		return nil, err
	}
	return s.list(ctx, key, "")
}

// list gives the entries of a folder with a path in front of their names.
func (s *Store) list(ctx context.Context, key, before string) ([]mlflow.FileInfo, error) {
	b, inside := s.at(key)
	entries, err := b.list(ctx, inside)
	if err != nil {
		return nil, err
	}
	var files []mlflow.FileInfo
	for _, e := range entries {
		files = append(files, mlflow.FileInfo{Path: join(before, e.name), IsDir: e.isDir, FileSize: e.size})
	}
	return files, nil
}

// Delete removes a file, or a folder with all in it; a missing one is no fault. The root is INVALID_PARAMETER_VALUE.
func (s *Store) Delete(ctx context.Context, path string) error {
	key, err := keyOfText(path)
	if err != nil {
		return err
	}
	return s.remove(ctx, key)
}

func (s *Store) remove(ctx context.Context, key string) error {
	b, inside := s.at(key)
	if err := b.remove(ctx, inside); err != nil || isBeside(key) {
		return err
	}
	return s.forget(ctx, key)
}
