package transfer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// RunsReader is the side of experiments, runs and logged models of the store that an export reads.
type RunsReader interface {
	ExportExperiments(tx *sqldb.Tx) ([]mlflow.Experiment, error)
	ExportRuns(tx *sqldb.Tx, experimentID string,
		each func(r *mlflow.Run, deletedAt int64, points func(emit func([]mlflow.Metric) error) error) error) error
	ExportLoggedModels(tx *sqldb.Tx, experimentID string, each func(m *mlflow.LoggedModel, deletedAt int64) error) error
	ExperimentOf(tx *sqldb.Tx, runID, modelID string) (experimentID string, err error)
}

// RegistryReader is its side of registered models.
type RegistryReader interface {
	ExportRegisteredModels(tx *sqldb.Tx, model func(mlflow.RegisteredModel) error,
		version func(v mlflow.ModelVersion, storage, loggedModel string) error) error
}

// FilesReader is its side of artifacts.
type FilesReader interface {
	// KeyOfURI gives the path below the artifact root that a location names; an error says that its files are elsewhere.
	KeyOfURI(uri string) (string, error)
	// List gives the entries of a folder; each Path is the entry's own name.
	List(ctx context.Context, path string) ([]mlflow.FileInfo, error)
	// Open gives a file and its size.
	Open(ctx context.Context, path string) (r io.ReadCloser, size int64, err error)
}

// Store is a store of ours that an export reads.
type Store struct {
	Name     string // for people
	DB       *sqldb.DB
	Runs     RunsReader
	Registry RegistryReader
	Files    FilesReader
}

// ExportOptions say what an export takes.
type ExportOptions struct {
	// Experiments are the ids or names of those to take, with the versions of registered models that were made from them;
	// all and everything when empty.
	Experiments []string
	Program     string // with its version, for the archive's head
	Now         time.Time
	// Progress is called now and then with how many runs and files are in the archive.
	Progress func(runs, files int)
}

// ExportReport says what an export did.
type ExportReport struct {
	Source string   `json:"source"`
	File   string   `json:"file"`
	Counts          // of what is in the archive
	Notes  []string `json:"notes,omitempty"`
	Faults []Fault  `json:"faults,omitempty"`
}

// Write prints the report for people.
func (r *ExportReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("%s → %s", r.Source, r.File)
	for _, row := range []struct {
		what string
		n    int64
	}{
		{"experiments", int64(r.Experiments)}, {"runs", int64(r.Runs)}, {"metric points", r.Points}, {"logged models", int64(r.LoggedModels)},
		{"registered models", int64(r.RegisteredModels)}, {"model versions", int64(r.ModelVersions)}, {"artifact files", int64(r.Files)},
		{"artifact bytes", r.Bytes},
	} {
		p.line("  %-18s %8d", row.what, row.n)
	}
	p.list("Notes", len(r.Notes), func(i int) string { return r.Notes[i] })
	p.list("Left out, because it cannot be read", len(r.Faults), func(i int) string { return r.Faults[i].Where + ": " + r.Faults[i].Why })
	return p.err
}

// Export writes an archive of a store to w; file is its name, whose ending says how it is compressed. All metadata is read
// in one transaction; artifacts follow, as they are when their turn comes. Neither servers nor their clients wait.
func Export(ctx context.Context, from Store, w io.Writer, file string, o ExportOptions) (*ExportReport, error) {
	c := zstdTar
	if file != "-" {
		var err error
		if c, err = codecOfName(file); err != nil {
			return nil, err
		}
	}
	spool, err := os.CreateTemp("", "weir-export-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	out, err := newArchiveWriter(w, c, newHead(o.Program, from.Name, o.Now), o.Now)
	if err != nil {
		return nil, err
	}
	x := &exporter{
		from: from, o: o, out: out, spool: bufio.NewWriter(spool),
		report: &ExportReport{Source: from.Name, File: file}, counts: &out.manifest.Counts, elsewhere: make(map[string]int),
	}
	if err := from.DB.Read(ctx, func(tx *sqldb.Tx) error { return x.metadata(ctx, tx) }); err != nil {
		return nil, err
	}
	if err := x.spool.Flush(); err != nil {
		return nil, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if err := x.artifacts(ctx, bufio.NewReader(spool)); err != nil {
		return nil, err
	}
	if err := out.close(); err != nil {
		return nil, err
	}
	x.report.Counts = *x.counts
	x.noteElsewhere()
	return x.report, nil
}

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
		x.elsewhere[beginning(uri)]++
		return x.owners, nil
	}
	line, err := jsonLine(owner{x.owners, dir, key})
	if err != nil {
		return 0, err
	}
	_, err = x.spool.Write(line)
	return x.owners, err
}

// beginning gives what many locations have in common.
func beginning(uri string) string {
	if path, local := mlflow.LocalPath(uri); local {
		return filepath.Dir(filepath.Dir(filepath.Dir(path)))
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
