package transfer

import (
	"bufio"
	"context"
	"io"
	"os"
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
