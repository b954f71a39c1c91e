package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// lossyProxy stands before a server and drops each nth answer to a POST, after the server has acted. Closing it is the
// caller's.
func lossyProxy(server string, nth int64) (proxy *httptest.Server, dropped *atomic.Int64, err error) {
	target, err := url.Parse(server)
	if err != nil {
		return nil, nil, err
	}
	var answers atomic.Int64
	dropped = new(atomic.Int64)
	reverse := httputil.NewSingleHostReverseProxy(target)
	reverse.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method == http.MethodPost && answers.Add(1)%nth == 0 {
			dropped.Add(1)
			return errors.New("dropped")
		}
		return nil
	}
	reverse.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	return httptest.NewServer(reverse), dropped, nil
}

type droppedKey struct{}

// lossy puts a proxy before $URL that loses each nth answer, and its address into $URL.
//
//	lossy 5
func lossy(ts *testscript.TestScript, neg bool, args []string) {
	nth, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	proxy, dropped, err := lossyProxy(ts.Getenv("URL"), nth)
	ts.Check(err)
	ts.Defer(proxy.Close)
	*ts.Value(droppedKey{}).(**atomic.Int64) = dropped
	ts.Setenv("URL", proxy.URL)
}

// lost checks that the proxy has lost at least so many answers.
func lost(ts *testscript.TestScript, neg bool, args []string) {
	least, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	if n := (*ts.Value(droppedKey{}).(**atomic.Int64)).Load(); n < least {
		ts.Fatalf("only %d answers were lost", n)
	}
}

func TestLostAnswersMakeNoDuplicates(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		server, _ := serveProcess(t, storeDir(t), "--backend-store-uri", uri)
		proxy, dropped, err := lossyProxy(server, 5)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		c, err := mlflow.NewClient(proxy.URL, mlflow.ClientOptions{Backoff: time.Millisecond, Retries: 20})
		if err != nil {
			t.Fatal(err)
		}
		const clients, each = 4, 25
		ctx := t.Context()
		exp, err := c.CreateExperiment(ctx, &mlflow.CreateExperimentRequest{Name: "lossy"})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for client := range clients {
			wg.Go(func() {
				name := fmt.Sprint("model", client)
				if _, err := c.CreateRegisteredModel(ctx, &mlflow.CreateRegisteredModelRequest{Name: name}); err != nil {
					t.Error(err)
					return
				}
				for i := range each {
					run, err := c.CreateRun(ctx, &mlflow.CreateRunRequest{ExperimentID: exp, RunName: fmt.Sprint(client, "-", i)})
					if err != nil {
						t.Error(err)
						return
					}
					version, err := c.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{
						Name: name, Source: run.Info.ArtifactURI + "/model", RunID: run.Info.RunID})
					if err != nil {
						t.Error(err)
						return
					}
					if version.Version != fmt.Sprint(i+1) {
						t.Errorf("version %s of %s, want %d", version.Version, name, i+1)
					}
					if _, err := c.CreateExperiment(ctx, &mlflow.CreateExperimentRequest{Name: fmt.Sprint("e", client, "-", i)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if dropped.Load() < clients*each/2 {
			t.Errorf("only %d answers were dropped", dropped.Load())
		}
		direct := client(t, server)
		names := map[string]bool{}
		for run, err := range direct.Runs(ctx, mlflow.SearchRunsRequest{ExperimentIDs: []string{exp}}) {
			if err != nil {
				t.Fatal(err)
			}
			if names[run.Info.RunName] {
				t.Errorf("run %s is there twice", run.Info.RunName)
			}
			names[run.Info.RunName] = true
		}
		if len(names) != clients*each {
			t.Errorf("%d runs, want %d", len(names), clients*each)
		}
	})
}

func TestARepeatedCreateGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	sqldbtest.EachURI(t, func(t *testing.T, uri string) {
		server, _ := serveProcess(t, storeDir(t), "--backend-store-uri", uri)
		send := func(route, key, body string) (int, string) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/api/2.0/mlflow/"+route, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Idempotency-Key", key)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answer, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(answer)
		}
		for _, tt := range []struct{ route, body, other string }{
			{"experiments/create", `{"name":"e"}`, `{"name":"f"}`},
			{"runs/create", `{"experiment_id":"0","tags":[{"key":"k","value":"\u00fc<&>"}]}`, `{"experiment_id":"0"}`},
			{"registered-models/create", `{"name":"m","description":"d","tags":[{"key":"k","value":"v"}]}`, `{"name":"n"}`},
			{"model-versions/create", `{"name":"m","source":"s3://b/k"}`, `{"name":"m","source":"s3://b/l"}`},
			{"logged-models", `{"experiment_id":"0","name":"l","params":[{"key":"p","value":"1"}]}`, `{"experiment_id":"0"}`},
		} {
			status, first := send(tt.route, tt.body, tt.body)
			again, second := send(tt.route, tt.body, tt.body)
			if status != again || first != second {
				t.Errorf("%s: %d %s, then %d %s", tt.route, status, first, again, second)
			}
			if status != http.StatusOK {
				t.Errorf("%s: %d %s", tt.route, status, first)
			}
			if status, answer := send(tt.route, tt.body, tt.other); status != http.StatusBadRequest || !strings.Contains(answer, "Idempotency-Key") {
				t.Errorf("%s with another body: %d %s", tt.route, status, answer)
			}
			if _, third := send(tt.route, "another", tt.body); third == first {
				t.Errorf("%s: another key got the same answer", tt.route)
			}
		}
	})
}
