package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newTestClient gives a client of a handler whose back-off takes no time; the pauses it would have made are recorded.
func newTestClient(t *testing.T, o ClientOptions, h http.HandlerFunc) (*Client, *[]time.Duration) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := NewClient(server.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var pauses []time.Duration
	c.sleep = func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		pauses = append(pauses, d)
		return ctx.Err()
	}
	return c, &pauses
}

type recordedRequest struct {
	Method string              `json:"method"`
	Path   string              `json:"path"`
	Query  map[string][]string `json:"query,omitempty"`
	Body   any                 `json:"body,omitempty"`
	Raw    string              `json:"raw,omitempty"`
}

// The file holds what mlflow-skinny 3.17.2 sends for the same calls, without the GETs that it makes beforehand.
func TestRequestsEqualThoseOfPythonsClient(t *testing.T) {
	t.Parallel()
	run := strings.Repeat("a", 32)
	calls := map[string]func(context.Context, *Client) error{
		"create_experiment": func(ctx context.Context, c *Client) error {
			_, err := c.CreateExperiment(ctx, &CreateExperimentRequest{
				Name: "e", ArtifactLocation: "mlflow-artifacts:/x", Tags: []KeyValue{{"k", "v"}},
			})
			return err
		},
		"get_experiment":         func(ctx context.Context, c *Client) error { _, err := c.GetExperiment(ctx, "1"); return err },
		"get_experiment_by_name": func(ctx context.Context, c *Client) error { _, err := c.GetExperimentByName(ctx, "e 1/ü"); return err },
		"search_experiments": func(ctx context.Context, c *Client) error {
			_, err := c.SearchExperiments(ctx, &SearchExperimentsRequest{
				MaxResults: Some[int64](5), Filter: "name = 'e'", OrderBy: []string{"name ASC", "experiment_id DESC"}, ViewType: All,
			})
			return err
		},
		"rename_experiment":     func(ctx context.Context, c *Client) error { return c.RenameExperiment(ctx, "1", "n") },
		"delete_experiment":     func(ctx context.Context, c *Client) error { return c.DeleteExperiment(ctx, "1") },
		"restore_experiment":    func(ctx context.Context, c *Client) error { return c.RestoreExperiment(ctx, "1") },
		"set_experiment_tag":    func(ctx context.Context, c *Client) error { return c.SetExperimentTag(ctx, "1", "k", "v") },
		"delete_experiment_tag": func(ctx context.Context, c *Client) error { return c.DeleteExperimentTag(ctx, "1", "k") },
		"create_run": func(ctx context.Context, c *Client) error {
			_, err := c.CreateRun(ctx, &CreateRunRequest{
				ExperimentID: "1", UserID: "ann", RunName: "r", StartTime: Some[int64](1763800000123),
				Tags: []KeyValue{{"mlflow.user", "ann"}},
			})
			return err
		},
		"get_run": func(ctx context.Context, c *Client) error { _, err := c.GetRun(ctx, run); return err },
		"update_run": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateRun(ctx, &UpdateRunRequest{RunID: run, Status: RunFinished, RunName: "n"})
			return err
		},
		"set_terminated": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateRun(ctx, &UpdateRunRequest{RunID: run, Status: RunFailed, EndTime: Some[int64](1763800000999)})
			return err
		},
		"delete_run":  func(ctx context.Context, c *Client) error { return c.DeleteRun(ctx, run) },
		"restore_run": func(ctx context.Context, c *Client) error { return c.RestoreRun(ctx, run) },
		"search_runs": func(ctx context.Context, c *Client) error {
			_, err := c.SearchRuns(ctx, &SearchRunsRequest{
				ExperimentIDs: []string{"1", "2"}, Filter: "metrics.x > 1", RunViewType: ActiveOnly,
				MaxResults: Some[int64](7), OrderBy: []string{"metrics.x DESC"}, PageToken: "tok",
			})
			return err
		},
		"log_metric": func(ctx context.Context, c *Client) error {
			return c.LogMetric(ctx, &LogMetricRequest{RunID: run, Key: "loss", Value: 0.5, Timestamp: 100, Step: -2})
		},
		"log_metric_nan": func(ctx context.Context, c *Client) error {
			return c.LogMetric(ctx, &LogMetricRequest{RunID: run, Key: "loss", Value: Float(math.NaN()), Timestamp: 100, Step: 3})
		},
		"log_metric_inf": func(ctx context.Context, c *Client) error {
			return c.LogMetric(ctx, &LogMetricRequest{RunID: run, Key: "loss", Value: Float(math.Inf(-1)), Timestamp: 100})
		},
		"log_param":  func(ctx context.Context, c *Client) error { return c.LogParam(ctx, run, "p", "1") },
		"set_tag":    func(ctx context.Context, c *Client) error { return c.SetTag(ctx, run, "k", "v") },
		"delete_tag": func(ctx context.Context, c *Client) error { return c.DeleteTag(ctx, run, "k") },
		"log_batch": func(ctx context.Context, c *Client) error {
			return c.LogBatch(ctx, &LogBatchRequest{
				RunID:   run,
				Metrics: []Metric{{Key: "m", Value: 1, Timestamp: 5}, {Key: "m", Value: 1e300, Timestamp: 6, Step: 1}},
				Params:  []KeyValue{{"p", "v"}}, Tags: []KeyValue{{"t", "w"}},
			})
		},
		"get_metric_history": func(ctx context.Context, c *Client) error {
			for _, err := range c.MetricHistory(ctx, run, "loss") {
				return err
			}
			return nil
		},
		"list_artifacts": func(ctx context.Context, c *Client) error {
			_, err := c.ListArtifacts(ctx, "mlflow-artifacts:/1/"+run+"/artifacts/dir/sub")
			return err
		},
		"log_artifact": func(ctx context.Context, c *Client) error {
			return c.PutArtifact(ctx, "mlflow-artifacts:/1/"+run+"/artifacts/a dir/ü/t.txt", strings.NewReader("hi"), 2)
		},
		"create_registered_model": func(ctx context.Context, c *Client) error {
			_, err := c.CreateRegisteredModel(ctx, &CreateRegisteredModelRequest{
				Name: "m", Tags: []KeyValue{{"k", "v"}}, Description: "d",
			})
			return err
		},
		"get_registered_model": func(ctx context.Context, c *Client) error { _, err := c.GetRegisteredModel(ctx, "m"); return err },
		"rename_registered_model": func(ctx context.Context, c *Client) error {
			_, err := c.RenameRegisteredModel(ctx, "m", "n")
			return err
		},
		"update_registered_model": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateRegisteredModel(ctx, "m", "d")
			return err
		},
		"delete_registered_model": func(ctx context.Context, c *Client) error { return c.DeleteRegisteredModel(ctx, "m") },
		"search_registered_models": func(ctx context.Context, c *Client) error {
			_, err := c.SearchRegisteredModels(ctx, &SearchRegisteredModelsRequest{
				Filter: "name = 'm' AND tag.`mlflow.prompt.is_prompt` != 'true'", MaxResults: Some[int64](5),
				OrderBy: []string{"name ASC", "timestamp DESC"}, PageToken: "tok",
			})
			return err
		},
		"get_latest_versions": func(ctx context.Context, c *Client) error {
			_, err := c.GetLatestVersions(ctx, "m", "Staging", "None")
			return err
		},
		"set_registered_model_tag":      func(ctx context.Context, c *Client) error { return c.SetRegisteredModelTag(ctx, "m", "k", "v") },
		"delete_registered_model_tag":   func(ctx context.Context, c *Client) error { return c.DeleteRegisteredModelTag(ctx, "m", "k") },
		"set_registered_model_alias":    func(ctx context.Context, c *Client) error { return c.SetRegisteredModelAlias(ctx, "m", "a", "1") },
		"delete_registered_model_alias": func(ctx context.Context, c *Client) error { return c.DeleteRegisteredModelAlias(ctx, "m", "a") },
		"get_model_version_by_alias": func(ctx context.Context, c *Client) error {
			_, err := c.GetModelVersionByAlias(ctx, "m", "a")
			return err
		},
		"create_model_version": func(ctx context.Context, c *Client) error {
			_, err := c.CreateModelVersion(ctx, &CreateModelVersionRequest{
				Name: "m", Source: "mlflow-artifacts:/1/r/artifacts/m", RunID: run, Tags: []KeyValue{{"k", "v"}}, Description: "d",
			})
			return err
		},
		"get_model_version": func(ctx context.Context, c *Client) error { _, err := c.GetModelVersion(ctx, "m", "1"); return err },
		"update_model_version": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateModelVersion(ctx, "m", "1", "d")
			return err
		},
		"transition": func(ctx context.Context, c *Client) error {
			_, err := c.TransitionModelVersionStage(ctx, "m", "1", StageProduction, true)
			return err
		},
		"delete_model_version": func(ctx context.Context, c *Client) error { return c.DeleteModelVersion(ctx, "m", "1") },
		"search_model_versions": func(ctx context.Context, c *Client) error {
			_, err := c.SearchModelVersions(ctx, &SearchModelVersionsRequest{
				Filter: "name = 'm'", MaxResults: Some[int64](9), OrderBy: []string{"name ASC"}, PageToken: "tok",
			})
			return err
		},
		"get_model_version_download_uri": func(ctx context.Context, c *Client) error { _, err := c.GetDownloadURI(ctx, "m", "1"); return err },
		"set_model_version_tag":          func(ctx context.Context, c *Client) error { return c.SetModelVersionTag(ctx, "m", "1", "k", "v") },
		"delete_model_version_tag":       func(ctx context.Context, c *Client) error { return c.DeleteModelVersionTag(ctx, "m", "1", "k") },
	}
	sameAsPython(t, "testdata/python_requests.json", calls)
}

// sameAsPython makes calls and compares what they send with the recorded requests.
func sameAsPython(t *testing.T, file string, calls map[string]func(context.Context, *Client) error) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]recordedRequest
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(calls) != len(want) {
		t.Errorf("%d calls for %d recorded requests", len(calls), len(want))
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got recordedRequest
			c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = recordedRequest{Method: r.Method, Path: r.URL.EscapedPath()}
				if r.URL.RawQuery != "" {
					got.Query, _ = url.ParseQuery(r.URL.RawQuery)
				}
				if len(body) > 0 && json.Unmarshal(body, &got.Body) != nil {
					got.Raw = string(body)
				}
				w.Write([]byte("{}"))
			})
			if err := call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			expected := want[name]
			delete(expected.Query, "run_uuid") // the old name of run_id, which Python sends beside it
			if body, ok := expected.Body.(map[string]any); ok {
				delete(body, "run_uuid")
			}
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("-python +go:\n%s", diff)
			}
		})
	}
}

func TestErrorsKeepTheServersCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, contentType, body string
		status                  int
		want                    Error
	}{
		{"mlflow", "application/json", `{"error_code":"RESOURCE_ALREADY_EXISTS","message":"taken","sqlstate":"x"}`, 400,
			Error{CodeResourceAlreadyExists, "taken"}},
		{"unknown code", "application/json", `{"error_code":"SOMETHING_NEW","message":"m"}`, 400, Error{"SOMETHING_NEW", "m"}},
		{"plain text of basic-auth", "text/plain", "You are not authenticated.\n", 401, Error{CodeUnauthenticated, "You are not authenticated."}},
		{"forbidden", "text/plain", "Permission denied", 403, Error{CodePermissionDenied, "Permission denied"}},
		{"html", "text/html", "<h1>no</h1>", 404, Error{CodeEndpointNotFound, "<h1>no</h1>"}},
		{"empty", "", "", 400, Error{CodeBadRequest, "server answered 400 Bad Request"}},
		{"json of another kind", "application/json", `{"detail":"x"}`, 501, Error{CodeNotImplemented, `{"detail":"x"}`}},
		{"too large", "", "big", 413, Error{CodePayloadTooLarge, "big"}},
		{"invalid utf-8", "", "a\xffb", 409, Error{CodeResourceConflict, "a\uFFFDb"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, pauses := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			_, err := c.GetRun(t.Context(), "r")
			var got *Error
			if !errors.As(err, &got) || *got != tt.want {
				t.Errorf("got %v, want %v", err, &tt.want)
			}
			if len(*pauses) != 0 {
				t.Errorf("a user's fault was retried %d times", len(*pauses))
			}
		})
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	t.Run("a busy server is asked again, after the time it names", func(t *testing.T) {
		t.Parallel()
		var keys []string
		var bodies []string
		var told []ErrorCode
		onRetry := func(err error, _ time.Duration) { told = append(told, CodeOf(err)) }
		c, pauses := newTestClient(t, ClientOptions{OnRetry: onRetry}, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			keys, bodies = append(keys, r.Header.Get("Idempotency-Key")), append(bodies, string(body))
			switch len(keys) {
			case 1:
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(http.StatusTooManyRequests)
			case 2:
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				io.WriteString(w, `{"experiment_id":"7"}`)
			}
		})
		id, err := c.CreateExperiment(t.Context(), &CreateExperimentRequest{Name: "e"})
		if id != "7" || err != nil {
			t.Fatal(id, err)
		}
		if len(*pauses) != 2 || (*pauses)[0] != 3*time.Second {
			t.Errorf("pauses %v", *pauses)
		}
		if p := (*pauses)[1]; p < 200*time.Millisecond || p > 400*time.Millisecond {
			t.Errorf("second pause %v is not the doubled back-off less at most a half", p)
		}
		if want := []ErrorCode{CodeRequestLimitExceeded, CodeTemporarilyUnavailable}; !slices.Equal(told, want) {
			t.Errorf("told of %v, want %v", told, want)
		}
		if keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] {
			t.Errorf("attempts of one create carry the keys %q", keys)
		}
		if bodies[0] != bodies[2] {
			t.Errorf("bodies differ: %q", bodies)
		}
	})
	t.Run("only creates carry a key, and each its own", func(t *testing.T) {
		t.Parallel()
		var keys []string
		c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			io.WriteString(w, `{}`)
		})
		c.CreateRun(t.Context(), &CreateRunRequest{})
		c.CreateRun(t.Context(), &CreateRunRequest{})
		c.SetTag(t.Context(), "r", "k", "v")
		if len(keys) != 3 || keys[0] == "" || keys[0] == keys[1] || keys[2] != "" {
			t.Errorf("keys %q", keys)
		}
	})
	t.Run("it gives up with the server's words", func(t *testing.T) {
		t.Parallel()
		n := 0
		c, pauses := newTestClient(t, ClientOptions{Retries: 2}, func(w http.ResponseWriter, r *http.Request) {
			n++
			w.WriteHeader(500)
			io.WriteString(w, `{"error_code":"INTERNAL_ERROR","message":"internal error"}`)
		})
		err := c.SetTag(t.Context(), "r", "k", "v")
		if n != 3 || len(*pauses) != 2 || CodeOf(err) != CodeInternal || !strings.Contains(err.Error(), "internal error") {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
	t.Run("negative retries mean one attempt", func(t *testing.T) {
		t.Parallel()
		n := 0
		c, _ := newTestClient(t, ClientOptions{Retries: -1}, func(w http.ResponseWriter, r *http.Request) { n++; w.WriteHeader(503) })
		if err := c.SetTag(t.Context(), "r", "k", "v"); CodeOf(err) != CodeTemporarilyUnavailable || n != 1 {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
	t.Run("a broken connection is tried again", func(t *testing.T) {
		t.Parallel()
		n := 0
		c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, `{"run":{"info":{"run_id":"x"}}}`)
		})
		run, err := c.GetRun(t.Context(), "x")
		if err != nil || run.Info.RunID != "x" || n != 2 {
			t.Errorf("%v after %d attempts", err, n)
		}
	})
	t.Run("a cancelled context ends the waiting", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { n++; cancel(); w.WriteHeader(503) })
		if err := c.SetTag(ctx, "r", "k", "v"); err == nil || n != 1 {
			t.Errorf("%v after %d attempts", err, n)
		}
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	os.Mkdir(filepath.Join(home, ".mlflow"), 0o700)
	os.WriteFile(filepath.Join(home, ".mlflow", "credentials"),
		[]byte("[other]\nmlflow_tracking_username = no\n[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = s3=cret\n"), 0o600)
	tests := []struct {
		name string
		env  map[string]string
		want string
	}{
		{"none", nil, ""},
		{"token", map[string]string{"MLFLOW_TRACKING_TOKEN": "tok"}, "Bearer tok"},
		{"user and password win over the token", map[string]string{
			"MLFLOW_TRACKING_TOKEN": "tok", "MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "pw",
		}, "Basic YW5uOnB3"},
		{"the file of mlflow login", map[string]string{"HOME": home}, "Basic YW5uOnMzPWNyZXQ="},
		{"the environment wins over the file", map[string]string{"HOME": home, "MLFLOW_TRACKING_TOKEN": "tok"}, "Bearer tok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got string
			o := ClientOptionsFromEnv(func(key string) string { return tt.env[key] })
			c, _ := newTestClient(t, o, func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("Authorization")
				io.WriteString(w, "{}")
			})
			if _, err := c.GetRun(t.Context(), "r"); err != nil || got != tt.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestClientOptionsFromEnv(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"MLFLOW_TRACKING_INSECURE": "True", "MLFLOW_TRACKING_SERVER_CERT_PATH": "ca.pem", "MLFLOW_HTTP_REQUEST_TIMEOUT": "1.5",
		"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "x",
	}
	got := ClientOptionsFromEnv(func(key string) string { return env[key] })
	want := ClientOptions{InsecureTLS: true, ServerCertPath: "ca.pem", Timeout: 1500 * time.Millisecond, Retries: -1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") }))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	for _, insecure := range []bool{false, true} {
		c, err := NewClient(server.URL, ClientOptions{InsecureTLS: insecure})
		if err != nil {
			t.Fatal(err)
		}
		c.sleep = func(context.Context, time.Duration) error {
			t.Error("an unknown certificate was tried again")
			return nil
		}
		if _, err = c.GetRun(t.Context(), "r"); (err == nil) != insecure {
			t.Errorf("insecure %v: %v", insecure, err)
		}
	}
	if _, err := NewClient(server.URL, ClientOptions{ServerCertPath: filepath.Join(t.TempDir(), "no")}); err == nil {
		t.Error("a missing certificate file is no error")
	}
}

func TestTrackingURIs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "mlruns", "file:///x", "sqlite:///x.db", "http://", "ftp://h/", "http://a b/"} {
		if _, err := NewClient(bad, ClientOptions{}); CodeOf(err) != CodeInvalidParameterValue {
			t.Errorf("%q: %v", bad, err)
		}
	}
	c, err := NewClient("https://ann:pw@host:1/prefix/", ClientOptions{})
	if err != nil || c.TrackingURI() != "https://host:1/prefix" || c.options.Username != "ann" || c.options.Password != "pw" {
		t.Errorf("%v %v", c, err)
	}
	if _, err := NewClient("ftp://ann:secret@host/", ClientOptions{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the password shows in %v", err)
	}
}

func TestARedirectedPostDoesNotBecomeAGet(t *testing.T) {
	t.Parallel()
	var methods []string
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
	})
	err := c.SetTag(t.Context(), "r", "k", "v")
	if len(methods) != 1 || err == nil || !strings.Contains(err.Error(), "redirected to /elsewhere") {
		t.Errorf("%v %v", methods, err)
	}
}
