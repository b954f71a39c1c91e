package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	rpkg "github.com/weir-ml/weir/r"
)

// run calls the program with an environment of its own.
func run(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Main(t.Context(), Process{
		Args: append([]string{"weir"}, args...), Environ: environ, Dir: t.TempDir(), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err,
		Executable: os.Executable,
	})
	return code, out.String(), err.String()
}

func TestTheBinaryCarriesTheWholeRPackage(t *testing.T) {
	t.Parallel()
	// What R CMD INSTALL does not need stays out.
	left := map[string]bool{"tests": true, "vignettes": true, "embed.go": true, ".Rbuildignore": true, "Makefile": true, "README.md": true, "NEWS.md": true, ".lintr": true, "_pkgdown.yml": true}
	root := filepath.FromSlash("../../r")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if left[filepath.ToSlash(name)] {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if _, err := fs.Stat(rpkg.FS, filepath.ToSlash(name)); err != nil {
			t.Errorf("r/%s is not embedded", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryCommandAndFlagSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s says nothing about itself", cmd.CommandPath())
		}
		if cmd.RunE == nil {
			t.Errorf("%s does nothing", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s says nothing about itself", cmd.CommandPath(), f.Name)
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	a := &app{Process: Process{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}}, name: "weir"}
	visit(a.root())
}

func TestHelpIsPrintedForEveryCommand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--help"}, {"server", "--help"}, {"ui", "--help"}, {"models", "serve", "--help"}, {"rfunc", "serve", "--help"}, {"rfunc", "predict", "--help"},
		{"run", "--help"}, {"artifacts", "download", "--help"}, {"experiments"}, {"runs"}, {"r", "install", "--help"}, {"doctor", "--help"},
	} {
		code, out, _ := run(t, nil, args...)
		if code != 0 || !strings.Contains(out, "Usage:") {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environ []string
		args    []string
		code    int
		want    string
	}{
		{nil, []string{"nothing"}, 2, `weir: "nothing" is not a command of "weir" (see weir --help)`},
		{nil, []string{"runs", "delete"}, 2, "weir: --run-id is missing (see weir runs delete --help)"},
		{nil, []string{"runs", "list", "--experiment-id"}, 2, "weir: flag needs an argument: --experiment-id (see weir runs list --help)"},
		{[]string{"WEIR_PORT=x"}, []string{"server"}, 2, `weir: WEIR_PORT: --port "x": a port is a number from 0 to 65535 (see weir server --help)`},
		{[]string{"MLFLOW_WORKSPACE=w"}, []string{"server"}, 1, "weir: MLFLOW_WORKSPACE is set, but this server has no workspaces; unset it"},
		{nil, []string{"server", "--log-level", "loud"}, 2, `weir: --log-level "loud" is not debug, info, warn or error (see weir server --help)`},
		{nil, []string{"server", "--static-prefix", "x/", "--backend-store-uri", "s"}, 1, `weir: static prefix "x/" must begin with / and not end with it`},
		{nil, []string{"models", "predict", "-m", "m", "-t", "xml"}, 2, `weir: --content-type "xml" is none of json, jsonl, csv, parquet, arrow, arrows and rds (see weir models predict --help)`},
		{nil, []string{"server", "--port", "70000"}, 2, `weir: --port "70000": a port is a number from 0 to 65535 (see weir server --help)`},
		{nil, []string{"server", "--x-frame-options", "maybe"}, 2, `weir: --x-frame-options "MAYBE" is not SAMEORIGIN, DENY or NONE (see weir server --help)`},
		{nil, []string{"server", "--log-slow", "soon"}, 2, `weir: --log-slow "soon" is not a time span such as 500ms, 30s or 2h (see weir server --help)`},
		{nil, []string{"connect"}, 2, `weir: weir connect FOLDER_OR_SQLITE_URI takes one argument, got 0 (see weir connect --help)`},
		{nil, []string{"r", "install", "--r", "/nope"}, 1, `weir: --r /nope: there is no such file; name R's program, such as /usr/bin/R`},
	} {
		code, out, stderr := run(t, tt.environ, tt.args...)
		if code != tt.code || stderr != tt.want+"\n" || out != "" {
			t.Errorf("%v: %d\n got %q\nwant %q\nstdout %q", tt.args, code, stderr, tt.want, out)
		}
	}
}
