package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// family is a group of routes that report faults in the same form.
type family struct {
	name, path string
	body       func(do string) string
	fault      func(body []byte) string // the message of an error's body, "" when it has another form
}

var families = []family{
	{"mlflow", "/invocations", order, mlflowFault},
	{"legacy predict", "/predict", order, mlflowFault},
	{"legacy invocation", "/invocation", order, mlflowFault},
	{"kserve", "/v2/models/obey/infer", func(do string) string {
		return fmt.Sprintf(`{"inputs": [{"name": "do", "shape": [1], "datatype": "BYTES", "data": [%q]}]}`, do)
	}, func(body []byte) string {
		var fault struct{ Error string }
		_ = json.Unmarshal(body, &fault)
		return fault.Error
	}},
}

func mlflowFault(body []byte) string {
	var fault struct {
		Code    string `json:"error_code"`
		Message string
	}
	if json.Unmarshal(body, &fault) != nil || fault.Code == "" {
		return ""
	}
	return fault.Message
}

// send gives the status and headers of an answer and the message of its fault.
func (f *family) send(t *testing.T, server *httptest.Server, path, contentType, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, f.fault(data)
}

// TestFaultsOfEveryRouteFamily is the table "Faults while serving" of the contract, row by row.
func TestFaultsOfEveryRouteFamily(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			e, server := serve(t, "obey", func(c *Config) { c.Name, c.Timeout, c.Spares = "obey", 2*time.Second, 1 })
			for _, c := range []struct {
				what, path, contentType, body string
				status                        int
				message                       string
			}{
				{"not what its type says", f.path, "application/json", `{"inputs": `, 400, "not JSON"},
				{"content type", f.path, "image/png", f.body("fine"), 415, `"image/png" is not supported`},
				{"an R error", f.path, "application/json", f.body("stop"), 500, "no luck"},
				{"infinite recursion", f.path, "application/json", f.body("deep"), 500, "too "},
				{"quits", f.path, "application/json", f.body("quit"), 502, "exit status 7"},
				{"crashes", f.path, "application/json", f.body("crash"), 502, "segmentation fault"},
				{"never ends", f.path, "application/json", f.body("loop"), 504, "did not answer within 2s"},
				{"no such route", f.path + "/x", "application/json", f.body("fine"), 404, ""},
			} {
				await(t, func() bool { return e.spareWorkers.Load() == 1 })
				status, _, message := f.send(t, server, c.path, c.contentType, c.body)
				if status != c.status || !strings.Contains(message, c.message) {
					t.Errorf("%s: %d %q, want %d %q", c.what, status, message, c.status, c.message)
				}
				began := time.Now()
				if status, _, _ := f.send(t, server, f.path, "application/json", f.body("fine")); status != 200 {
					t.Errorf("after %s: %d", c.what, status)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("after %s the next answer took %s", c.what, took)
				}
			}
		})
		t.Run(f.name+", full and stopping", func(t *testing.T) {
			t.Parallel()
			e, server := serve(t, "obey", func(c *Config) { c.Name, c.QueueLimit, c.MaxBatchRows = "obey", 1, 1 })
			results := make(chan int, 2)
			sleep := `[{"do": "sleep", "n": 1.5}]`
			go func() { s, _ := post(t, server, "/invocations", "application/json", sleep); results <- s }()
			await(t, func() bool { return e.running.Load() == 1 })
			go func() { s, _ := post(t, server, "/invocations", "application/json", order("fine")); results <- s }()
			await(t, func() bool { e.queue.mu.Lock(); defer e.queue.mu.Unlock(); return len(e.queue.jobs) == 1 })
			status, header, message := f.send(t, server, f.path, "application/json", f.body("fine"))
			if status != 429 || header.Get("Retry-After") == "" || message == "" {
				t.Errorf("full: %d %q, Retry-After %q", status, message, header.Get("Retry-After"))
			}
			closed := make(chan error, 1)
			go func() { closed <- e.Close(context.Background()) }()
			await(t, func() bool { return !e.serving() })
			status, header, message = f.send(t, server, f.path, "application/json", f.body("fine"))
			if status != 503 || header.Get("Retry-After") == "" || message == "" {
				t.Errorf("stopping: %d %q, Retry-After %q", status, message, header.Get("Retry-After"))
			}
			for range 2 {
				if status := <-results; status != 200 {
					t.Errorf("a request that was accepted before: %d", status)
				}
			}
			if err := <-closed; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMemoryThatIsNotThereIsAnError asks for more than a worker may have: R says so, and goes on.
func TestMemoryThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	e, server := serve(t, "obey", func(c *Config) { c.MaxMemory = 256 << 20 })
	status, body := post(t, server, "/invocations", "application/json", `[{"do": "eval", "code": "sum(numeric(2e8))"}]`)
	if status != 500 || !strings.Contains(body, "cannot allocate") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := post(t, server, "/invocations", "application/json", order("fine")); status != 200 || e.stats.replaced.Load() != 0 {
		t.Errorf("afterwards: %d, %d workers replaced", status, e.stats.replaced.Load())
	}
}
