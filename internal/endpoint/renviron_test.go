package endpoint

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheUsersRenvironNamesLibraries reads the variables that lead to packages, and no others.
func TestTheUsersRenvironNamesLibraries(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	text := "# R_LIBS=/no\nSECRET=x\nR_LIBS_USER = \"${HOME}/R/%v\"\nexport R_LIBS=${MINE:-'/fall/back'}:/b\nnonsense\n"
	if err := os.WriteFile(filepath.Join(home, ".Renviron"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"HOME": home}
	getenv := func(name string) string { return vars[name] }
	want := map[string]string{"R_LIBS_USER": home + "/R/%v", "R_LIBS": "/fall/back:/b"}
	if diff := cmp.Diff(want, userLibraries(getenv)); diff != "" {
		t.Error(diff)
	}
	env := environment(&Config{Getenv: getenv}, []string{"/recorded"})
	for _, want := range []string{"R_LIBS_USER=" + home + "/R/%v", "R_LIBS=/recorded:/fall/back:/b"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not among %q", want, env)
		}
	}
	vars["R_LIBS_USER"], vars["R_LIBS"] = "/own", "/mine"
	env = environment(&Config{Getenv: getenv}, nil)
	if !slices.Contains(env, "R_LIBS_USER=/own") || !slices.Contains(env, "R_LIBS=/mine") || slices.Contains(env, "SECRET=x") {
		t.Errorf("%q", env)
	}
	vars = map[string]string{"HOME": filepath.Join(home, "nobody")}
	if got := userLibraries(getenv); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
