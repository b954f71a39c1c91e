package artifact

import (
	"context"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// Place is a file or folder of an object store that is read or written by its own URI, without a server: the batches of
// the command line use it.
type Place struct {
	bucket cloud
	key    string
	uri    string
}

// PlaceFile is a file of a place. Name is its path below it, the last name for a place that is a file itself.
type PlaceFile struct {
	Name  string
	Size  int64
	MTime time.Time // zero in a folder
	key   string
}

// IsCloudURI reports whether a URI names an object store that OpenPlace opens.
func IsCloudURI(uri string) bool {
	scheme, _, found := strings.Cut(uri, "://")
	return found && (scheme == "s3" || scheme == "gs" || scheme == "azblob" || scheme == "wasbs")
}

// OpenPlace opens s3://bucket/path, and the like of other stores. Nothing is asked of the store yet.
func OpenPlace(ctx context.Context, uri string, o CloudOptions) (*Place, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%q is not of the form s3://bucket/path", redactURI(uri))
	}
	key, err := keyOfText(strings.Trim(u.Path, "/"))
	if err != nil {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%q: %v", redactURI(uri), err)
	}
	root := *u
	root.Path = ""
	bucket, err := openCloud(ctx, root.String(), o)
	if err != nil {
		return nil, err
	}
	return &Place{bucket: bucket, key: key, uri: redactURI(uri)}, nil
}

// Files gives the file, or all files of the folder and of those in it, by name.
func (p *Place) Files(ctx context.Context) ([]PlaceFile, error) {
	if p.key != "" {
		o, err := p.bucket.open(ctx, p.key)
		if err == nil {
			defer o.Close()
			return []PlaceFile{{Name: path.Base(p.key), Size: o.size, MTime: o.mtime, key: p.key}}, nil
		}
		if code := mlflow.CodeOf(err); code != mlflow.CodeInvalidParameterValue && code != mlflow.CodeResourceDoesNotExist {
			return nil, err
		}
	}
	var files []PlaceFile
	var walk func(below string) error
	walk = func(below string) error {
		entries, err := p.bucket.list(ctx, path.Join(p.key, below))
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := path.Join(below, e.name)
			if e.isDir {
				err = walk(name)
			} else {
				files = append(files, PlaceFile{Name: name, Size: e.size, key: path.Join(p.key, name)})
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(""); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "there is no file %s", p.uri)
	}
	return files, nil
}

// Open reads a file that Files gave.
func (p *Place) Open(ctx context.Context, f PlaceFile) (io.ReadSeekCloser, error) {
	o, err := p.bucket.open(ctx, f.key)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Put writes the place's file, whole or not at all.
func (p *Place) Put(ctx context.Context, r io.Reader) error {
	_, err := p.bucket.put(ctx, p.key, r, func(stored) error { return nil })
	return err
}

// Close ends the connections.
func (p *Place) Close() error { return p.bucket.close() }
