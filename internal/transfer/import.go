package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/weir-ml/weir/mlflow"
)

// Experiments is the side of experiments of the store that an import writes to.
type Experiments interface {
	MatchExperiment(ctx context.Context, e mlflow.Experiment) (id string, idTaken bool, err error)
	ImportExperiment(ctx context.Context, e mlflow.Experiment) (here mlflow.Experiment, added bool, err error)
}

// Runs is its side of runs.
type Runs interface {
	HasRun(ctx context.Context, runID string) (bool, error)
	ImportRun(ctx context.Context, r *mlflow.Run, deletedAt int64, points func(emit func([]mlflow.Metric) error) error) (added bool, err error)
}

// LoggedModels is its side of logged models.
type LoggedModels interface {
	HasLoggedModel(ctx context.Context, modelID string) (bool, error)
	ImportLoggedModel(ctx context.Context, m *mlflow.LoggedModel, deletedAt int64) (added bool, lost int, err error)
}

// Registry is its side of registered models.
type Registry interface {
	HasRegisteredModel(ctx context.Context, name string) (bool, error)
	HasModelVersion(ctx context.Context, name string, number int64) (bool, error)
	ImportRegisteredModel(ctx context.Context, m mlflow.RegisteredModel) (added bool, err error)
	ImportModelVersion(ctx context.Context, v mlflow.ModelVersion, storage, loggedModel string) (added bool, err error)
}

// Files is where artifacts are kept, below one root.
type Files interface {
	// Size gives a file's size, and -1 when there is none.
	Size(ctx context.Context, path string) (int64, error)
	Put(ctx context.Context, path string, r io.Reader, size int64) error
}

// Target is the store that an import writes to.
type Target struct {
	Name         string // for people
	Experiments  Experiments
	Runs         Runs
	LoggedModels LoggedModels
	Registry     Registry
	Files        Files
	// Root is the local folder of the artifact root, where files that lie below it stay; empty when it is not a folder.
	Root string
}

// Options say how an import runs.
type Options struct {
	DryRun bool
	// Progress is called now and then with how many runs have been looked at and how many files have been copied.
	Progress func(runs, files int)
}

// deletedVersion is the stage of a deleted model version, whose source is forgotten.
const deletedVersion = "Deleted_Internal"

// workers is how many runs are on their way at once: enough to share commits, few enough for a disk.
const workers = 8

// Import brings everything that src has into the target. The error says that the target cannot be written or that the
// source as a whole cannot be read; single faults are in the Report.
func Import(ctx context.Context, src Source, to Target, o Options) (*Report, error) {
	im := &importer{
		src: src, to: to, o: o, place: newPlaces(to),
		report: &Report{Source: src.Name(), Target: to.Name, DryRun: o.DryRun},
	}
	err := im.run(ctx)
	for dir, n := range im.place.absent {
		im.report.note("there is no folder %s here: artifacts that %d runs or logged models may have in it are not imported", dir, n)
	}
	im.report.sort()
	return im.report, err
}

type importer struct {
	src    Source
	to     Target
	o      Options
	place  *places
	report *Report

	mu          sync.Mutex
	runsSeen    int
	filesCopied int
}

// progress counts runs and files, and says so.
func (im *importer) progress(runs, files int) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.runsSeen += runs
	im.filesCopied += files
	if im.o.Progress != nil {
		im.o.Progress(im.runsSeen, im.filesCopied)
	}
}

func (im *importer) run(ctx context.Context) error {
	experiments, err := im.src.Experiments(ctx, im.report.fault)
	if err != nil {
		return err
	}
	here := make([]Experiment, len(experiments))
	for i, e := range experiments {
		if here[i], err = im.experiment(ctx, e); err != nil {
			return err
		}
	}
	for i, e := range experiments {
		if err := im.runs(ctx, e, here[i]); err != nil {
			return err
		}
	}
	// Points of logged models name runs of any experiment.
	for i, e := range experiments {
		err := im.src.LoggedModels(ctx, e, im.report.fault, func(m *LoggedModel) error { return im.loggedModel(ctx, m, here[i]) })
		if err != nil {
			return err
		}
	}
	return im.src.RegisteredModels(ctx, im.report.fault, func(m *RegisteredModel) error { return im.registeredModel(ctx, m) })
}

// experiment brings in an experiment and gives it as it is in the target.
func (im *importer) experiment(ctx context.Context, e Experiment) (Experiment, error) {
	what := "experiment " + e.ExperimentID
	if err := checkID(e.ExperimentID); err != nil {
		im.report.fault(what, err)
		e.ExperimentID = "" // its runs have nowhere to go
		return e, nil
	}
	im.checkTexts(what, &e.Tags)
	id, taken, err := im.to.Experiments.MatchExperiment(ctx, e.Experiment)
	if isFault(err) { // a name that cannot be stored
		im.report.fault(what, err)
		e.ExperimentID = ""
		return e, nil
	}
	if err != nil {
		return e, err
	}
	in := e.Experiment
	in.ArtifactLocation = im.place.experiment(e)
	if im.o.DryRun {
		im.report.count(&im.report.Experiments, id == "")
		switch {
		case id != "" && id != e.ExperimentID:
			im.report.note("experiment %s %q: its runs would go to experiment %s, which has its name", e.ExperimentID, e.Name, id)
		case id == "" && taken:
			im.report.note("experiment %s %q: would get a new id, because another experiment has this one", e.ExperimentID, e.Name)
		}
		if id != "" {
			in.ExperimentID = id
		} else if location := in.ArtifactLocation; location == "" {
			im.report.rewrite(what, e.ArtifactLocation, proxied+e.ExperimentID)
		} else {
			im.report.rewrite(what, e.ArtifactLocation, location)
		}
		e.Experiment = in
		return e, nil
	}
	from := e.ArtifactLocation
	here, added, err := im.to.Experiments.ImportExperiment(ctx, in)
	if err != nil {
		if isFault(err) {
			im.report.fault(what, err)
			e.ExperimentID = "" // its runs have nowhere to go
			return e, nil
		}
		return e, fmt.Errorf("%s: %w", what, err)
	}
	im.report.count(&im.report.Experiments, added)
	switch {
	case here.ExperimentID == e.ExperimentID:
	case added:
		im.report.note("experiment %s %q: has the id %s here, because another experiment has its own", e.ExperimentID, e.Name, here.ExperimentID)
	default:
		im.report.note("experiment %s %q: its runs are in experiment %s, which has its name", e.ExperimentID, e.Name, here.ExperimentID)
	}
	if added {
		im.report.rewrite(what, from, here.ArtifactLocation)
	}
	e.Experiment = here
	return e, nil
}

// runs brings in the runs of an experiment, several at once.
func (im *importer) runs(ctx context.Context, e, here Experiment) error {
	if here.ExperimentID == "" {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan *Run)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for r := range queue {
				if err := im.oneRun(ctx, r, here); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := im.src.Runs(ctx, e, im.report.fault, func(r *Run) error {
		im.progress(1, 0)
		select {
		case queue <- r:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(queue)
	group.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

func (im *importer) oneRun(ctx context.Context, r *Run, here Experiment) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	what := "run " + r.Info.RunID
	_, err := statusOf(string(r.Info.Status))
	if err = cmp.Or(err, checkID(r.Info.RunID)); err != nil {
		im.report.fault(what, err)
		return nil
	}
	has, err := im.to.Runs.HasRun(ctx, r.Info.RunID)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	from := r.Info.ArtifactURI
	files, to, err := im.place.run(ctx, r, here, has)
	if err != nil {
		return fmt.Errorf("%s, artifacts: %w", what, err)
	}
	r.Info.ArtifactURI = to
	if has {
		im.report.count(&im.report.Runs, false)
		return nil
	}
	if r.Complete != nil {
		if err := r.Complete(ctx); isFault(err) { // it is gone meanwhile
			im.report.fault(what, err)
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	im.checkTexts(what, &r.Data.Params, &r.Data.Tags)
	// The files come first: a run that is there is whole.
	if err := im.copyFiles(ctx, what, files); err != nil {
		return err
	}
	if im.o.DryRun {
		im.report.count(&im.report.Runs, true)
		im.report.rewrite(what, from, to)
		return nil
	}
	r.Info.ExperimentID = here.ExperimentID
	var points int64
	added, err := im.to.Runs.ImportRun(ctx, &r.Run, r.DeletedAt, func(emit func([]mlflow.Metric) error) error {
		return r.Points(func(list []mlflow.Metric) error {
			points += int64(len(list))
			return emit(list)
		})
	})
	if err != nil {
		if isFault(err) {
			im.report.fault(what, err)
			return nil
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	im.report.count(&im.report.Runs, added)
	if added {
		im.report.do(func() { im.report.Points += points })
		im.report.rewrite(what, from, to)
	}
	return nil
}

func (im *importer) loggedModel(ctx context.Context, m *LoggedModel, here Experiment) error {
	if here.ExperimentID == "" {
		return nil
	}
	what := "logged model " + m.Info.ModelID
	_, err := modelStatusOf(string(m.Info.Status))
	if err = cmp.Or(err, checkID(m.Info.ModelID)); err != nil {
		im.report.fault(what, err)
		return nil
	}
	has, err := im.to.LoggedModels.HasLoggedModel(ctx, m.Info.ModelID)
	if err != nil {
		return err
	}
	from := m.Info.ArtifactURI
	files, to, err := im.place.loggedModel(ctx, m, here, has)
	if err != nil {
		return fmt.Errorf("%s, artifacts: %w", what, err)
	}
	m.Info.ArtifactURI = to
	im.checkTexts(what, &m.Data.Params, &m.Info.Tags)
	if !has {
		if err := im.copyFiles(ctx, what, files); err != nil {
			return err
		}
		im.report.rewrite(what, from, to)
	}
	if im.o.DryRun {
		im.report.count(&im.report.LoggedModels, !has)
		return nil
	}
	deletedAt := int64(0)
	if m.Deleted {
		deletedAt = cmp.Or(m.DeletedAt, max(m.Info.LastUpdatedTimestamp, 1))
	}
	m.Info.ExperimentID = here.ExperimentID
	added, lost, err := im.to.LoggedModels.ImportLoggedModel(ctx, &m.LoggedModel, deletedAt)
	if err != nil {
		if isFault(err) {
			im.report.fault(what, err)
			return nil
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	im.report.count(&im.report.LoggedModels, added)
	if added && lost > 0 {
		im.report.fault(what, fmt.Errorf("%d points of its metrics belong to runs that are not here", lost))
	}
	return nil
}

// checkID refuses ids that no folder of the artifact root can have as its name.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("it has no id")
	case len(id) > 256, id[0] == '.', !fs.ValidPath(id), strings.Contains(id, `\`), strings.ContainsFunc(id, unicode.IsControl):
		return errors.New("its id cannot be the name of a folder")
	}
	return nil
}

// checkTexts drops from lists what no database here can hold, and names it.
func (im *importer) checkTexts(what string, lists ...*[]mlflow.KeyValue) {
	for _, list := range lists {
		var kept []mlflow.KeyValue
		for _, kv := range *list {
			switch {
			case strings.ContainsRune(kv.Key+kv.Value, 0):
				im.report.fault(what+", "+kv.Key, errors.New("its text holds the character U+0000"))
			case !utf8.ValidString(kv.Key) || !utf8.ValidString(kv.Value):
				im.report.fault(what+", "+strings.ToValidUTF8(kv.Key, "�"), errors.New("its text is not UTF-8"))
			default:
				kept = append(kept, kv)
			}
		}
		*list = kept
	}
}

// isFault tells what is wrong with one object from what is wrong with the store.
func isFault(err error) bool {
	switch mlflow.CodeOf(err) {
	case mlflow.CodeInvalidParameterValue, mlflow.CodeBadRequest, mlflow.CodeResourceDoesNotExist, mlflow.CodeResourceAlreadyExists:
		return true
	}
	return false
}
