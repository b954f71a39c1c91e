package server

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-ml/weir/internal/api"
)

var update = flag.Bool("update", false, "write the generated files instead of checking them")

// TestGenerated keeps what is made from the route table up to date: the OpenAPI document and the page's types. Run it
// with -update, or `make gen`, after a change of routes or messages.
func TestGenerated(t *testing.T) {
	t.Parallel()
	routes := testServer(t).router.Routes()
	for path, content := range map[string][]byte{
		"../../docs/openapi.json":        append(bytes.TrimRight(api.OpenAPI(MLflowVersion, routes), "\n"), '\n'),
		"../../web/src/api/types.gen.ts": api.TypeScript(routes),
	} {
		path = filepath.FromSlash(path)
		if *update {
			if err := os.WriteFile(path, content, 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		is, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(is, content) {
			t.Errorf("%s is not what the route table says; run `make gen`", path)
		}
	}
}

// testServer builds a server on a fresh folder; it listens, but nothing is served.
func testServer(t *testing.T) *Server {
	t.Helper()
	s, err := open(t.Context(), Config{BackendStoreURI: filepath.Join(t.TempDir(), "store"), Dir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestEveryRouteDeclaresAPermission holds for routes to come: api.Router refuses others at start-up.
func TestEveryRouteDeclaresAPermission(t *testing.T) {
	t.Parallel()
	routes := testServer(t).router.Routes()
	if len(routes) < 50 {
		t.Fatalf("only %d routes", len(routes))
	}
	public := map[string]bool{
		"/health": true, "/ready": true, "/version": true, "/server-info": true,
		"/api/3.0/mlflow/server-info": true, "/ajax-api/3.0/mlflow/server-info": true,
		"/api/3.0/mlflow/server-features": true, "/ajax-api/3.0/mlflow/server-features": true,
	}
	for _, r := range routes {
		if r.Permission.Level == "" || (r.Permission.Level == api.LevelPublic && !public[r.Path]) {
			t.Errorf("%v %s: permission %q", r.Methods, r.Path, r.Permission.Level)
		}
	}
}
