package registry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

func TestVersionsAreFoundByTheFilesThatTheyNeed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		long := "s3://bucket/" + strings.Repeat("x", 300)
		s.addModel(t, "m")
		for i, storage := range []string{
			"mlflow-artifacts:/0/run1/artifacts/model", "mlflow-artifacts:/0/run10/artifacts", "runs:/run2/model",
			long + "/run3/artifacts/model", "mlflow-artifacts:/0/models/m-1/artifacts", "mlflow-artifacts:/0/models/m-2/artifacts", "",
		} {
			v := mlflow.ModelVersion{Name: "m", Version: string(rune('1' + i)), Source: storage, Status: "READY", CurrentStage: "None"}
			model := ""
			switch i {
			case 2, 4:
				v.RunID = mlflow.Some("run2")
			case 5:
				model = "m-2"
			case 6:
				v.CurrentStage = stageDeleted
			}
			if _, err := s.ImportModelVersion(t.Context(), v, storage, model); err != nil {
				t.Fatal(err)
			}
		}
		err := s.db.Read(t.Context(), func(tx *sqldb.Tx) error {
			for _, tc := range []struct {
				run, model, uri string
				want            []string
			}{
				{run: "run1", uri: "mlflow-artifacts:/0/run1/artifacts", want: []string{"m version 1"}},
				{run: "run10", uri: "mlflow-artifacts:/0/run10/artifacts", want: []string{"m version 2"}},
				{run: "run2", uri: "mlflow-artifacts:/0/run2/artifacts", want: []string{"m version 3"}}, // not 5, whose files are a model's
				{run: "run3", uri: long + "/run3/artifacts", want: []string{"m version 4"}},
				{run: "run3", uri: long + "/run", want: nil},
				{run: "run4", uri: "mlflow-artifacts:/0/run4/artifacts", want: nil},
				{run: "run4", uri: "", want: nil},
				{model: "m-1", uri: "mlflow-artifacts:/0/models/m-1/artifacts", want: []string{"m version 5"}},
				{model: "m-2", uri: "elsewhere", want: []string{"m version 6"}},
				{model: "m-3", uri: "mlflow-artifacts:/0/models/m-3/artifacts", want: nil},
			} {
				got, err := s.VersionsOfRun(tx, tc.run, tc.uri)
				if tc.model != "" {
					got, err = s.VersionsOfLoggedModel(tx, tc.model, tc.uri)
				}
				if err != nil {
					return err
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%+v: %s", tc, diff)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
