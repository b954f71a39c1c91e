package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
)

// ownedFiles walks through the indexes along with their owners, so that only one index is in memory.
type ownedFiles struct {
	a       *Archive
	next    int // index to read
	pending []member
}

// of gives the files of an owner; the owners are asked for in the order of their numbers, and some may be left out.
func (o *ownedFiles) of(number int64) (FileSet, error) {
	set := &archiveFiles{a: o.a}
	for {
		for i, m := range o.pending {
			if m.Owner > number {
				o.pending = o.pending[i:]
				return set, nil
			}
			if m.Owner == number {
				set.members = append(set.members, m)
			}
		}
		o.pending = nil
		if o.next == len(o.a.indexes) {
			return set, nil
		}
		if err := o.load(o.a.indexes[o.next]); err != nil {
			return nil, err
		}
		o.next++
	}
}

func (o *ownedFiles) load(index member) error {
	r, err := o.a.open(index)
	if err != nil {
		return err
	}
	defer r.Close()
	for lines := json.NewDecoder(r); ; {
		var m member
		if err := lines.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if strings.HasPrefix(m.Name, artifactsDir) {
			o.pending = append(o.pending, m)
		}
	}
}

// archiveFiles are the files of one owner.
type archiveFiles struct {
	a       *Archive
	members []member
}

// Empty says whether the owner has no files.
func (f *archiveFiles) Empty(context.Context) (bool, error) { return len(f.members) == 0, nil }

// Each gives the files.
func (f *archiveFiles) Each(ctx context.Context, faults func(string, error), fn func(File) error) error {
	for _, m := range f.members {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		kind, path, _ := strings.Cut(strings.TrimPrefix(m.Name, artifactsDir), "/")
		_, path, _ = strings.Cut(path, "/") // its id or name
		if kind == versionFiles {
			_, path, _ = strings.Cut(path, "/") // its number
		}
		if !fs.ValidPath(path) || path == "." {
			faults(strconv.Quote(path), errors.New("it is not a path of an artifact"))
			continue
		}
		err := fn(File{Path: path, Size: m.Size, Open: func(context.Context) (io.ReadCloser, error) { return f.a.open(m) }})
		if err != nil {
			return err
		}
	}
	return nil
}
