package registry

import (
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

func TestSources(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, tr *tracking) {
		ctx := t.Context()
		s.addModel(t, "m")
		art, local := tr.runs[runA], tr.runs[runB]
		missing := "m-ffffffffffffffffffffffffffffffff"
		type row struct {
			source, run, model string
			fault              string // "" lets it pass
			wantRun, storage   string // storage "" is the source
		}
		contained := "request parameter must identify the resource that contains the source."
		traversal := "If supplying a source as an http, https,"
		for _, c := range []row{
			{source: "s3://bucket/path"}, {source: "gs://b/p", run: "unknown", wantRun: "unknown"}, {source: "dbfs:/x/y"}, {source: "custom://h/p"},
			{source: local, run: runB, wantRun: runB},
			{source: local + "/model", run: runB, wantRun: runB},
			{source: "file://" + local + "/model", run: runB, wantRun: runB},
			{source: "file:" + local + "/a%20b", run: runB, wantRun: runB},
			{source: local + "/model", fault: "To use a local path as a model version"},
			{source: local + "/model", run: runA, fault: "To use a local path as a model version"},
			{source: local + "/model", run: "unknown", fault: "To use a local path as a model version"},
			{source: local + "/../../x", run: runB, fault: "Invalid model version source: '" + local},
			{source: "file://" + local + "/%2e%2e/%2e%2e/x", run: runB, fault: "To use a local path"},
			{source: local + "2/model", run: runB, fault: "To use a local path"},
			{source: "/etc/passwd", fault: "To use a local path"},
			{source: "relative", fault: "To use a local path"},
			{source: "file://host/x", run: runB, fault: "is not a valid remote uri"},
			{source: "http://host/x", run: runB, fault: "'source' cannot use the 'http' scheme"},
			{source: "http://host/../x", run: runB, fault: "'source' cannot use the 'http' scheme"},
			{source: "http://host/../x", run: runB, fault: traversal},
			{source: "mlflow-artifacts://host/..%2fx", run: runB, fault: "'source' cannot use the 'mlflow-artifacts' scheme"},
			{source: "mlflow-artifacts://host/..%2fx", run: runB, fault: traversal},
			{source: "abfss://c@a/x", fault: "'source' cannot use the 'abfss' scheme"},
			{source: "mlflow-artifacts://host/1/" + runA + "/artifacts", run: runA, fault: "'source' cannot use the 'mlflow-artifacts' scheme"},
			{source: "runs:/" + runA + "/model", run: runA, wantRun: runA},
			{source: "runs:/" + runA + "/model", wantRun: runA},
			{source: "runs:/" + runA + "/model", run: runB, fault: "The run_id " + contained},
			{source: "runs:/" + runA + "/model", model: modelA, fault: "The model_id " + contained},
			{source: "runs://host/" + runA + "/model", fault: "The run_id " + contained},
			{source: art + "/model", run: runA, wantRun: runA},
			{source: art + "/model", wantRun: runA},
			{source: art, wantRun: runA},
			{source: art + "2/model", run: runA, fault: "The run_id " + contained},
			{source: art + "/model", run: runB, fault: "The run_id " + contained},
			{source: "mlflow-artifacts:/1/" + runB + "/artifacts/m", fault: "The run_id " + contained},
			{source: "mlflow-artifacts:/1", fault: "The run_id " + contained},
			{source: art + "/../../x", run: runA, fault: traversal},
			{source: art + "/%2e%2e/x", run: runA, fault: traversal},
			{source: art + "/100%/%252e%252E/x", run: runA, fault: traversal},
			{source: "s3://b/a/../c", fault: traversal}, {source: "s3://b/a/./c", fault: traversal}, {source: "s3://b/a%00", fault: traversal},
			{source: `custom:/a\..\b`, fault: traversal},
			{source: "mlflow-artifacts:/1/models/" + modelA + "/artifacts/x", model: modelA, wantRun: runA},
			{source: "mlflow-artifacts:/1/models/" + modelA + "/artifacts", wantRun: runA},
			{source: art + "/model", model: modelA, fault: "The model_id " + contained},
			{source: "s3://b/x", model: missing, fault: "Logged model with ID '" + missing + "' not found."},
			{source: "models:/" + modelA, model: modelA, wantRun: runA, storage: "mlflow-artifacts:/1/models/" + modelA + "/artifacts"},
			{source: "models:/" + modelA, fault: "The model_id " + contained},
			{source: "models:/" + modelA + "/a/b", fault: "The model_id " + contained},
			{source: "s3://" + strings.Repeat("x", 5000), fault: "'source' exceeds the maximum length"},
			{source: "s3://b", run: strings.Repeat("r", 501), fault: "'run_id' exceeds the maximum length"},
		} {
			resp, err := s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: "m", Source: c.source, RunID: c.run, ModelID: c.model})
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) || mlflow.CodeOf(err) == mlflow.CodeInternal {
					t.Errorf("source %s, run %q, model %q: got %v, want %q", c.source, c.run, c.model, err, c.fault)
				}
				continue
			}
			if err != nil {
				t.Errorf("source %s, run %q, model %q: %v", c.source, c.run, c.model, err)
				continue
			}
			v := resp.ModelVersion
			uri := must[mlflow.GetDownloadURIResponse](t)(s.GetDownloadURI(ctx, &mlflow.ModelVersionRequest{Name: "m", Version: v.Version}))
			if storage := max(c.storage, c.source); c.storage == "" && uri.ArtifactURI != c.source || c.storage != "" && uri.ArtifactURI != c.storage ||
				v.Source != c.source || v.RunID != mlflow.Some(c.wantRun) {
				t.Errorf("source %s: %+v, files at %s, want them at %s", c.source, v, uri.ArtifactURI, storage)
			}
		}
		if len(tr.linked) == 0 || !strings.HasPrefix(tr.linked[0], modelA+" m ") {
			t.Errorf("linked: %v", tr.linked)
		}
		// A prompt's source is only a placeholder.
		must[mlflow.ModelVersionResponse](t)(s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{
			Name: "m", Source: "prompt-template", Tags: []mlflow.KeyValue{{Key: promptTag, Value: "true"}}}))
	})
}

// With --default-artifact-root http://this-server/api/2.0/mlflow-artifacts/artifacts the runs' artifacts have such URIs.
func TestSourcesOnThisServersOwnURL(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, tr *tracking) {
		s.addModel(t, "m")
		root := "http://host:5000/api/2.0/mlflow-artifacts/artifacts"
		s.o.ArtifactRoot = root
		tr.runs[runA] = root + "/1/" + runA + "/artifacts"
		for _, c := range []struct{ source, run, fault string }{
			{tr.runs[runA] + "/model", runA, ""},
			{tr.runs[runA] + "/model", "", ""},
			{tr.runs[runA] + "/model", runB, "must identify the resource that contains the source"},
			{root + "/2/other/artifacts/model", runA, "must identify the resource that contains the source"},
			{tr.runs[runA] + "/../x", runA, "If supplying a source as an http, https,"},
			{"http://host:5000/elsewhere", runA, "cannot use the 'http' scheme"},
			{"http://host:50000/api/2.0/mlflow-artifacts/artifacts/1", runA, "cannot use the 'http' scheme"},
		} {
			resp, err := s.CreateModelVersion(t.Context(), &mlflow.CreateModelVersionRequest{Name: "m", Source: c.source, RunID: c.run})
			switch {
			case c.fault != "":
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("%s of %q: %v, want %q", c.source, c.run, err, c.fault)
				}
			case err != nil:
				t.Errorf("%s of %q: %v", c.source, c.run, err)
			case resp.ModelVersion.RunID != mlflow.Some(runA):
				t.Errorf("%s: %+v", c.source, resp.ModelVersion)
			}
		}
	})
}

func TestAVersionCanBeCopied(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, tr *tracking) {
		ctx := t.Context()
		s.addModel(t, "from")
		s.addModel(t, "to")
		source := tr.runs[runA] + "/model"
		must[mlflow.ModelVersionResponse](t)(s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: "from", Source: source}))
		must[mlflow.Empty](t)(s.SetRegisteredModelAlias(ctx, &mlflow.SetRegisteredModelAliasRequest{Name: "from", Alias: "best", Version: "1"}))
		must[mlflow.ModelVersionResponse](t)(s.TransitionModelVersionStage(ctx, &mlflow.TransitionModelVersionStageRequest{Name: "from", Version: "1", Stage: "Production"}))
		for _, uri := range []string{"models:/from/1", "models:/from@best", "models:/from/production", "models:/from/latest"} {
			v := must[mlflow.ModelVersionResponse](t)(s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: "to", Source: uri})).ModelVersion
			at := must[mlflow.GetDownloadURIResponse](t)(s.GetDownloadURI(ctx, &mlflow.ModelVersionRequest{Name: "to", Version: v.Version}))
			if v.Source != "models:/from/1" || v.RunID != mlflow.Some(runA) || at.ArtifactURI != source {
				t.Errorf("%s: %+v, files at %s", uri, v, at.ArtifactURI)
			}
		}
		for uri, code := range map[string]mlflow.ErrorCode{
			"models:/from/2": mlflow.CodeResourceDoesNotExist, "models:/nothing/1": mlflow.CodeResourceDoesNotExist,
			"models:/from@x": mlflow.CodeInvalidParameterValue, "models:/from/Staging": mlflow.CodeResourceDoesNotExist,
			"models:/from/nostage": mlflow.CodeInvalidParameterValue, "models:from": mlflow.CodeInvalidParameterValue,
		} {
			_, err := s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: "to", Source: uri})
			refused(t, err, code, "")
		}
		_, err := s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: "to", Source: "models:/from/1", RunID: runB})
		refused(t, err, mlflow.CodeInvalidParameterValue, "must match the referenced model version")
	})
}

// The tag that marks prompts must not be a way around the checks of sources.
func TestPromptsHavePlaceholdersAsSources(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, tr *tracking) {
		s.addModel(t, "m")
		prompt := []mlflow.KeyValue{{Key: "mlflow.prompt.is_prompt", Value: "true"}}
		for source, fault := range map[string]string{
			"dummy-source": "", "prompt-template": "", "/etc": "x", "mlflow-artifacts:/1/" + runB + "/artifacts": "x", "http://host/x": "x", "dummy": "x", "file:///etc": "x",
		} {
			_, err := s.CreateModelVersion(t.Context(), &mlflow.CreateModelVersionRequest{Name: "m", Source: source, Tags: prompt})
			if fault == "" && err != nil {
				t.Errorf("%s: %v", source, err)
			}
			if fault != "" && (mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), "Prompt sources must use an MLflow placeholder")) {
				t.Errorf("%s: %v", source, err)
			}
		}
	})
}

func TestNamesThatNoModelCanHaveAreNoMissingModels(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, tr *tracking) {
		for _, name := range []string{" ", "a/b", "a:b", "..", "..x"} {
			_, err := s.GetRegisteredModel(t.Context(), &mlflow.RegisteredModelRequest{Name: name})
			_, err2 := s.GetModelVersion(t.Context(), &mlflow.ModelVersionRequest{Name: name, Version: "1"})
			for _, err := range []error{err, err2} {
				if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
					t.Errorf("%q: %v", name, err)
				}
			}
		}
		s.addModel(t, "m")
		for _, key := range []string{"a//b", "..", "a@b"} {
			if _, err := s.DeleteRegisteredModelTag(t.Context(), &mlflow.DeleteRegisteredModelTagRequest{Name: "m", Key: key}); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
				t.Errorf("delete tag %q: %v", key, err)
			}
		}
	})
}

func TestMisspeltAliasesAreNoMissingAliases(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, tr *tracking) {
		s.addModel(t, "m")
		for _, alias := range []string{"a b", "a.b", strings.Repeat("a", 256)} {
			req := &mlflow.RegisteredModelAliasRequest{Name: "m", Alias: alias}
			if _, err := s.DeleteRegisteredModelAlias(t.Context(), req); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
				t.Errorf("delete %.10s: %v", alias, err)
			}
			if _, err := s.GetModelVersionByAlias(t.Context(), req); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
				t.Errorf("get %.10s: %v", alias, err)
			}
		}
	})
}
