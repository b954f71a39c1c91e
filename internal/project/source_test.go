package project

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

func TestProjectsInGit(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"a.sh": "cat version", "version": "one", "sub/b.sh": "echo sub"})
	do := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@x", "-C", dir}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	do("init", "-q", "-b", "trunk")
	do("add", ".")
	do("commit", "-q", "-m", "one")
	first := do("rev-parse", "HEAD")
	do("tag", "v1")
	do("checkout", "-q", "-b", "feature/x")
	if err := os.WriteFile(filepath.Join(dir, "version"), []byte("two"), 0o666); err != nil {
		t.Fatal(err)
	}
	do("commit", "-q", "-am", "two")
	second := do("rev-parse", "HEAD")
	do("checkout", "-q", "trunk")
	bare := filepath.Join(t.TempDir(), "bare.git")
	do("clone", "-q", "--bare", dir, bare)

	tests := []struct {
		name, uri, version, entry, stdout, commit, branch string
	}{
		{"a bare repository", "file://" + bare, "", "a.sh", "one", first, ""},
		{"a branch", "file://" + dir, "feature/x", "a.sh", "two", second, "feature/x"},
		{"a tag", "file://" + dir, "v1", "a.sh", "one", first, ""},
		{"a commit", "file://" + dir, second, "a.sh", "two", second, ""},
		{"a subfolder", "file://" + bare + "#sub", "", "b.sh", "sub\n", first, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, Options{URI: tt.uri, Version: tt.version, EntryPoint: tt.entry})
			if got.err != nil || got.stdout != tt.stdout {
				t.Fatalf("%v %q %s", got.err, got.stdout, got.stderr)
			}
			k := got.tracker.tags
			if k["mlflow.source.git.commit"] != tt.commit || k["mlflow.source.git.branch"] != tt.branch || k["mlflow.source.name"] != tt.uri {
				t.Errorf("%v", k)
			}
		})
	}
	t.Run("a folder in git", func(t *testing.T) {
		t.Parallel()
		got := run(t, Options{URI: dir, EntryPoint: "a.sh"})
		if got.tracker.tags["mlflow.source.git.commit"] != first {
			t.Errorf("%v", got.tracker.tags)
		}
	})
	for _, version := range []string{"no-such", "--upload-pack=x"} {
		if got := run(t, Options{URI: "file://" + bare, Version: version, EntryPoint: "a.sh"}); mlflow.CodeOf(got.err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("%s: %v", version, got.err)
		}
	}
}
