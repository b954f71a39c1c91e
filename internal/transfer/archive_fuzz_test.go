package transfer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

// forged is an archive whose sums are right, with any lines in it: whoever writes one can say what he likes.
func forged(experiments, runs, models, registry []byte, file string) []byte {
	var out, index bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, content []byte) map[string]any {
		at := out.Len()
		w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644, Format: tar.FormatPAX})
		w.Write(content)
		w.Flush()
		sum := sha256.Sum256(content)
		return map[string]any{"name": name, "size": len(content), "sha256": hex.EncodeToString(sum[:]), "frame": at}
	}
	head := []byte(`{"format":1,"program":"x","made":"y","source":"z"}`)
	members := []map[string]any{
		add("weir-export.json", head), add("experiments-000001.jsonl", experiments), add("experiments/1/runs-000001.jsonl", runs),
		add("experiments/1/models-000001.jsonl", models), add("registry-000001.jsonl", registry),
	}
	m := add("artifacts/runs/a/"+file, []byte("x"))
	m["owner"] = 1
	for _, m := range append(members, m) {
		line, _ := json.Marshal(m)
		index.Write(append(line, '\n'))
	}
	sums := add("index/000001.jsonl", index.Bytes())
	manifest, _ := json.Marshal(map[string]any{
		"format": 1, "program": "x", "made": "y", "source": "z", "index": []any{sums}, "counts": map[string]any{"artifact_files": 1, "artifact_bytes": 1},
	})
	add("manifest.json", manifest)
	w.Close()
	return out.Bytes()
}

// Whatever an archive holds, reading it ends with an answer or an error, and no artifact's path leaves its folder.
func FuzzArchive(f *testing.F) {
	f.Add([]byte(`{"experiment":{"experiment_id":"1","name":"a"}}`+"\n"),
		[]byte(`{"run":{"info":{"run_id":"a","status":"FINISHED"}},"owner":1}`+"\n"+`{"points":{"key":"k","timestamp":[1],"step":[2],"value":["NaN"]}}`+"\n"),
		[]byte(`{"model":{"info":{"model_id":"m"}},"owner":2}`+"\n"), []byte(`{"registered_model":{"name":"n"}}`+"\n"+`{"version":{"version":"1"}}`+"\n"), "f")
	f.Add([]byte(`{"experiment":null}`+"\n"), []byte(`{"points":null}`+"\n"+`{"run":{}}`+"\n"+`{"points":null}`+"\n"), []byte(`{}`+"\n"), []byte(`{"version":{}}`+"\n"), "../../up")
	f.Add([]byte("\n"), []byte(`{"points":{"timestamp":[1]}}`), []byte("null\n"), []byte("1\n"), "/abs")
	f.Fuzz(func(t *testing.T, experiments, runs, models, registry []byte, file string) {
		path := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(path, forged(experiments, runs, models, registry, file), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := transfer.OpenArchive(t.Context(), path, nil)
		if err != nil {
			return
		}
		defer a.Close()
		faults := func(string, error) {}
		paths := func(files transfer.FileSet) error {
			return files.Each(t.Context(), faults, func(f transfer.File) error {
				if !filepath.IsLocal(f.Path) {
					return fmt.Errorf("the path %q leaves its folder", f.Path)
				}
				return nil
			})
		}
		all, err := a.Experiments(t.Context(), faults)
		if err != nil {
			return
		}
		check := func(err error) {
			if err != nil && bytes.Contains([]byte(err.Error()), []byte("leaves its folder")) {
				t.Error(err)
			}
		}
		for _, e := range all {
			check(a.Runs(t.Context(), e, faults, func(r *transfer.Run) error {
				_ = r.Points(func([]mlflow.Metric) error { return nil })
				return paths(r.Files)
			}))
			check(a.LoggedModels(t.Context(), e, faults, func(m *transfer.LoggedModel) error { return paths(m.Files) }))
		}
		check(a.RegisteredModels(t.Context(), faults, func(*transfer.RegisteredModel) error { return nil }))
		_, _ = a.Experiments(context.Background(), faults)
	})
}

// The fuzz target above is of use only while what it forges is believed.
func TestForgedArchiveIsBelieved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.tar")
	data := forged([]byte(`{"experiment":{"experiment_id":"1","name":"a","lifecycle_stage":"active"}}`+"\n"),
		[]byte(`{"run":{"info":{"run_id":"a","status":"FINISHED","artifact_uri":"mlflow-artifacts:/1/a/artifacts"}},"owner":1}`+"\n"), nil, nil, "f")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, openLite(t), t.TempDir())
	if report := w.run(openArchive(t, path)); report.Runs.Added != 1 || report.Files.Added != 1 || len(report.Faults) > 0 {
		t.Errorf("%+v", report)
	}
}
