package transfer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// Archive is an archive of `weir export` as a source. What it holds was checked when it was opened; it is read piece by
// piece, from where the index says that the pieces are.
type Archive struct {
	file    *os.File
	name    string
	codec   codec
	head    archiveHead
	counts  Counts
	chunks  map[string][]member // "experiments", "experiments/1/runs" and so on → its members
	indexes []member
	numbers map[string]int // experiments' ids → their numbers
	files   ownedFiles
}

// Name is the archive's path.
func (a *Archive) Name() string { return a.name }

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

// open reads one member.
func (a *Archive) open(m member) (io.ReadCloser, error) {
	plain, err := a.codec.reader(io.NewSectionReader(a.file, m.Frame, 1<<62))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.name, errRepacked)
	}
	for t := tar.NewReader(plain); ; {
		h, err := t.Next()
		if err != nil {
			plain.Close()
			return nil, fmt.Errorf("%s: %w", a.name, errRepacked)
		}
		if h.Name == m.Name && h.Size == m.Size {
			return readCloser{t, plain}, nil
		}
	}
}

type readCloser struct {
	io.Reader
	io.Closer
}

// place is a line in the members of one kind.
type place struct{ chunk, line int }

// chunkReader reads the lines of the members of one kind.
type chunkReader struct {
	a      *Archive
	chunks []member
	at     place // of the next line
	open   io.ReadCloser
	lines  *bufio.Reader
}

func (a *Archive) lines(kind string) *chunkReader { return &chunkReader{a: a, chunks: a.chunks[kind]} }

// next gives a line; it is valid until the call after it. The end is io.EOF.
func (c *chunkReader) next() ([]byte, error) {
	for {
		if c.open == nil {
			if c.at.chunk == len(c.chunks) {
				return nil, io.EOF
			}
			r, err := c.a.open(c.chunks[c.at.chunk])
			if err != nil {
				return nil, err
			}
			c.open, c.lines = r, bufio.NewReaderSize(r, 64<<10)
		}
		line, err := readLine(c.lines)
		if err == nil {
			c.at.line++
			return line, nil
		}
		c.close()
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
		c.at = place{c.at.chunk + 1, 0}
	}
}

func (c *chunkReader) close() {
	if c.open != nil {
		c.open.Close()
		c.open = nil
	}
}

// seek goes to a line.
func (c *chunkReader) seek(to place) error {
	c.close()
	c.at = place{chunk: to.chunk}
	for c.at != to {
		if _, err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := append([]byte(nil), line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > longestLine {
			return nil, errors.New("a line is too long")
		}
		line, err = r.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

// each calls fn with every line of one kind.
func (a *Archive) each(ctx context.Context, kind string, fn func(line []byte) error) error {
	c := a.lines(kind)
	defer c.close()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := c.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(line); err != nil {
			return err
		}
	}
}

// Experiments gives the archive's experiments. Artifacts are handed out in order, so each list of the source is read once.
func (a *Archive) Experiments(ctx context.Context, _ Faults) (all []Experiment, err error) {
	a.numbers, a.files = make(map[string]int), ownedFiles{a: a}
	return all, a.each(ctx, "experiments", func(line []byte) error {
		var l experimentLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		all = append(all, Experiment{Experiment: l.Experiment})
		a.numbers[l.Experiment.ExperimentID] = len(all)
		return nil
	})
}

// held is how many bytes of a run's points are kept until it is its turn; those of a longer one are read again then.
const held = 1 << 20

// Runs gives the runs of an experiment.
func (a *Archive) Runs(ctx context.Context, e Experiment, _ Faults, fn func(*Run) error) error {
	kind := fmt.Sprintf("experiments/%d/runs", a.numbers[e.ExperimentID])
	c := a.lines(kind)
	defer c.close()
	var waiting *Run
	var points *runPoints
	send := func() error {
		r := waiting
		if waiting = nil; r == nil {
			return nil
		}
		return fn(r)
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := c.next()
		if errors.Is(err, io.EOF) {
			return send()
		}
		if err != nil {
			return err
		}
		if isPoints(line) {
			if points != nil {
				points.keep(line)
			}
			continue
		}
		if err := send(); err != nil {
			return err
		}
		var l runLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		if l.Run == nil {
			return errors.New("a line of runs is neither a run nor points")
		}
		points = &runPoints{a: a, kind: kind, at: c.at}
		waiting = &Run{Run: *l.Run, DeletedAt: l.DeletedAt, Points: points.each}
		if waiting.Files, err = a.files.of(l.Owner); err != nil {
			return err
		}
	}
}

func isPoints(line []byte) bool { return bytes.HasPrefix(line, []byte(`{"points":`)) }

// runPoints are the lines of one run's points: kept when they are few, else read again.
type runPoints struct {
	a    *Archive
	kind string
	at   place // of the first line
	kept bytes.Buffer
	more bool
}

func (p *runPoints) keep(line []byte) {
	if p.more = p.more || p.kept.Len()+len(line) > held; p.more {
		p.kept = bytes.Buffer{}
		return
	}
	p.kept.Write(line)
}

func (p *runPoints) each(emit func([]mlflow.Metric) error) error {
	one := func(line []byte) error {
		var l pointsLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		list, ok := l.Points.metrics()
		if !ok {
			return errors.New("columns of points differ in length")
		}
		return emit(list)
	}
	if !p.more {
		for line := range bytes.Lines(p.kept.Bytes()) {
			if err := one(line); err != nil {
				return err
			}
		}
		return nil
	}
	c := p.a.lines(p.kind)
	defer c.close()
	if err := c.seek(p.at); err != nil {
		return err
	}
	for {
		line, err := c.next()
		if errors.Is(err, io.EOF) || err == nil && !isPoints(line) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := one(line); err != nil {
			return err
		}
	}
}

// LoggedModels gives the logged models of an experiment.
func (a *Archive) LoggedModels(ctx context.Context, e Experiment, _ Faults, fn func(*LoggedModel) error) error {
	return a.each(ctx, fmt.Sprintf("experiments/%d/models", a.numbers[e.ExperimentID]), func(line []byte) error {
		var l modelLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		if l.Model == nil {
			return errors.New("a line of logged models is none")
		}
		files, err := a.files.of(l.Owner)
		if err != nil {
			return err
		}
		return fn(&LoggedModel{LoggedModel: *l.Model, Deleted: l.DeletedAt != 0, DeletedAt: l.DeletedAt, Files: files})
	})
}

// RegisteredModels gives the registered models.
func (a *Archive) RegisteredModels(ctx context.Context, _ Faults, fn func(*RegisteredModel) error) error {
	var waiting *RegisteredModel
	err := a.each(ctx, "registry", func(line []byte) error {
		var l registryLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		switch {
		case l.Model != nil:
			before := waiting
			if waiting = (&RegisteredModel{RegisteredModel: *l.Model}); before != nil {
				return fn(before)
			}
		case l.Version != nil && waiting != nil:
			v := ModelVersion{ModelVersion: *l.Version, Storage: l.Storage, LoggedModel: l.LoggedModel}
			if l.Owner != 0 {
				files, err := a.files.of(l.Owner)
				if err != nil {
					return err
				}
				v.Files = files
			}
			waiting.Versions = append(waiting.Versions, v)
		default:
			return errors.New("a line of the registry is neither a model nor a version")
		}
		return nil
	})
	if err != nil || waiting == nil {
		return err
	}
	return fn(waiting)
}

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
