package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Store says where a backend store URI leads. Exactly one of Folder, File and Postgres is set.
type Store struct {
	Folder   string // absolute path of a folder as a store: weir.db and the artifacts lie in it
	File     string // absolute path of a SQLite database
	Postgres string // a postgresql:// address
}

// DefaultStore is the folder, below the working directory, that everything uses which names no store.
const DefaultStore = "mlruns"

// ParseStore reads a backend store URI as MLflow writes it: a folder (plain or file:), sqlite:///relative.db,
// sqlite:////absolute.db, postgresql://…; a plain path to an existing file is a SQLite database. Relative paths are
// below dir. It touches nothing.
func ParseStore(uri, dir string) (Store, error) {
	if uri == "" {
		uri = DefaultStore
	}
	if !hasScheme(uri) {
		return pathStore(uri, dir), nil
	}
	scheme, rest, _ := strings.Cut(uri, ":")
	base, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	switch base {
	case "file":
		path, err := fileURIPath(rest)
		if err != nil {
			return Store{}, fmt.Errorf("store %q: %w", uri, err)
		}
		return pathStore(path, dir), nil
	case "sqlite":
		path, ok := strings.CutPrefix(rest, "///")
		if !ok || path == "" || strings.Contains(path, ":memory:") {
			return Store{}, fmt.Errorf("store %q: write sqlite:///relative.db or sqlite:////absolute.db; a database in memory would be lost", uri)
		}
		return Store{File: absolute(path, dir)}, nil
	case "postgresql", "postgres":
		return Store{Postgres: "postgresql:" + rest}, nil
	case "http", "https":
		return Store{}, fmt.Errorf("store %q is the address of a server; set it as MLFLOW_TRACKING_URI instead", redact(uri))
	}
	return Store{}, fmt.Errorf("store %q: %s is not supported; use a folder, sqlite:///file.db or postgresql://…", redact(uri), base)
}

// schemeForm is a URI's scheme; a single letter is a Windows drive instead.
var schemeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`)

func hasScheme(uri string) bool { return schemeForm.MatchString(uri) }

func pathStore(path, dir string) Store {
	path = absolute(path, dir)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return Store{File: path}
	}
	return Store{Folder: path}
}

// fileURIPath gives the path of what follows "file:"; a host other than this one names another machine's disk.
func fileURIPath(rest string) (string, error) {
	path, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return rest, nil // file:relative or file:/absolute
	}
	path = strings.TrimPrefix(path, "localhost")
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("it names a host; write file:///absolute/path")
	}
	if len(path) > 2 && path[2] == ':' { // file:///C:/x
		path = path[1:]
	}
	return path, nil
}

func absolute(path, dir string) string {
	path = filepath.FromSlash(path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Clean(path)
}

var (
	userInfo      = regexp.MustCompile(`//[^/]*@`)
	passwordParam = regexp.MustCompile(`(?i)([?&](?:ssl)?password=)[^&]*`)
)

func redact(uri string) string {
	return passwordParam.ReplaceAllString(userInfo.ReplaceAllString(uri, "//…@"), "$1…")
}

// Database is the file of the store's SQLite database, or its PostgreSQL address.
func (s Store) Database() string {
	switch {
	case s.Folder != "":
		return filepath.Join(s.Folder, "weir.db")
	case s.File != "":
		return s.File
	}
	return s.Postgres
}

// String names the store for people, without a password.
func (s Store) String() string {
	switch {
	case s.Folder != "":
		return s.Folder
	case s.File != "":
		return s.File
	}
	return redact(s.Postgres)
}

// besideName names a file that a server keeps beside the store: its lock or its log.
func (s Store) besideName(ext string) string {
	if s.Folder != "" {
		return filepath.Join(s.Folder, "weir"+ext)
	}
	return s.File + ".weir" + ext
}

// LockPath is the file by which clients of this host find the store's server.
func (s Store) LockPath() string { return s.besideName(".lock") }

// LogPath is where a server that was started for the store writes.
func (s Store) LogPath() string { return s.besideName(".log") }

// Local reports whether the store lies on this machine's disk, so that a server can be started for it.
func (s Store) Local() bool { return s.Postgres == "" }

// dir is the folder that must exist and be writable.
func (s Store) dir() string {
	if s.Folder != "" {
		return s.Folder
	}
	return filepath.Dir(s.File)
}

// prepare makes the store's folder and checks that it can be written: SQLite's own message would not name the folder.
func (s Store) prepare() error {
	if !s.Local() {
		return nil
	}
	dir := s.dir()
	if s.Folder != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("make the store's folder: %w", err)
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("the store's folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	return s.CheckWritable()
}

// CheckWritable says of a local store's folder whether this user may write to it.
func (s Store) CheckWritable() error {
	f, err := os.CreateTemp(s.dir(), ".weir-write-check-*")
	if err != nil {
		return fmt.Errorf("the folder %s cannot be written (%w); a store needs a folder that this user may write to", s.dir(), rootCause(err))
	}
	f.Close()
	return os.Remove(f.Name())
}

// rootCause drops the operation and the path from a file error, for messages that name the path themselves.
func rootCause(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
