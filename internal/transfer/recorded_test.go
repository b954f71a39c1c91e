package transfer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

// recording holds what a server answered to each request. With WEIR_RECORD=http://host:port the requests go there, and
// what it answers is kept; that server is Python's, on the database of the same release in testdata whose locations
// file:///home/ada/project/files/wine and …/thrown are mlflow-artifacts:/1 and /2, with the four files that
// TestServerOfPython wants in its artifact store.
type recording struct {
	t       *testing.T
	path    string
	forward string
	mu      sync.Mutex
	answers map[string]recorded
}

type recorded struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Body   string `json:"body"`
}

func openRecording(t *testing.T, name string) *recording {
	t.Helper()
	r := &recording{t: t, path: filepath.Join("testdata", name), forward: os.Getenv("WEIR_RECORD"), answers: make(map[string]recorded)}
	if r.forward != "" {
		t.Cleanup(func() {
			data, err := json.MarshalIndent(r.answers, "", " ")
			if err == nil {
				err = os.WriteFile(r.path, append(data, '\n'), 0o666)
			}
			if err != nil {
				t.Error(err)
			}
		})
		return r
	}
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(r.path)), &r.answers); err != nil {
		t.Fatal(err)
	}
	return r
}

// ServeHTTP answers as the server did, whatever comes in what order.
func (r *recording) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	key := fmt.Sprintf("%s %s %s", req.Method, req.URL.RequestURI(), body)
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, ok := r.answers[key]
	if !ok && r.forward != "" {
		out, err := http.NewRequest(req.Method, r.forward+req.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			r.t.Error(err)
			return
		}
		out.Header.Set("Content-Type", req.Header.Get("Content-Type"))
		response, err := http.DefaultClient.Do(out)
		if err != nil {
			r.t.Error(err)
			return
		}
		defer response.Body.Close()
		data, _ := io.ReadAll(response.Body)
		answer, ok = recorded{response.StatusCode, response.Header.Get("Content-Type"), string(data)}, true
		r.answers[key] = answer
	}
	if !ok {
		r.t.Errorf("Python's server was never asked %s", key)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", answer.Type)
	w.WriteHeader(answer.Status)
	io.WriteString(w, answer.Body)
}

func TestServerOfPython(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if os.Getenv("WEIR_RECORD") != "" && db.Dialect() == sqldb.Postgres {
			return // one of the two records
		}
		src := openServer(t, openRecording(t, "server-3.17.2.json"), mlflow.ClientOptions{Retries: -1})
		here := newWorld(t, db, t.TempDir())
		report := here.run(src)
		// Python's server serves no file with # in its name.
		odd := []transfer.Fault{{
			Where: "run a2608dd99a05424ea5983539881c7d16, artifact odd name #1 100%.csv", Why: "INVALID_PARAMETER_VALUE: Invalid path",
		}}
		diff(t, odd, report.Faults)
		if report.Runs.Added != 5 || report.ModelVersions.Added != 3 || report.LoggedModels.Added != 1 {
			t.Errorf("%+v", report)
		}
		diff(t, expected(t, "mlflow-3.17.2"), here.dump())
		diff(t, map[string]string{
			"1/a2608dd99a05424ea5983539881c7d16/artifacts/model/MLmodel":    "7276fd6245992f4813a511df25c33edb9893e95194b401c231ccbd4ea362a47f",
			"1/models/m-d4e23791784245c49cf83dbc14f6f633/artifacts/MLmodel": "7f8f4a879eefb3f9fed9c6af4077c9acb0db066b2906d6570c42913478686b0f",
			"2/6e58a2db6b2c42b39ac6cd62909b4274/artifacts/kept.txt":         "78051faade059d70866df6a3fb83ef348721fd74a87e93ef95c493f87d0d236b",
		}, hashes(t, here.root))
		again := here.run(src)
		if again.Added() != 0 || again.Files.Added != 0 || again.Runs.There != 5 {
			t.Errorf("the second import changed something: %+v", again)
		}
	})
}

var _ transfer.Source = (*transfer.Server)(nil)
