//go:build unix

package server

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStoreReadsMLflowsURIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	existing := filepath.Join(dir, "mlflow.db")
	if err := os.WriteFile(existing, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]Store{
		"":                           {Folder: dir + "/mlruns"},
		"store":                      {Folder: dir + "/store"},
		"./a/../store/":              {Folder: dir + "/store"},
		"/abs/store":                 {Folder: "/abs/store"},
		"file:store":                 {Folder: dir + "/store"},
		"file:/abs/store":            {Folder: "/abs/store"},
		"file:///abs/store":          {Folder: "/abs/store"},
		"file://localhost/abs/store": {Folder: "/abs/store"},
		"mlflow.db":                  {File: existing},
		"sqlite:///mlflow.db":        {File: existing},
		"sqlite:///new/runs.db":      {File: dir + "/new/runs.db"},
		"sqlite:////abs/runs.db":     {File: "/abs/runs.db"},
		"postgresql://u:p@h/db":      {Postgres: "postgresql://u:p@h/db"},
		"postgresql+psycopg2://h/db": {Postgres: "postgresql://h/db"},
		"postgres://h/db":            {Postgres: "postgresql://h/db"},
		"a folder with: a colon/x":   {Folder: dir + "/a folder with: a colon/x"},
	} {
		got, err := ParseStore(uri, dir)
		if err != nil {
			t.Errorf("%q: %v", uri, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", uri, diff)
		}
	}
}
