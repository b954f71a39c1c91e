package artifact

import (
	"archive/tar"
	"archive/zip"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

func (s *Store) mountArchives(rt *api.Router) {
	api.Stream(rt, "GET /api/weir/v1/artifacts/archive", api.Read(runOfQuery), s.faults(s.serveRunArchive))
	api.Stream(rt, "GET /api/weir/v1/model-versions/archive", api.Read(modelOfGet), s.faults(s.serveVersionArchive))
}

// serveRunArchive answers with a folder of a run, or one file, as one archive.
func (s *Store) serveRunArchive(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	rel, err := keyOfText(query.Get("path"))
	if err != nil {
		return err
	}
	runID := api.Param(r, "run_id")
	if runID == "" {
		return missing("run_id")
	}
	key, err := s.keyInRun(r, runID, rel)
	if err != nil {
		return err
	}
	return s.serveArchive(w, r, key, rel, runID)
}

// serveVersionArchive does the same with a model version.
func (s *Store) serveVersionArchive(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	rel, err := keyOfText(query.Get("path"))
	if err != nil {
		return err
	}
	name, version := query.Get("name"), query.Get("version")
	key, err := s.keyInVersion(r, name, version, rel)
	if err != nil {
		return err
	}
	return s.serveArchive(w, r, key, rel, name+"-"+version)
}

// archiver writes one kind of archive to a stream.
type archiver interface {
	add(name string, f *File) error
	Close() error
}

var archivers = map[string]struct {
	contentType string
	open        func(w io.Writer) (archiver, error)
}{
	"zip":     {"application/zip", newZip},
	"tar.gz":  {"application/gzip", newTarGzip},
	"tar.zst": {"application/zstd", newTarZstd},
}

// serveArchive streams what lies at a key. Names in the archive begin with the folder's own name, so that unpacking makes one
// folder; whole is that name for the whole of a run or version.
func (s *Store) serveArchive(w http.ResponseWriter, r *http.Request, key, rel, whole string) error {
	format := r.URL.Query().Get("format")
	if format == "" {
		format = "zip"
	}
	kind, ok := archivers[format]
	if !ok {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "format '%s' is not one of zip, tar.gz, tar.zst", format)
	}
	name := whole
	if rel != "" {
		name = path.Base(rel)
	}
	b, at := s.at(key)
	entries, err := b.list(r.Context(), at)
	if err != nil {
		return err
	}
	var single *File
	if len(entries) == 0 && rel != "" {
		// A file has no entries; what is no file either is missing.
		if single, err = s.get(r.Context(), key); err != nil {
			return err
		}
		defer single.Close()
	}
	h := w.Header()
	h.Set("Content-Type", kind.contentType)
	h.Set("Content-Disposition", attachment(name+"."+format))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	err = func() error {
		a, err := kind.open(w)
		if err != nil {
			return err
		}
		if single != nil {
			err = a.add(name, single)
		} else {
			err = s.archive(r.Context(), a, key, name, entries)
		}
		if err != nil {
			return err
		}
		return a.Close()
	}()
	if err != nil {
		// The status is sent already; only a broken stream tells the client that the archive is not whole.
		if r.Context().Err() == nil {
			s.log.WarnContext(r.Context(), "archive broken off", "path", key, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (s *Store) archive(ctx context.Context, a archiver, key, name string, entries []entry) error {
	for _, e := range entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		below, nameBelow := join(key, e.name), name+"/"+e.name
		if e.isDir {
			if e.isLink {
				continue // its files are in the archive at their own place, or it leads in a circle
			}
			b, at := s.at(below)
			inside, err := b.list(ctx, at)
			if err == nil {
				err = s.archive(ctx, a, below, nameBelow, inside)
			}
			if err != nil {
				return err
			}
			continue
		}
		if err := s.archiveFile(ctx, a, below, nameBelow); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) archiveFile(ctx context.Context, a archiver, key, name string) error {
	f, err := s.get(ctx, key)
	if err != nil {
		return err
	}
	defer f.Close()
	return a.add(name, f)
}

// copyWhole copies a file and makes sure that it is all of it.
func copyWhole(w io.Writer, f *File) error {
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	n, err := io.CopyBuffer(w, struct{ io.Reader }{f}, *buffer)
	if err == nil && n != f.Size {
		err = fmt.Errorf("read %d of %d bytes", n, f.Size)
	}
	return err
}

type zipArchive struct{ *zip.Writer }

func newZip(w io.Writer) (archiver, error) {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return zipArchive{z}, nil
}

func (z zipArchive) add(name string, f *File) error {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: f.ModTime.UTC()}
	h.SetMode(0o644)
	if compressed(name) {
		h.Method = zip.Store
	}
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	return copyWhole(w, f)
}

// compressed knows names of files that do not get smaller.
func compressed(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".gz", ".tgz", ".zip", ".zst", ".xz", ".bz2", ".rds", ".rda", ".rdata", ".parquet", ".npz", ".keras":
		return true
	}
	kind, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(name)), "/")
	return (kind == "image" && path.Ext(name) != ".svg") || kind == "video" || kind == "audio"
}

type tarArchive struct {
	*tar.Writer
	compressor io.WriteCloser
}

func newTarGzip(w io.Writer) (archiver, error) {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	return tarArchive{tar.NewWriter(z), z}, err
}

func newTarZstd(w io.Writer) (archiver, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	return tarArchive{tar.NewWriter(z), z}, err
}

func (t tarArchive) add(name string, f *File) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: f.Size, Mode: 0o644, ModTime: f.ModTime, Format: tar.FormatPAX}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	return copyWhole(t.Writer, f)
}

func (t tarArchive) Close() error {
	if err := t.Writer.Close(); err != nil {
		return err
	}
	return t.compressor.Close()
}
