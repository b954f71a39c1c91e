package artifact

import (
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// beside is a folder outside the root in which clients keep the files of runs and models by themselves, because new
// experiments have their places there (--default-artifact-root with a local folder). The server opens what a run or a
// model says to be there; no path of the proxy leads to it, and nothing is recorded of its files.
type beside struct {
	dir string

	mu   sync.Mutex
	disk *disk // nil until it is needed: the folder may be one that only clients can reach
}

// besidePrefix begins the keys of files beside the root. No client's path has a backslash, see validSegment.
const besidePrefix = `\beside`

// newBeside gives the folder of a URI, nil when it is not local or lies in one of the roots.
func newBeside(uri string, roots []string) *beside {
	dir, local := mlflow.LocalPath(uri)
	if !local || !filepath.IsAbs(dir) {
		return nil
	}
	for _, root := range roots {
		if _, in := below(root, dir); in {
			return nil
		}
	}
	return &beside{dir: filepath.Clean(dir)}
}

// below gives the path of a file relative to a folder, with slashes, and whether it is in there.
func below(folder, path string) (rel string, in bool) {
	rel, err := filepath.Rel(folder, path)
	return filepath.ToSlash(rel), err == nil && filepath.IsLocal(rel)
}

func (b *beside) open() (*disk, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.disk == nil {
		d, err := openDisk(b.dir, time.Now())
		if err != nil {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"this server cannot open the default artifact root %s; the artifacts there are for clients that can", b.dir)
		}
		b.disk = d
	}
	return b.disk, nil
}

func (b *beside) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.disk == nil {
		return nil
	}
	return b.disk.close()
}

// ownProxy gives the part of a default artifact root like http://host:5000/api/2.0/mlflow-artifacts/artifacts/x in front of
// the keys, "" for other roots. Clients upload to such a URI as it stands: it is this server's.
func ownProxy(root string) string {
	at := strings.Index(root+"/", proxyPath)
	if at < 0 || (!strings.HasPrefix(root, "http://") && !strings.HasPrefix(root, "https://")) {
		return ""
	}
	return root[:at] + proxyPath
}

// keyOfOwner gives the key of the artifact URI of a run, a logged model or a model version, which may be beside the root or
// a URL of this server.
func (s *Store) keyOfOwner(uri string) (string, error) {
	if rest, found := strings.CutPrefix(uri, s.proxied); found && s.proxied != "" {
		path, err := url.PathUnescape(rest)
		if err != nil {
			return "", errInvalidPath
		}
		return keyOfText(path)
	}
	key, err := s.keyOfURI(uri)
	if err == nil || s.beside == nil {
		return key, err
	}
	path, local := mlflow.LocalPath(uri)
	if !local {
		return "", err
	}
	rel, in := below(s.beside.dir, path)
	if !in || rel == "." {
		return "", err
	}
	if key, err = keyOf(strings.Split(rel, "/")); err != nil {
		return "", err
	}
	if _, err := s.beside.open(); err != nil {
		return "", err
	}
	return join(besidePrefix, key), nil
}

// Holds says whether the files at the artifact URI of a run, a logged model or a model version lie below the root, where a
// copy of it takes them along.
func (s *Store) Holds(uri string) bool {
	key, err := s.keyOfOwner(uri)
	return err == nil && !isBeside(key)
}

// at gives the bucket that holds a key, and the key in it.
func (s *Store) at(key string) (bucket, string) {
	if rest, found := strings.CutPrefix(key, besidePrefix+"/"); found && s.beside != nil {
		if d, err := s.beside.open(); err == nil {
			return d, rest
		}
	}
	return s.bucket, key
}

func isBeside(key string) bool { return strings.HasPrefix(key, besidePrefix+"/") }
