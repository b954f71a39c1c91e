package artifact

import (
	"context"
	"io"
	"path"
	"slices"
	"strings"

	"gocloud.dev/blob"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// Tree is how much lies below a folder.
type Tree struct {
	Files, Bytes int64
}

// ownTree gives the key of the folder at an artifact URI if it is the owner's alone: below the root, and with the owner's
// id in its path, which no other run or model has. Anything else is INVALID_PARAMETER_VALUE, so that no record, however it
// came to be, makes anybody remove what is not its own.
func (s *Store) ownTree(uri, owner string) (string, error) {
	key, err := s.keyOfOwner(uri)
	if err != nil {
		return "", err
	}
	if owner == "" || !slices.Contains(strings.Split(key, "/"), owner) {
		return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the folder %s may hold other files than its own", uri)
	}
	return key, nil
}

// MeasureTree says how much lies below the artifact URI of a run or a logged model; owner is its id. What is not below
// this store's root, or not in a folder of its own, is INVALID_PARAMETER_VALUE.
func (s *Store) MeasureTree(ctx context.Context, uri, owner string) (Tree, error) {
	key, err := s.ownTree(uri, owner)
	if err != nil {
		return Tree{}, err
	}
	return s.measure(ctx, key)
}

// RemoveTree removes what lies below the artifact URI of a run or a logged model, with the folders above it that are its
// own and are empty then, and says how much it was. It refuses what MeasureTree refuses. It may be repeated.
func (s *Store) RemoveTree(ctx context.Context, uri, owner string) (Tree, error) {
	key, err := s.ownTree(uri, owner)
	if err != nil {
		return Tree{}, err
	}
	size, err := s.measure(ctx, key)
	if err != nil {
		return Tree{}, err
	}
	if err := s.remove(ctx, key); err != nil {
		return Tree{}, err
	}
	for path.Base(key) != owner {
		key = path.Dir(key)
		s.removeEmpty(key)
	}
	return size, nil
}

// RemoveEmpty removes the folder at an experiment's artifact URI when nothing is in it any more.
func (s *Store) RemoveEmpty(uri string) {
	if key, err := s.keyOfOwner(uri); err == nil && key != "" {
		s.removeEmpty(join(key, "models"))
		s.removeEmpty(key)
	}
}

func (s *Store) removeEmpty(key string) {
	b, inside := s.at(key)
	if d, ok := b.(*disk); ok {
		d.removeEmpty(inside)
	}
}

// removeEmpty removes a folder that holds nothing. Object stores have none.
func (d *disk) removeEmpty(key string) {
	if info, err := d.root.Lstat(key); err == nil && info.IsDir() {
		_ = d.root.Remove(key) // which the system refuses while something is in it
	}
}

func (s *Store) measure(ctx context.Context, key string) (t Tree, err error) {
	err = s.walk(ctx, key, func(_ string, size int64) error {
		t.Files++
		t.Bytes += size
		return nil
	})
	return t, err
}

// walk calls each with the keys, in their bucket, and the sizes of all files at or below a key, links not followed.
func (s *Store) walk(ctx context.Context, key string, each func(key string, size int64) error) error {
	b, inside := s.at(key)
	if w, ok := b.(interface {
		walk(ctx context.Context, key string, each func(key string, size int64) error) error
	}); ok {
		return w.walk(ctx, inside, each)
	}
	return walkFolders(ctx, b, inside, each)
}

func walkFolders(ctx context.Context, b bucket, key string, each func(key string, size int64) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	entries, err := b.list(ctx, key)
	if err != nil {
		return err
	}
	for _, e := range entries {
		below := join(key, e.name)
		switch {
		case e.isLink:
		case e.isDir:
			err = walkFolders(ctx, b, below, each)
		default:
			err = each(below, e.size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walk lists all objects below a key at once: asking folder by folder would be a request for each.
func (s *blobs) walk(ctx context.Context, key string, each func(key string, size int64) error) error {
	prefix := s.prefix
	if key != "" {
		prefix += key + "/"
	}
	all := s.b.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := all.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return s.explain(err, key)
		}
		name := strings.TrimPrefix(o.Key, s.prefix)
		first, _, _ := strings.Cut(name, "/")
		if strings.HasSuffix(o.Key, "/") || isPrivate(first) {
			continue
		}
		if err := each(name, o.Size); err != nil {
			return err
		}
	}
}

// Usage says how much was put at or below an artifact URI, by the records of the puts: nothing is walked. What clients
// write to a folder or a bucket by themselves is not in it. A URI outside the root has nothing.
func (s *Store) Usage(ctx context.Context, uri string) (t Tree, err error) {
	key, err := s.keyOfURI(uri)
	if mlflow.CodeOf(err) == mlflow.CodeInvalidParameterValue || (err == nil && key == "") {
		return Tree{}, nil
	}
	if err != nil {
		return Tree{}, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`select count(*), cast(coalesce(sum(size), 0) as bigint) from file where path >= $1 and path < $2`,
			key+"/", key+"0").Scan(&t.Files, &t.Bytes)
	})
	return t, err
}
