package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTypeScriptMarksWhatMayBeAbsent(t *testing.T) {
	t.Parallel()
	ts := string(TypeScript(testRouter().Routes()))
	for _, want := range []string{
		"export interface RunInfo {\n  run_id: string;",
		"  end_time?: number;",
		`  status: "FAILED" | "FINISHED" | "KILLED" | "RUNNING" | "SCHEDULED";`,
		`  value: number | "NaN" | "Infinity" | "-Infinity";`,
		"  metrics?: Metric[];",
		"  max_results?: number;",
		"  outputs?: RunOutputs;",
	} {
		if !strings.Contains(ts, want) {
			t.Errorf("no %q in\n%s", want, ts)
		}
	}
}

func TestOpenAPIListsEveryRoute(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string } `json:"parameters"`
			Permission string                      `json:"x-permission"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(OpenAPI("1", testRouter().Routes()), &doc); err != nil {
		t.Fatal(err)
	}
	get := doc.Paths["/api/2.0/mlflow/runs/get"]["get"]
	if len(get.Parameters) != 1 || get.Parameters[0].Name != "run_id" || get.Permission != "read run" {
		t.Errorf("runs/get: %+v", get)
	}
	if p := doc.Paths["/api/2.0/mlflow-artifacts/artifacts/{path}"]["get"].Parameters; len(p) != 1 || p[0].In != "path" {
		t.Errorf("artifacts: %+v", p)
	}
	if _, ok := doc.Paths["/api/2.0/mlflow/experiments/search"]["post"]; !ok || doc.Components.Schemas["Experiment"] == nil {
		t.Error("experiments/search or Experiment is missing")
	}
}
