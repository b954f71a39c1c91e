package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

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
