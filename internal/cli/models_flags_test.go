package cli

import (
	"strings"
	"testing"
)

// TestModelsCommandsTakeMLflowsFlags gives each command all flags that MLflow's command has or had, and a model that is not there.
func TestModelsCommandsTakeMLflowsFlags(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"predict":      "-m nope -i rows.json -o - -t json -j split -r numpy --env-manager local --no-conda --install-mlflow --enable-mlserver --env A=1 --env B=2",
		"serve":        "-m nope -p 0 -h 127.0.0.1 -t 30 -w 2 --env-manager local --no-conda --install-mlflow --enable-mlserver",
		"build-docker": "-m nope -n image --env-manager local --mlflow-home folder --install-java true --install-mlflow --enable-mlserver",
	} {
		code, _, stderr := run(t, nil, append([]string{"models", name}, strings.Fields(args)...)...)
		if code != 1 || !strings.Contains(stderr, "ignored") || strings.Contains(stderr, "flag") || !strings.Contains(stderr, "nope") && name != "predict" {
			t.Errorf("%s: %d %s", name, code, stderr)
		}
	}
	if code, _, stderr := run(t, nil, "models", "predict", "-m", "nope", "--env", "A"); code != 2 || !strings.Contains(stderr, `--env "A" is not NAME=VALUE`) {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestServingRefusesNumbersThatMeanNothing(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-w -1": "--workers -1 is negative", "--max-batch-rows -1": "--max-batch-rows -1 is negative", "--max-batch-delay -1s": "--max-batch-delay -1s is negative",
		"--spare-workers -1": "--spare-workers -1 is negative", "--max-requests -1": "--max-requests -1 is negative", "-t -1": "--timeout -1 is no number", "-t NaN": "--timeout NaN is no number",
	} {
		code, _, stderr := run(t, nil, append([]string{"models", "serve", "-m", "nope"}, strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d %s", args, code, stderr)
		}
	}
}
