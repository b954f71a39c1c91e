package tracking

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

//go:embed migrations
var migrations embed.FS

// Options sets up a Store. The zero value of each field is its default.
type Options struct {
	DefaultArtifactRoot string           // where new experiments keep files; "mlflow-artifacts:/"
	WorkDir             string           // what a relative artifact location is relative to; "/"
	Now                 func() time.Time // time.Now
	Random              io.Reader        // of run ids and names; crypto/rand
	RejectLongValues    bool             // 400 for long param and tag values instead of cutting them
}

// Store is the tracking domain on a database.
type Store struct {
	db   *sqldb.DB
	o    Options
	logs *sqldb.Queue[*logOp]
	keys keyCache
	// tails is of PostgreSQL only, see writeTails
	tails tailLengths
	// probe is probeLimit and narrow narrowFrom, but for tests
	probe, narrow int

	stop    context.CancelFunc
	working sync.WaitGroup
	docs    chan int64 // runs whose documents are to be built
}

// New makes the tables if need be, makes the default experiment in an empty store, and finishes what an earlier process
// left half done. Close the store before db.
func New(db *sqldb.DB, o Options) (*Store, error) {
	if o.DefaultArtifactRoot == "" {
		o.DefaultArtifactRoot = "mlflow-artifacts:/"
	}
	if o.WorkDir == "" {
		o.WorkDir = "/"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	s := &Store{db: db, o: o, probe: probeLimit, narrow: narrowFrom, docs: make(chan int64, 4096)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "tracking", files); err != nil {
		return nil, err
	}
	if err := s.ensureDefault(ctx); err != nil {
		return nil, fmt.Errorf("default experiment: %w", err)
	}
	s.logs = sqldb.NewQueue(db, s.applyLogs)
	s.working.Go(func() { s.buildDocs(ctx) })
	pending, err := s.pendingExperiments(ctx)
	if err != nil {
		s.Close()
		return nil, err
	}
	for _, p := range pending {
		if err := s.carryOver(ctx, p.id, p.action); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Close waits for what the store does in the background. Calls that come later fail.
func (s *Store) Close() error {
	s.stop()
	s.working.Wait()
	s.logs.Close()
	return nil
}

// Mount offers the tracking routes.
func (s *Store) Mount(rt *api.Router) {
	experiment := api.Resource{Kind: "experiment", Field: "experiment_id"}
	run := api.Resource{Kind: "run", Field: "run_id"}

	api.Handle(rt, "POST mlflow/experiments/create", api.Create("experiment"), s.CreateExperiment)
	api.Handle(rt, "GET|POST mlflow/experiments/search", api.List("experiment"), s.SearchExperiments)
	api.Handle(rt, "GET mlflow/experiments/list", api.List("experiment"), s.SearchExperiments) // clients of MLflow 1
	api.Handle(rt, "GET mlflow/experiments/get", api.Read(experiment), s.GetExperiment)
	api.Handle(rt, "GET mlflow/experiments/get-by-name", api.List("experiment"), s.GetExperimentByName)
	api.Handle(rt, "POST mlflow/experiments/delete", api.Delete(experiment), s.DeleteExperiment)
	api.Handle(rt, "POST mlflow/experiments/restore", api.Delete(experiment), s.RestoreExperiment)
	api.Handle(rt, "POST mlflow/experiments/update", api.Edit(experiment), s.UpdateExperiment)
	api.Handle(rt, "POST mlflow/experiments/set-experiment-tag", api.Edit(experiment), s.SetExperimentTag)
	api.Handle(rt, "POST mlflow/experiments/delete-experiment-tag", api.Edit(experiment), s.DeleteExperimentTag)

	api.Handle(rt, "POST mlflow/runs/create", api.Edit(experiment), s.CreateRun)
	api.Handle(rt, "POST mlflow/runs/update", api.Edit(run), s.UpdateRun)
	api.Handle(rt, "POST mlflow/runs/delete", api.Delete(run), s.DeleteRun)
	api.Handle(rt, "POST mlflow/runs/restore", api.Delete(run), s.RestoreRun)
	api.Handle(rt, "GET mlflow/runs/get", api.Read(run), s.GetRun)
	api.Handle(rt, "POST mlflow/runs/search", api.List("experiment"), s.SearchRuns)
	api.HandleScan(rt, "POST mlflow/runs/log-metric", api.Edit(run), scanLogMetric, s.LogMetric)
	api.Handle(rt, "POST mlflow/runs/log-parameter", api.Edit(run), s.LogParam)
	api.Handle(rt, "POST mlflow/runs/set-tag", api.Edit(run), s.SetTag)
	api.Handle(rt, "POST mlflow/runs/delete-tag", api.Edit(run), s.DeleteTag)
	api.HandleScan(rt, "POST mlflow/runs/log-batch", api.Edit(run), s.scanLogBatch, s.LogBatch)
	api.Handle(rt, "POST mlflow/runs/log-model", api.Edit(run), s.LogModel)

	api.Stream(rt, "GET mlflow/metrics/get-history", api.Read(run), s.getHistory)
	api.Handle(rt, "GET mlflow/metrics/get-history-bulk", api.List("experiment"), s.GetHistoryBulk)
	api.Handle(rt, "GET mlflow/metrics/get-history-bulk-interval", api.List("experiment"), s.GetHistoryInterval)
	api.Handle(rt, "GET /api/weir/v1/metrics/chart", api.List("experiment"), s.Chart)

	s.mountOverview(rt)
	s.mountInputs(rt)
	s.mountModels(rt)
}

// RunArtifacts says where a run's files are and to which experiment it belongs; deleted runs have theirs too.
func (s *Store) RunArtifacts(ctx context.Context, runID string) (artifactURI, experimentID string, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		err := tx.QueryRow(`
			select r.artifact_uri, e.public_id from run r join experiment e on e.id = r.exp_id
			where r.uuid = $1`, runID).Scan(&artifactURI, &experimentID)
		if errors.Is(err, sqldb.ErrNoRows) {
			return runNotFound(runID)
		}
		return err
	})
	return artifactURI, experimentID, err
}

// now gives the time in milliseconds since the epoch.
func (s *Store) now() int64 { return s.o.Now().UnixMilli() }

// newRunID gives 32 lower-case hex digits, a random UUID (RFC 9562, version 4) without dashes.
func (s *Store) newRunID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.o.Random, b[:]); err != nil {
		return "", fmt.Errorf("random run id: %w", err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return hex.EncodeToString(b[:]), nil
}

// record notes who deleted or restored something.
func record(tx *sqldb.Tx, at int64, actor api.Actor, kind, id, action string) error {
	_, err := tx.Exec(`insert into tracking_history (at, actor, kind, object_id, action) values ($1, $2, $3, $4, $5)`,
		at, actor.Name, kind, id, action)
	return err
}

func invalid(format string, args ...any) *mlflow.Error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue, format, args...)
}

func notFound(format string, args ...any) *mlflow.Error {
	return mlflow.Errorf(mlflow.CodeResourceDoesNotExist, format, args...)
}

// pyList prints texts as Python prints a list, as MLflow's messages do.
func pyList(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = pyQuote(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func pyQuote(s string) string {
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return `"` + s + `"`
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
