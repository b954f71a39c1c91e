package transfer

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

type exporter struct {
	from      Store
	o         ExportOptions
	out       *archiveWriter
	counts    *Counts
	report    *ExportReport
	taken     map[string]bool // ids of the experiments that are taken; nil for all
	owners    int64           // given out
	spool     *bufio.Writer   // of the owners that may have files
	elsewhere map[string]int  // beginnings of locations that are not in the artifact root → how many owners are there
}

// owner is a line of the spool.
type owner struct {
	Number int64  `json:"number"`
	Dir    string `json:"dir"` // in the archive
	Key    string `json:"key"` // below the artifact root
}

func (x *exporter) progress() {
	if x.o.Progress != nil {
		x.o.Progress(x.counts.Runs, x.counts.Files)
	}
}

func (x *exporter) metadata(ctx context.Context, tx *sqldb.Tx) error {
	all, err := x.from.Runs.ExportExperiments(tx)
	if err != nil {
		return err
	}
	if all, err = x.choose(all); err != nil {
		return err
	}
	list := x.out.lines(listMember)
	for _, e := range all {
		x.counts.Experiments++
		if err := list.add(experimentLine{e}); err != nil {
			return err
		}
	}
	if err := list.flush(); err != nil {
		return err
	}
	for i, e := range all {
		if err := x.runs(ctx, tx, i+1, e); err != nil {
			return err
		}
	}
	for i, e := range all {
		if err := x.loggedModels(ctx, tx, i+1, e); err != nil {
			return err
		}
	}
	return x.registry(ctx, tx)
}

// choose picks the experiments that are asked for, by id or by name.
func (x *exporter) choose(all []mlflow.Experiment) (chosen []mlflow.Experiment, err error) {
	if len(x.o.Experiments) == 0 {
		return all, nil
	}
	x.taken = make(map[string]bool)
	for _, want := range x.o.Experiments {
		i := slices.IndexFunc(all, func(e mlflow.Experiment) bool { return e.ExperimentID == want })
		if i < 0 {
			i = slices.IndexFunc(all, func(e mlflow.Experiment) bool { return e.Name == want })
		}
		if i < 0 {
			return nil, fmt.Errorf("%s has no experiment with the id or name %q", x.from.Name, want)
		}
		x.taken[all[i].ExperimentID] = true
	}
	for _, e := range all {
		if x.taken[e.ExperimentID] {
			chosen = append(chosen, e)
		}
	}
	return chosen, nil
}

func (x *exporter) runs(ctx context.Context, tx *sqldb.Tx, number int, e mlflow.Experiment) error {
	out := x.out.lines(fmt.Sprintf("experiments/%d/runs-", number) + "%06d.jsonl")
	err := x.from.Runs.ExportRuns(tx, e.ExperimentID, func(r *mlflow.Run, deletedAt int64, each func(emit func([]mlflow.Metric) error) error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		number, err := x.own(r.Info.ArtifactURI, filesDir(runFiles, r.Info.RunID))
		if err != nil {
			return err
		}
		if err := out.add(runLine{r, deletedAt, number}); err != nil {
			return err
		}
		x.counts.Runs++
		x.progress()
		return each(func(list []mlflow.Metric) error {
			x.counts.Points += int64(len(list))
			return out.add(pointsLine{pointsOf(list)})
		})
	})
	if err != nil {
		return err
	}
	return out.flush()
}

func (x *exporter) loggedModels(ctx context.Context, tx *sqldb.Tx, number int, e mlflow.Experiment) error {
	out := x.out.lines(fmt.Sprintf("experiments/%d/models-", number) + "%06d.jsonl")
	err := x.from.Runs.ExportLoggedModels(tx, e.ExperimentID, func(m *mlflow.LoggedModel, deletedAt int64) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		number, err := x.own(m.Info.ArtifactURI, filesDir(modelFiles, m.Info.ModelID))
		if err != nil {
			return err
		}
		x.counts.LoggedModels++
		return out.add(modelLine{m, deletedAt, number})
	})
	if err != nil {
		return err
	}
	return out.flush()
}

// registry writes the registered models: all, or those that have a version from the experiments that are taken.
func (x *exporter) registry(ctx context.Context, tx *sqldb.Tx) error {
	out := x.out.lines("registry-%06d.jsonl")
	var waiting *mlflow.RegisteredModel // until it has a version to be taken
	write := func() error {
		m := waiting
		if waiting = nil; m == nil {
			return nil
		}
		x.counts.RegisteredModels++
		return out.add(registryLine{Model: m})
	}
	err := x.from.Registry.ExportRegisteredModels(tx, func(m mlflow.RegisteredModel) error {
		if waiting = &m; x.taken == nil {
			return write()
		}
		return ctx.Err()
	}, func(v mlflow.ModelVersion, storage, loggedModel string) error {
		if x.taken != nil {
			taken := false
			for _, ids := range [][2]string{{v.RunID.Value, ""}, {"", loggedModel}} {
				from, err := x.from.Runs.ExperimentOf(tx, ids[0], ids[1])
				if err != nil {
					return err
				}
				taken = taken || x.taken[from]
			}
			if !taken {
				return nil
			}
		}
		if err := write(); err != nil {
			return err
		}
		line := registryLine{Version: &v, Storage: storage, LoggedModel: loggedModel}
		own, err := x.hasOwnFiles(tx, storage)
		if err == nil && own && v.CurrentStage != deletedVersion {
			line.Owner, err = x.own(storage, filesDir(versionFiles, v.Name, v.Version))
		}
		if err != nil {
			return err
		}
		x.counts.ModelVersions++
		return out.add(line)
	})
	if err != nil {
		return err
	}
	return out.flush()
}

// hasOwnFiles says whether a model version's files are those of no run and no logged model that is taken: their folders
// bear the id of what they belong to.
func (x *exporter) hasOwnFiles(tx *sqldb.Tx, storage string) (bool, error) {
	key, err := x.from.Files.KeyOfURI(storage)
	if err != nil || storage == "" {
		return false, nil
	}
	for segment := range strings.SplitSeq(key, "/") {
		for _, ids := range [][2]string{{segment, ""}, {"", segment}} {
			from, err := x.from.Runs.ExperimentOf(tx, ids[0], ids[1])
			if err != nil {
				return false, err
			}
			if from != "" && (x.taken == nil || x.taken[from]) {
				return false, nil
			}
		}
	}
	return true, nil
}

// own gives the number of a new owner of files, and notes where they are.
func (x *exporter) own(uri, dir string) (int64, error) {
	x.owners++
	key, err := x.from.Files.KeyOfURI(uri)
	if err != nil || uri == "" {
		x.elsewhere[PlaceOf(uri)]++
		return x.owners, nil
	}
	line, err := jsonLine(owner{x.owners, dir, key})
	if err != nil {
		return 0, err
	}
	_, err = x.spool.Write(line)
	return x.owners, err
}

// PlaceOf gives what the artifact locations of many runs have in common: the folder of their experiments, or a bucket.
func PlaceOf(uri string) string {
	if path, local := mlflow.LocalPath(uri); local {
		place := filepath.Dir(filepath.Dir(path)) // without RUN/artifacts
		if filepath.Base(place) == modelsDir {
			place = filepath.Dir(place)
		}
		if _, err := strconv.ParseUint(filepath.Base(place), 10, 64); err == nil {
			place = filepath.Dir(place) // without the experiment's id
		}
		return place
	}
	if u, err := url.Parse(uri); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return uri
}

func (x *exporter) noteElsewhere() {
	for where, n := range x.elsewhere {
		x.report.Notes = append(x.report.Notes, fmt.Sprintf("artifacts at %s (of %d runs, models or versions) are not in this server's artifact root: they stay there, and are not in the archive", where, n))
	}
	slices.Sort(x.report.Notes)
}
