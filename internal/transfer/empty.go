package transfer

import (
	"context"
	"errors"
	"io"

	"github.com/weir-ml/weir/mlflow"
)

// EmptyTarget stands for a store that does not exist yet, in dry runs. It holds nothing and takes nothing. CheckPath says what
// is wrong with an artifact's path that the store would refuse.
func EmptyTarget(name string, checkPath func(path string) error) Target {
	var n nothing
	return Target{Name: name, Experiments: n, Runs: n, LoggedModels: n, Registry: n, Files: noFiles{n, checkPath}}
}

type nothing struct{}

type noFiles struct {
	nothing
	check func(path string) error
}

var errNothing = errors.New("a dry run writes nothing")

func (nothing) MatchExperiment(context.Context, mlflow.Experiment) (string, bool, error) {
	return "", false, nil
}

func (nothing) ImportExperiment(context.Context, mlflow.Experiment) (mlflow.Experiment, bool, error) {
	return mlflow.Experiment{}, false, errNothing
}

func (nothing) HasRun(context.Context, string) (bool, error) { return false, nil }

func (nothing) ImportRun(context.Context, *mlflow.Run, int64, func(func([]mlflow.Metric) error) error) (bool, error) {
	return false, errNothing
}

func (nothing) HasLoggedModel(context.Context, string) (bool, error) { return false, nil }

func (nothing) ImportLoggedModel(context.Context, *mlflow.LoggedModel, int64) (bool, int, error) {
	return false, 0, errNothing
}

func (nothing) HasRegisteredModel(context.Context, string) (bool, error) { return false, nil }

func (nothing) HasModelVersion(context.Context, string, int64) (bool, error) { return false, nil }

func (nothing) ImportRegisteredModel(context.Context, mlflow.RegisteredModel) (bool, error) {
	return false, errNothing
}

func (nothing) ImportModelVersion(context.Context, mlflow.ModelVersion, string, string) (bool, error) {
	return false, errNothing
}

func (f noFiles) Size(_ context.Context, path string) (int64, error) { return -1, f.check(path) }

func (noFiles) Put(context.Context, string, io.Reader, int64) error { return errNothing }
