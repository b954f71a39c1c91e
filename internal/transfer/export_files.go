package transfer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// artifacts writes the files of all owners.
func (x *exporter) artifacts(ctx context.Context, spool *bufio.Reader) error {
	for lines := json.NewDecoder(spool); ; {
		var o owner
		err := lines.Decode(&o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		faults := func(name string, err error) {
			x.report.Faults = append(x.report.Faults, Fault{"artifact " + o.Key + "/" + name, err.Error()})
		}
		files := stored{x.from.Files, o.Key}
		err = files.Each(ctx, faults, func(f File) error {
			r, err := f.Open(ctx)
			if err != nil {
				faults(f.Path, err)
				return nil
			}
			defer r.Close()
			// The size of the open file counts: the list may be older.
			if err := x.out.file(o.Dir+"/"+f.Path, o.Number, r.(sized).size, r); err != nil {
				return fmt.Errorf("artifact %s/%s: %w", o.Key, f.Path, err)
			}
			x.progress()
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// stored is a set of files of a store of ours.
type stored struct {
	from FilesReader
	key  string
}

// sized is an open file and its size.
type sized struct {
	io.ReadCloser
	size int64
}

// Empty says whether the folder has no entries.
func (s stored) Empty(ctx context.Context) (bool, error) {
	entries, err := s.from.List(ctx, s.key)
	return len(entries) == 0, err
}

// Each walks through the folder.
func (s stored) Each(ctx context.Context, faults func(string, error), fn func(File) error) error {
	return s.walk(ctx, "", faults, fn)
}

func (s stored) walk(ctx context.Context, below string, faults func(string, error), fn func(File) error) error {
	entries, err := s.from.List(ctx, strings.Trim(s.key+"/"+below, "/"))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		faults(below, err)
		return nil
	}
	for _, e := range entries {
		name := strings.TrimPrefix(below+"/"+e.Path, "/")
		if e.IsDir {
			err = s.walk(ctx, name, faults, fn)
		} else {
			err = fn(File{Path: name, Size: e.FileSize, Open: func(ctx context.Context) (io.ReadCloser, error) {
				r, size, err := s.from.Open(ctx, s.key+"/"+name)
				return sized{r, size}, err
			}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
