package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

// relayed runs a relay over text until its session ends, and gives what was sent as "run key".
func relayed(t *testing.T, text string, answer func(*mlflow.LogBatchRequest) error) (sent []string, file string, err error) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "points")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ended := make(chan struct{})
	close(ended)
	r := &relay{file: f, ended: ended, send: func(_ context.Context, req *mlflow.LogBatchRequest) error {
		if err := answer(req); err != nil {
			return err
		}
		for _, m := range req.Metrics {
			sent = append(sent, req.RunID+" "+m.Key)
		}
		return nil
	}}
	err = r.run(t.Context())
	return sent, file, err
}

func point(run, key string) string {
	return `{"run_id":"` + run + `","key":"` + key + `","value":"NaN","timestamp":1,"step":2}` + "\n"
}

func TestARelaySendsEveryLineAndRemovesTheFile(t *testing.T) {
	t.Parallel()
	sent, file, err := relayed(t, `{"uri":"x"}`+"\n"+point("a", "x")+point("a", "y")+point("b", "x"), func(*mlflow.LogBatchRequest) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a x", "a y", "b x"}, sent); diff != "" {
		t.Error(diff)
	}
	if left, _ := filepath.Glob(file + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestARelayTriesOnceMoreWhenTheServerIsAway(t *testing.T) {
	t.Parallel()
	calls := 0
	sent, _, err := relayed(t, point("a", "x"), func(*mlflow.LogBatchRequest) error {
		if calls++; calls == 1 {
			return mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "away")
		}
		return nil
	})
	if err != nil || len(sent) != 1 || calls != 2 {
		t.Errorf("got %v, %v after %d calls", sent, err, calls)
	}
}

func TestARelayNamesWhatWasRefusedAndSendsTheRest(t *testing.T) {
	t.Parallel()
	sent, file, err := relayed(t, point("a", "bad")+point("a", "good"), func(req *mlflow.LogBatchRequest) error {
		for _, m := range req.Metrics {
			if m.Key == "bad" {
				return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "bad name")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a good"}, sent); diff != "" {
		t.Error(diff)
	}
	said, err := os.ReadFile(file + ".err")
	if want := "metric \"bad\" of run a: INVALID_PARAMETER_VALUE: bad name\n"; err != nil || string(said) != want {
		t.Errorf("got %q, %v", said, err)
	}
}
