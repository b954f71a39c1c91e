package tracking

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// GCFiles removes the files of what gc removes. A place that the files' owner may not touch, because it lies outside the
// artifact root or is not the run's alone, is INVALID_PARAMETER_VALUE: gc then says so and leaves it.
type GCFiles interface {
	MeasureTree(ctx context.Context, uri, owner string) (files, bytes int64, err error)
	RemoveTree(ctx context.Context, uri, owner string) (files, bytes int64, err error)
	// RemoveEmpty removes the folder of an experiment if nothing is left in it.
	RemoveEmpty(uri string)
}

// GCUsers names what still needs the files of a run or a logged model; nothing when it may go.
type GCUsers interface {
	VersionsOfRun(tx *sqldb.Tx, runID, artifactURI string) ([]string, error)
	VersionsOfLoggedModel(tx *sqldb.Tx, modelID, artifactURI string) ([]string, error)
}

// GCOptions say what CollectGarbage removes. With no ids it is everything that is deleted; with ids, of any kind, it is
// that alone, an experiment with all that is in it.
type GCOptions struct {
	RunIDs, ExperimentIDs, LoggedModelIDs []string
	// OlderThan is how long ago it must have been deleted.
	OlderThan time.Duration
	DryRun    bool
	Files     GCFiles
	Users     GCUsers // nil removes what registered models use as well
	// Removed is called for each thing that is gone, or would be. It may be nil.
	Removed func(kind, id string)
}

// GCReport says what CollectGarbage removed, or would remove. Bytes are those of files; SeriesBytes those of metrics.
type GCReport struct {
	DryRun       bool     `json:"dry_run"`
	Runs         int64    `json:"runs"`
	LoggedModels int64    `json:"logged_models"`
	Experiments  int64    `json:"experiments"`
	Files        int64    `json:"files"`
	Bytes        int64    `json:"bytes"`
	Points       int64    `json:"points"`
	SeriesBytes  int64    `json:"series_bytes"`
	Resumed      int64    `json:"resumed"` // what an earlier gc began
	Kept         []GCKept `json:"kept"`    // what stays though it is deleted
	Left         []GCKept `json:"left"`    // places that were not touched, of things that are gone
}

// GCKept is something that gc leaves, and why.
type GCKept struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Why  string `json:"why"`
}

// The kinds of what gc removes, as the table doomed has them and as people read them.
const (
	doomedRun = iota + 1
	doomedModel
	doomedExperiment
)

var doomedKinds = [...]string{doomedRun: "run", doomedModel: "logged model", doomedExperiment: "experiment"}

// doomed is something that is out of its table, but whose files and rows may still be there.
type doomed struct {
	kind     int
	id       int64
	publicID string
	uri      string
}

// gc is one collection.
type gc struct {
	s      *Store
	o      GCOptions
	before int64 // what was deleted later stays
	report *GCReport
}

// CollectGarbage removes for good what is deleted: runs, logged models, experiments, with all their rows and files. It
// works beside servers: each step holds the writer for some milliseconds. What is being removed is out of reach for
// clients at once; when the process is killed, the next call goes on. An id that is unknown is RESOURCE_DOES_NOT_EXIST,
// one that is not deleted, or not for long enough, INVALID_PARAMETER_VALUE; then nothing is removed.
func (s *Store) CollectGarbage(ctx context.Context, o GCOptions) (*GCReport, error) {
	if o.Removed == nil {
		o.Removed = func(kind, id string) {}
	}
	g := &gc{s: s, o: o, before: s.now() - o.OlderThan.Milliseconds(), report: &GCReport{DryRun: o.DryRun, Kept: []GCKept{}, Left: []GCKept{}}}
	plan, err := g.plan(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.resume(ctx); err != nil {
		return g.report, err
	}
	for _, step := range []struct {
		kind int
		ids  []int64
	}{{doomedRun, plan.runs}, {doomedModel, plan.models}, {doomedExperiment, plan.experiments}} {
		if err := g.removeAll(ctx, step.kind, step.ids); err != nil {
			return g.report, err
		}
	}
	return g.report, nil
}

// gcPlan is what may go; each thing is looked at again before it does.
type gcPlan struct{ runs, models, experiments []int64 }

// The times at which things were deleted. Imported ones may lack it; they are as old as they can be.
const (
	runDeletedAt   = `coalesce(r.deleted_at, r.end_time, r.start_time)`
	modelDeletedAt = `coalesce(l.deleted_at, l.updated_at)`
)

func (g *gc) plan(ctx context.Context) (p gcPlan, err error) {
	named := len(g.o.RunIDs)+len(g.o.ExperimentIDs)+len(g.o.LoggedModelIDs) > 0
	return p, g.s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		p = gcPlan{}
		if named {
			return g.planNamed(tx, &p)
		}
		if p.experiments, err = ids(tx, `select e.id from experiment e where e.deleted = 1 and e.updated_at <= $1 order by e.id`, g.before); err != nil {
			return err
		}
		p.runs, err = ids(tx, `
			select r.id from run r where r.deleted = 1 and `+runDeletedAt+` <= $1
			and not exists (select 1 from run_import i where i.run_id = r.id) order by r.id`, g.before)
		if err != nil {
			return err
		}
		// The models of an experiment that goes, go with it.
		p.models, err = ids(tx, `
			select l.id from logged_model l join experiment e on e.id = l.exp_id
			where (l.deleted = 1 and `+modelDeletedAt+` <= $1) or (e.deleted = 1 and e.updated_at <= $1) order by l.id`, g.before)
		return err
	})
}

// planNamed finds what the caller named, and refuses it as MLflow does when it is not deleted.
func (g *gc) planNamed(tx *sqldb.Tx, p *gcPlan) error {
	for _, id := range g.o.ExperimentIDs {
		e, err := findExperiment(tx, id, false)
		if err != nil {
			if g.isDoomed(tx, doomedExperiment, id) {
				continue
			}
			return err
		}
		if !e.deleted {
			return invalid("Experiments ['%s'] are not in the deleted lifecycle stage. Only experiments in the deleted lifecycle stage can be hard-deleted.", id)
		}
		if e.LastUpdateTime > g.before {
			return invalid("Experiments ['%s'] are not older than the required age. Only experiments older than %s can be deleted.", id, g.o.OlderThan)
		}
		p.experiments = append(p.experiments, e.id)
		runs, err := ids(tx, `select r.id from run r where r.exp_id = $1 and r.deleted = 1 order by r.id`, e.id)
		if err != nil {
			return err
		}
		models, err := ids(tx, `select l.id from logged_model l where l.exp_id = $1 order by l.id`, e.id)
		if err != nil {
			return err
		}
		p.runs, p.models = append(p.runs, runs...), append(p.models, models...)
	}
	for _, named := range []struct {
		kind       int
		list       []string
		query      string
		not, young string
		unknown    func(string) error
		add        *[]int64
	}{
		{doomedRun, g.o.RunIDs, `select r.id, r.deleted, ` + runDeletedAt + ` from run r where r.uuid = $1`,
			"Run %s is not in `deleted` lifecycle stage. Only runs in `deleted` lifecycle stage can be deleted.",
			"Run %s is not older than the required age. Only runs older than %s can be deleted.",
			func(id string) error { return runNotFound(id) }, &p.runs},
		{doomedModel, g.o.LoggedModelIDs, `select l.id, l.deleted, ` + modelDeletedAt + ` from logged_model l where l.public_id = $1`,
			"Logged model %s is not in `deleted` lifecycle stage. Only logged models in `deleted` lifecycle stage can be deleted.",
			"Logged model %s is not older than the required age. Only logged models older than %s can be deleted.",
			func(id string) error { return modelNotFound(id) }, &p.models},
	} {
		for _, public := range named.list {
			var id, at int64
			var deleted bool
			err := tx.QueryRow(named.query, public).Scan(&id, &deleted, &at)
			switch {
			case errors.Is(err, sqldb.ErrNoRows) && g.isDoomed(tx, named.kind, public):
				continue
			case errors.Is(err, sqldb.ErrNoRows):
				return named.unknown(public)
			case err != nil:
				return err
			case !deleted:
				return invalid(named.not, public)
			case at > g.before:
				return invalid(named.young, public, g.o.OlderThan)
			}
			*named.add = append(*named.add, id)
		}
	}
	return nil
}

// isDoomed tells whether an earlier gc has begun to remove what an id names.
func (g *gc) isDoomed(tx *sqldb.Tx, kind int, publicID string) bool {
	var n int
	err := tx.QueryRow(`select count(*) from doomed where kind = $1 and public_id = $2`, kind, publicID).Scan(&n)
	return err == nil && n > 0
}

func ids(tx *sqldb.Tx, query string, args ...any) (list []int64, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Close()
}

// gcPiece is how many things are taken out of their tables before their files and rows are removed.
const gcPiece = 50

// removeAll removes what is in the plan, some at a time.
func (g *gc) removeAll(ctx context.Context, kind int, list []int64) error {
	for len(list) > 0 {
		piece := list[:min(len(list), gcPiece)]
		list = list[len(piece):]
		if g.o.DryRun {
			if err := g.preview(ctx, kind, piece); err != nil {
				return err
			}
			continue
		}
		for len(piece) > 0 {
			taken, rest, err := g.take(ctx, kind, piece)
			if err != nil {
				return err
			}
			piece = rest
			if err := g.finish(ctx, taken); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume finishes what an earlier gc began.
func (g *gc) resume(ctx context.Context) error {
	var list []doomed
	err := g.s.db.Read(ctx, func(tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(`select kind, id, public_id, artifact_uri from doomed order by kind, id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var d doomed
			if err := rows.Scan(&d.kind, &d.id, &d.publicID, &d.uri); err != nil {
				return err
			}
			list = append(list, d)
		}
		return rows.Close()
	})
	if err != nil {
		return err
	}
	g.report.Resumed = int64(len(list))
	if g.o.DryRun {
		return g.foresee(ctx, list)
	}
	for len(list) > 0 {
		piece := list[:min(len(list), gcPiece)]
		list = list[len(piece):]
		if err := g.finish(ctx, piece); err != nil {
			return err
		}
	}
	return nil
}

// finish removes the files and then the rows of what is out of its table.
func (g *gc) finish(ctx context.Context, taken []doomed) error {
	if err := g.measure(ctx, taken); err != nil {
		return err
	}
	if err := g.files(ctx, taken); err != nil {
		return err
	}
	if err := g.sweep(ctx, taken); err != nil {
		return err
	}
	for _, d := range taken {
		g.count(d.kind)
		g.o.Removed(doomedKinds[d.kind], d.publicID)
	}
	return nil
}

// foresee counts what finish would remove.
func (g *gc) foresee(ctx context.Context, list []doomed) error {
	if err := g.measure(ctx, list); err != nil {
		return err
	}
	if err := g.files(ctx, list); err != nil {
		return err
	}
	for _, d := range list {
		g.count(d.kind)
		g.o.Removed(doomedKinds[d.kind], d.publicID)
	}
	return nil
}

func (g *gc) count(kind int) {
	switch kind {
	case doomedRun:
		g.report.Runs++
	case doomedModel:
		g.report.LoggedModels++
	case doomedExperiment:
		g.report.Experiments++
	}
}

// gcFilesAtOnce is how many folders are removed at the same time: each waits for the disk, or for a store far away.
const gcFilesAtOnce = 8

// files removes, or measures, the files of what was taken. Faults of the store end the gc, which can be repeated.
func (g *gc) files(ctx context.Context, list []doomed) error {
	do := g.o.Files.RemoveTree
	if g.o.DryRun {
		do = g.o.Files.MeasureTree
	}
	type size struct {
		files, bytes int64
		err          error
	}
	sizes := make([]size, len(list))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(gcFilesAtOnce, len(list)) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
				if d := list[i]; d.kind != doomedExperiment {
					sizes[i].files, sizes[i].bytes, sizes[i].err = do(ctx, d.uri, d.publicID)
				}
			}
		})
	}
	group.Wait()
	for i, d := range list {
		err := sizes[i].err
		switch {
		case mlflow.CodeOf(err) == mlflow.CodeInvalidParameterValue:
			g.report.Left = append(g.report.Left, GCKept{doomedKinds[d.kind], d.publicID, err.Error()})
		case err != nil:
			return fmt.Errorf("the files of %s %s: %w", doomedKinds[d.kind], d.publicID, err)
		case d.kind == doomedExperiment && !g.o.DryRun:
			g.o.Files.RemoveEmpty(d.uri)
		}
		g.report.Files += sizes[i].files
		g.report.Bytes += sizes[i].bytes
	}
	return nil
}

func (g *gc) keep(kind int, id, why string, args ...any) {
	g.report.Kept = append(g.report.Kept, GCKept{doomedKinds[kind], id, fmt.Sprintf(why, args...)})
}

func (g *gc) keepUsed(kind int, id string, users []string) {
	g.keep(kind, id, "its files are those of %s", strings.Join(users, ", "))
}
