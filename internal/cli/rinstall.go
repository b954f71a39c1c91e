package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	rpkg "github.com/weir-ml/weir/r"
)

// rCommand is `weir r`.
func (a *app) rCommand() *cobra.Command {
	return group("r", "Work with the R package", a.installR(), a.relayCommand(), a.systemCommand(), a.storeCommand())
}

// installR installs the R package that this binary carries; it needs no network.
func (a *app) installR() *cobra.Command {
	var lib, rscript string
	cmd := &cobra.Command{Use: "install", Short: "Install the R package mlflow that comes with this program", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findR(rscript)
			if err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "weir-r-")
			if err != nil {
				return fmt.Errorf("make a folder for the package: %w", err)
			}
			defer os.RemoveAll(dir)
			source := filepath.Join(dir, "mlflow")
			if err := os.CopyFS(source, rpkg.FS); err != nil {
				return fmt.Errorf("unpack the package: %w", err)
			}
			args := []string{"CMD", "INSTALL", "--no-test-load"}
			if lib != "" {
				lib = a.abs(lib)
				if err := os.MkdirAll(lib, 0o777); err != nil {
					return fmt.Errorf("make the library: %w", err)
				}
				args = append(args, "--library="+lib)
			}
			install := exec.CommandContext(cmd.Context(), r, append(args, source)...)
			install.Env = a.Environ
			var said bytes.Buffer
			install.Stdout, install.Stderr = &said, &said
			if err := install.Run(); err != nil {
				fmt.Fprint(a.Stderr, said.String())
				return fmt.Errorf("R CMD INSTALL: %w; `%s doctor` says which R packages are missing", err, a.name)
			}
			where := lib
			if where == "" {
				where = "R's first library"
			}
			_, err = fmt.Fprintf(a.Stdout, "Installed the R package mlflow into %s\n", where)
			return err
		}}
	cmd.Flags().StringVar(&lib, "lib", "", "library to install into; R's first one when empty")
	cmd.Flags().StringVar(&rscript, "r", "", "R to use; the one on PATH when empty")
	return cmd
}

// rPackageVersion is the version of the R package that this binary carries.
func rPackageVersion() string {
	text, err := rpkg.FS.ReadFile("DESCRIPTION")
	if err != nil {
		return "" // embedded: it is always there
	}
	for line := range strings.Lines(string(text)) {
		if version, ok := strings.CutPrefix(line, "Version:"); ok {
			return strings.TrimSpace(version)
		}
	}
	return ""
}
