package tracking_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

// Who may write to an experiment must not reach another one's artifacts by putting its own location there.
func TestLocationsInsideAnotherExperimentsAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		create := func(name, location string) string {
			return fmt.Sprintf(`{"name":%q,"artifact_location":%q}`, name, location)
		}
		ok[mlflow.CreateExperimentResponse](s, "POST", "experiments/create", create("shared", "mlflow-artifacts:/team/shared"))
		for i, location := range []string{
			"mlflow-artifacts:/0", "mlflow-artifacts:/0/", "mlflow-artifacts:///0", "mlflow-artifacts:/0/run/artifacts", "MLFLOW-ARTIFACTS:/0",
			"mlflow-artifacts://////0//x", "mlflow-artifacts:0", "mlflow-artifacts:/team/shared", "mlflow-artifacts:/team//shared/x",
			"mlflow-artifacts:/77", // which a later experiment gets by itself
		} {
			s.fails("POST", "experiments/create", create(fmt.Sprint("x", i), location), mlflow.CodeInvalidParameterValue)
		}
		for i, location := range []string{"mlflow-artifacts:/team/other", "mlflow-artifacts:/team/shared2", "mlflow-artifacts:/run7", "s3://b/0", "s3://b/0"} {
			ok[mlflow.CreateExperimentResponse](s, "POST", "experiments/create", create(fmt.Sprint("y", i), location))
		}
		ok[mlflow.CreateExperimentResponse](s, "POST", "experiments/create", `{"name":"by itself"}`)
	})
}

func TestLocationsOfOtherHostsFilesAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		for _, location := range []string{"file://host/x", "FILE://host/x", "file://user@host/x"} {
			s.fails("POST", "experiments/create", `{"name":"x","artifact_location":"`+location+`"}`, mlflow.CodeInvalidParameterValue, "is not a valid remote uri")
		}
		made := ok[mlflow.CreateExperimentResponse](s, "POST", "experiments/create", `{"name":"x","artifact_location":"FILE:///x/y"}`)
		got := ok[mlflow.ExperimentResponse](s, "GET", "experiments/get", "experiment_id="+made.ExperimentID)
		if got.Experiment.ArtifactLocation != "file:///x/y" {
			t.Errorf("location %s", got.Experiment.ArtifactLocation)
		}
	})
}

// What is too long has in messages the name that MLflow gives it.
func TestTooLongNamesAreNamedAsInMLflow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		run := ok[mlflow.RunResponse](s, "POST", "runs/create", `{"experiment_id":"0"}`).Run.Info.RunID
		long := func(n int) string { return strings.Repeat("x", n) }
		dataset := func(field string, n int) string {
			d := map[string]string{"name": "n", "digest": "d", "source_type": "t", "source": "s"}
			d[field] = long(n)
			return fmt.Sprintf(`{"run_id":%q,"datasets":[{"dataset":{"name":%q,"digest":%q,"source_type":"t","source":%q}}]}`, run, d["name"], d["digest"], d["source"])
		}
		for _, tt := range []struct{ path, body, text string }{
			{"runs/set-tag", `{"run_id":"` + run + `","key":"` + long(251) + `","value":""}`, "'key' exceeds the maximum length of 250 characters"},
			{"runs/log-batch", `{"run_id":"` + run + `","tags":[{"key":"` + long(251) + `"}]}`, "'tags[0].key' exceeds the maximum length of 250 characters"},
			{"runs/log-batch", `{"run_id":"` + run + `","params":[{"key":"` + long(251) + `"}]}`, "'Param key' exceeds"},
			{"runs/log-inputs", dataset("name", 501), "'name' exceeds the maximum length of 500 characters"},
			{"runs/log-inputs", dataset("digest", 37), "'digest' exceeds the maximum length of 36 characters"},
			{"runs/log-inputs", dataset("source", 65536), "'source' exceeds the maximum length of 65535 characters"},
		} {
			s.fails("POST", tt.path, tt.body, mlflow.CodeInvalidParameterValue, tt.text)
		}
		s.fails("POST", "experiments/search-datasets", `{"experiment_ids":[]}`, mlflow.CodeInvalidParameterValue, "must specify at least one experiment_id")
	})
}
