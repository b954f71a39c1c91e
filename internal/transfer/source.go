package transfer

import (
	"context"

	"github.com/weir-ml/weir/mlflow"
)

// Source is a store that is read.
type Source interface {
	// Name names the store for people.
	Name() string
	// Experiments gives all experiments, deleted ones too, without their runs.
	Experiments(ctx context.Context, faults Faults) ([]Experiment, error)
	// Runs calls each with every run of an experiment. It is not called again before the call before has returned.
	Runs(ctx context.Context, e Experiment, faults Faults, each func(*Run) error) error
	// LoggedModels calls each with every logged model of an experiment.
	LoggedModels(ctx context.Context, e Experiment, faults Faults, each func(*LoggedModel) error) error
	// RegisteredModels calls each with every registered model.
	RegisteredModels(ctx context.Context, faults Faults, each func(*RegisteredModel) error) error
	// Close lets go of what the source has open.
	Close() error
}

// Faults is told of each part of a store that cannot be read, and why; the reading goes on without it.
type Faults func(where string, err error)

// Experiment is an experiment of a source.
type Experiment struct {
	mlflow.Experiment
	dir string // where a file tree has it
}

// Run is a run of a source. Its metrics come by Points, in pieces of one metric each.
type Run struct {
	mlflow.Run
	Complete  func(ctx context.Context) error // when set: reads what is not here yet; called once, and only for runs that are wanted
	DeletedAt int64                           // in milliseconds, 0 when not known
	Points    func(emit func([]mlflow.Metric) error) error
	Files     FileSet // its artifacts that the source has itself; nil when it has none
}

// LoggedModel is a logged model of a source with all points of its metrics.
type LoggedModel struct {
	mlflow.LoggedModel
	Deleted   bool
	DeletedAt int64   // in milliseconds, 0 when not known
	Files     FileSet // as in Run
}

// RegisteredModel is a registered model of a source with its versions, which bear their aliases.
type RegisteredModel struct {
	mlflow.RegisteredModel
	Versions []ModelVersion
}

// ModelVersion is a version of a registered model, deleted ones included.
type ModelVersion struct {
	mlflow.ModelVersion
	Storage     string  // where its files are when that is not its source
	LoggedModel string  // the id of the logged model that it was made of
	Files       FileSet // its files when they may be neither its run's nor its logged model's; else nil
}
