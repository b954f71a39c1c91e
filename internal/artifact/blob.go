package artifact

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/weir-ml/weir/mlflow"
)

const (
	// blobBuffer is how much of an upload is sent at once. Stores allow 10,000 pieces, so a file may have 80 GB; larger ones
	// come in parts.
	blobBuffer = 8 << 20
	// blobWriters is how many pieces of one upload are under way, each with a buffer.
	blobWriters = 2
	// putMark is the metadata entry by which a put knows its own object again.
	putMark = "weir-put"
	// maxName is what every file system takes: nobody could download a file with a longer name.
	maxName = 255
	// abortTime is how long a store may take to drop an upload.
	abortTime = 30 * time.Second
	// deleters is how many objects are deleted at the same time.
	deleters = 8
)

// blobs is the bucket of an object store: S3, GCS, Azure. Such stores have no folders; a folder is what the keys below it
// have in common.
type blobs struct {
	b      *blob.Bucket
	uri    string // as in artifact URIs, without a slash at its end
	prefix string // of all keys; ends with a slash unless it is empty
	// pin makes a read fail when the object is no longer the one with these attributes; nil where nothing changes.
	pin func(a *blob.Attributes) func(as func(any) bool) error
	// aborts tells stores that drop an upload whose stream fails from those that make an object of what came before, unless
	// the upload is cancelled.
	aborts bool
}

func (s *blobs) close() error { return s.b.Close() }

func (s *blobs) put(ctx context.Context, key string, r io.Reader, check func(stored) error) (stored, error) {
	if err := s.checkTarget(ctx, key); err != nil {
		return stored{}, err
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	mark := hex.EncodeToString(b[:])
	// A client that hangs up must not take away the time that the store needs to forget what it has got.
	writing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(abortTime, cancel) })()
	source := &source{ctx: ctx, r: r, hash: sha256.New(), check: check}
	if !s.aborts {
		source.failed = cancel
	}
	err := s.b.Upload(writing, s.prefix+key, source, &blob.WriterOptions{
		BufferSize: blobBuffer, MaxConcurrency: blobWriters, Metadata: map[string]string{putMark: mark},
		ContentType: contentType(path.Base(key)), DisableContentTypeDetection: true,
	})
	if source.err != nil {
		err = source.err
	}
	if err != nil {
		return stored{}, s.explainWrite(err, key)
	}
	got := source.got
	// Somebody else may have replaced the object already; what the store calls it is ours to keep only if it is ours.
	if a, err := s.b.Attributes(ctx, s.prefix+key); err == nil && a.Metadata[putMark] == mark {
		got.mtime, got.tag = a.ModTime, a.ETag
	}
	return got, nil
}

// source is the stream of an upload. At its end, which the store does not see before, what was received is checked.
type source struct {
	ctx    context.Context
	r      io.Reader
	hash   hash.Hash
	check  func(stored) error
	failed func() // called before a fault is given; may be nil
	got    stored
	err    error // the fault
	ended  bool
}

func (s *source) Read(b []byte) (int, error) {
	if s.ended {
		return 0, io.EOF
	}
	err := cmp.Or(s.err, context.Cause(s.ctx))
	n := 0
	if err == nil {
		n, err = s.r.Read(b)
		s.hash.Write(b[:n])
		s.got.size += int64(n)
	}
	if err == io.EOF {
		s.hash.Sum(s.got.sha256[:0])
		if err = s.check(s.got); err == nil {
			s.ended = true
			return n, io.EOF
		}
	}
	if err != nil {
		s.err = err
		if s.failed != nil {
			s.failed()
		}
	}
	return n, err
}

// checkTarget refuses what would make one key a file and a folder. The questions are asked all at once, so that they cost the
// time of one.
func (s *blobs) checkTarget(ctx context.Context, key string) error {
	for segment := range strings.SplitSeq(key, "/") {
		if len(segment) > maxName {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' is a name that is too long for the artifact store", segment)
		}
	}
	var group sync.WaitGroup
	faults := make([]error, 1+strings.Count(key, "/"))
	group.Go(func() {
		folder, err := s.isFolder(ctx, key)
		if err == nil && folder {
			err = mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' is a folder, a file cannot take its place", key)
		}
		faults[0] = err
	})
	for i, parent := 1, path.Dir(key); parent != "."; i, parent = i+1, path.Dir(parent) {
		group.Go(func() {
			file, err := s.b.Exists(ctx, s.prefix+parent)
			if err == nil && file {
				err = mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' leads through a file, not a folder", key)
			}
			faults[i] = err
		})
	}
	group.Wait()
	for _, err := range faults {
		if err != nil {
			return s.explainWrite(err, key)
		}
	}
	return nil
}

func (s *blobs) isFolder(ctx context.Context, key string) (bool, error) {
	found, _, err := s.b.ListPage(ctx, blob.FirstPageToken, 1, &blob.ListOptions{Prefix: s.prefix + key + "/"})
	return len(found) > 0, err
}

func (s *blobs) open(ctx context.Context, key string) (*object, error) {
	if key == "" {
		return nil, isAFolder(key)
	}
	a, err := s.b.Attributes(ctx, s.prefix+key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		if folder, err := s.isFolder(ctx, key); err == nil && folder {
			return nil, isAFolder(key)
		}
	}
	if err != nil {
		return nil, s.explain(err, key)
	}
	var o blob.ReaderOptions
	if s.pin != nil {
		o.BeforeRead = s.pin(a)
	}
	r := &blobReader{ctx: ctx, store: s, key: key, size: a.Size, options: &o}
	return &object{ReadSeekCloser: r, stored: stored{size: a.Size, mtime: a.ModTime, tag: a.ETag}}, nil
}

// blobReader reads an object from where it was last sought to; the request to the store is made by the first read there.
type blobReader struct {
	ctx     context.Context // that of the request it was opened for
	store   *blobs
	key     string
	size    int64
	at      int64
	options *blob.ReaderOptions
	open    *blob.Reader
}

func (r *blobReader) Read(b []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	if r.open == nil {
		open, err := r.store.b.NewRangeReader(r.ctx, r.store.prefix+r.key, r.at, -1, r.options)
		if err != nil {
			return 0, r.store.explain(err, r.key)
		}
		r.open = open
	}
	n, err := r.open.Read(b)
	r.at += int64(n)
	if err == io.EOF && r.at < r.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *blobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	if offset != r.at {
		if err := r.Close(); err != nil {
			return 0, err
		}
		r.at = offset
	}
	return offset, nil
}

func (r *blobReader) Close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}

func (s *blobs) list(ctx context.Context, key string) ([]entry, error) {
	prefix := s.prefix
	if key != "" {
		prefix += key + "/"
	}
	var entries []entry
	for token := blob.FirstPageToken; ; {
		page, next, err := s.b.ListPage(ctx, token, 1000, &blob.ListOptions{Prefix: prefix, Delimiter: "/"})
		if err != nil {
			return nil, s.explain(err, key)
		}
		for _, o := range page {
			name := strings.TrimSuffix(strings.TrimPrefix(o.Key, prefix), "/")
			// Some tools make an object named as the folder with a slash, to show empty folders.
			if name == "" || (key == "" && isPrivate(name)) {
				continue
			}
			e := entry{name: name, isDir: o.IsDir || strings.HasSuffix(o.Key, "/")}
			if !e.isDir {
				e.size = o.Size
			}
			entries = append(entries, e)
		}
		if len(next) == 0 {
			slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
			return slices.Compact(entries), nil
		}
		token = next
	}
}

func (s *blobs) remove(ctx context.Context, key string) error {
	if key == "" {
		return errInvalidPath
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	doomed := make(chan string)
	var group sync.WaitGroup
	for range deleters {
		group.Go(func() {
			for name := range doomed {
				if err := s.b.Delete(ctx, name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
					cancel(err)
				}
			}
		})
	}
	err := func() error {
		defer group.Wait()
		defer close(doomed)
		doomed <- s.prefix + key
		below := s.b.List(&blob.ListOptions{Prefix: s.prefix + key + "/"})
		for {
			o, err := below.Next(ctx)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			doomed <- o.Key
		}
	}()
	// A delete that failed has cancelled the listing; it is the reason.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return s.explain(err, key)
	}
	return nil
}

// explain turns what the store says into what a client can act on; the rest stays as it is and is logged.
func (s *blobs) explain(err error, key string) error {
	var known *mlflow.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "No such artifact: '%s'", key)
	case gcerrors.FailedPrecondition:
		return mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "'%s' was replaced while it was read; ask for it again", key)
	case gcerrors.PermissionDenied:
		return fmt.Errorf("the store %s denies access; check the server's credentials: %w", s.uri, err)
	}
	var network net.Error
	if errors.As(err, &network) {
		return errors.Join(mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "the artifact store cannot be reached now"), err)
	}
	return err
}

// explainWrite is explain for writes, where it is the bucket that can be missing.
func (s *blobs) explainWrite(err error, key string) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("the store %s does not exist: %w", s.uri, err)
	}
	return s.explain(err, key)
}

// keyOfURI gives the key that an artifact URI of this store has, and false for other stores.
func (s *blobs) keyOfURI(uri string) (key string, ours bool, err error) {
	rest, ours := strings.CutPrefix(strings.TrimRight(uri, "/"), s.uri)
	if !ours || (rest != "" && rest[0] != '/') {
		return "", false, nil
	}
	key, err = keyOfText(strings.TrimLeft(rest, "/"))
	return key, true, err
}
