package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// FileSet are the artifacts of a run, a logged model or a model version that a source has itself.
type FileSet interface {
	// Empty says whether there is none.
	Empty(ctx context.Context) (bool, error)
	// Each calls fn with every file. Faults is told what cannot be read; an error is one of fn or of the source as a whole.
	Each(ctx context.Context, faults func(name string, err error), fn func(f File) error) error
}

// File is one artifact.
type File struct {
	Path string // below its set, with slashes
	Size int64  // in bytes; negative when not known
	// Live says that somebody may be writing the file: its size may be another one when it is read.
	Live bool
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// folder is a set of files on this machine's disk. Links in it are not followed, because what they lead to is no artifact.
type folder string

// Empty says whether nothing is in the folder, or there is no such folder.
func (f folder) Empty(context.Context) (bool, error) { return !hasEntries(string(f)), nil }

// Each walks through the folder.
func (f folder) Each(ctx context.Context, faults func(string, error), fn func(File) error) error {
	if !hasEntries(string(f)) {
		return nil
	}
	if info, err := os.Lstat(string(f)); err != nil || !info.IsDir() {
		faults("", cmp.Or(err, errors.New("the folder is a link")))
		return nil
	}
	root, err := os.OpenRoot(string(f))
	if err != nil {
		faults("", err)
		return nil
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			faults(name, err)
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			faults(name, errors.New("it is a link or a device, not a file"))
			return nil
		}
		info, err := root.Lstat(name)
		if err != nil {
			faults(name, err)
			return nil
		}
		return fn(File{Path: name, Size: info.Size(), Open: func(context.Context) (io.ReadCloser, error) { return root.Open(name) }})
	})
}

// stranger is a folder that a source names as that of a run or logged model and that has no such name. It is left alone: a
// store that somebody else has made could name any folder of ours.
type stranger string

// Empty says that nothing is taken from the folder.
func (stranger) Empty(context.Context) (bool, error) { return true, nil }

// Each names the folder.
func (s stranger) Each(_ context.Context, faults func(string, error), _ func(File) error) error {
	faults("", fmt.Errorf("%s is left alone: MLflow's own folders are named …/RUN/artifacts", string(s)))
	return nil
}

func hasEntries(dir string) bool {
	if dir == "" {
		return false
	}
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(1)
	return len(names) > 0
}

// copying is a set of files that are to be below a path of the artifact root.
type copying struct {
	files FileSet
	path  string
}

// copyFiles copies a set of artifacts. Files that are there in the same size are not copied again: each appears only when
// it is complete.
func (im *importer) copyFiles(ctx context.Context, what string, c copying) error {
	if c.files == nil {
		return nil
	}
	faults := func(name string, err error) { im.report.fault(what+", artifact "+name, err) }
	return c.files.Each(ctx, faults, func(f File) error {
		err := im.copyFile(ctx, f, c.path+"/"+f.Path)
		if err != nil && (isFault(err) || os.IsPermission(err) || os.IsNotExist(err)) {
			faults(f.Path, err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s, artifact %s: %w", what, f.Path, err)
		}
		return nil
	})
}

func (im *importer) copyFile(ctx context.Context, f File, to string) error {
	size, err := im.to.Files.Size(ctx, to)
	if err != nil {
		return err
	}
	if size >= 0 && (size == f.Size || f.Size < 0) {
		im.report.count(&im.report.Files, false)
		return nil
	}
	if !im.o.DryRun {
		r, err := f.Open(ctx)
		if err != nil {
			return err
		}
		defer r.Close()
		counted := &counter{r: r}
		announced := f.Size
		if f.Live {
			announced = -1
		}
		if err := im.to.Files.Put(ctx, to, counted, announced); err != nil {
			return err
		}
		f.Size = counted.n
	}
	im.report.count(&im.report.Files, true)
	im.report.do(func() { im.report.Bytes += max(f.Size, 0) })
	im.progress(0, 1)
	return nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
