package mlflow

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// files is the part of the file system that local artifacts need: the whole of it, or what lies below one folder.
type files interface {
	Open(name string) (*os.File, error)
	OpenFile(name string, flag int, perm os.FileMode) (*os.File, error)
	Stat(name string) (os.FileInfo, error)
	MkdirAll(name string, perm os.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
}

// osFiles is the whole file system.
type osFiles struct{}

func (osFiles) Open(name string) (*os.File, error)    { return os.Open(name) }
func (osFiles) Stat(name string) (os.FileInfo, error) { return os.Stat(name) }
func (osFiles) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}
func (osFiles) MkdirAll(name string, perm os.FileMode) error { return os.MkdirAll(name, perm) }
func (osFiles) Rename(from, to string) error                 { return os.Rename(from, to) }
func (osFiles) Remove(name string) error                     { return os.Remove(name) }

// rootFiles opens its folder for each operation, so that nothing stays open between calls.
type rootFiles struct{ dir string }

func inRoot[T any](r rootFiles, f func(*os.Root) (T, error)) (T, error) {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		var zero T
		return zero, err
	}
	defer root.Close()
	return f(root)
}

func (r rootFiles) do(f func(*os.Root) error) error {
	_, err := inRoot(r, func(root *os.Root) (struct{}, error) { return struct{}{}, f(root) })
	return err
}

func (r rootFiles) Open(name string) (*os.File, error) {
	return inRoot(r, func(root *os.Root) (*os.File, error) { return root.Open(name) })
}

func (r rootFiles) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	return inRoot(r, func(root *os.Root) (*os.File, error) { return root.OpenFile(name, flag, perm) })
}

func (r rootFiles) Stat(name string) (os.FileInfo, error) {
	return inRoot(r, func(root *os.Root) (os.FileInfo, error) { return root.Stat(name) })
}

func (r rootFiles) MkdirAll(name string, perm os.FileMode) error {
	return r.do(func(root *os.Root) error { return root.MkdirAll(name, perm) })
}

func (r rootFiles) Rename(from, to string) error {
	return r.do(func(root *os.Root) error { return root.Rename(from, to) })
}

func (r rootFiles) Remove(name string) error {
	return r.do(func(root *os.Root) error { return root.Remove(name) })
}

// localLocation is a place on this machine's disk.
func (c *Client) localLocation(path string) (location, error) {
	if strings.ContainsRune(path, 0) || path == "" {
		return nil, Errorf(CodeInvalidParameterValue, "Invalid path")
	}
	path = filepath.Clean(path)
	if c.options.LocalDir == "" {
		return localPlace{files: osFiles{}, path: path, shown: path}, nil
	}
	rel, err := filepath.Rel(c.options.LocalDir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, Errorf(CodeInvalidParameterValue, "'%s' is not below the folder whose files may be opened here", path)
	}
	return localPlace{files: rootFiles{c.options.LocalDir}, path: rel, shown: path}, nil
}

type localPlace struct {
	files files
	path  string // what files is asked for
	shown string // what the user wrote
}

func (l localPlace) child(name string) location {
	return localPlace{l.files, filepath.Join(l.path, name), filepath.Join(l.shown, name)}
}

func (l localPlace) open(context.Context) (io.ReadCloser, error) {
	// Only regular files are opened: a pipe would make the reader wait for ever.
	info, err := l.files.Stat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, Errorf(CodeResourceDoesNotExist, "No such artifact: '%s'", l.shown)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, Errorf(CodeInvalidParameterValue, "Artifact path refers to a directory, not a file: '%s'", l.shown)
	case !info.Mode().IsRegular():
		return nil, Errorf(CodeInvalidParameterValue, "Artifact path refers to a device or pipe, not a file: '%s'", l.shown)
	}
	return l.files.Open(l.path)
}

func (l localPlace) put(ctx context.Context, r io.Reader, size int64) error {
	if err := l.files.MkdirAll(filepath.Dir(l.path), 0o777); err != nil {
		return err
	}
	return writeAtomically(l.files, l.path, contextReader{ctx, r}, size, true)
}

func (l localPlace) list(context.Context) ([]FileInfo, error) {
	info, err := l.files.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !info.IsDir()) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dir, err := l.files.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var entries []FileInfo
	for _, name := range names {
		if isPartName(name) {
			continue
		}
		info, err := l.files.Stat(filepath.Join(l.path, name))
		switch {
		case err != nil: // gone, or a link that leads out
		case info.IsDir():
			entries = append(entries, FileInfo{Path: name, IsDir: true})
		case info.Mode().IsRegular():
			entries = append(entries, FileInfo{Path: name, FileSize: info.Size()})
		}
	}
	sortFiles(entries)
	return entries, nil
}

func sortFiles(files []FileInfo) {
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
}

// contextReader ends a copy when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

const partPrefix, partSuffix = ".weir-", ".part"

// isPartName tells the temporary files of writeAtomically from artifacts.
func isPartName(name string) bool {
	return strings.HasPrefix(name, partPrefix) && strings.HasSuffix(name, partSuffix)
}

// writeAtomically makes a file of a stream: whole, or not at all. With durable it is on the disk before it has its name.
func writeAtomically(fsys files, path string, r io.Reader, size int64, durable bool) (err error) {
	if info, err := fsys.Stat(path); err == nil && info.IsDir() {
		return Errorf(CodeInvalidParameterValue, "'%s' is a folder, a file cannot take its place", path)
	}
	var random [8]byte
	rand.Read(random[:])
	part := filepath.Join(filepath.Dir(path), partPrefix+hex.EncodeToString(random[:])+partSuffix)
	f, err := fsys.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			fsys.Remove(part)
		}
	}()
	n, err := io.Copy(f, r)
	if err != nil {
		return err
	}
	if size >= 0 && n != size {
		return fmt.Errorf("write %s: the stream has %d bytes, not %d", path, n, size)
	}
	if durable {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return fsys.Rename(part, path)
}
