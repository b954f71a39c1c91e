package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
)

// versionLine is what --version prints, in the words of the program whose name this one bears.
func (a *app) versionLine() string {
	if a.name == "mlflow" {
		return "mlflow, version " + server.MLflowVersion + "\n"
	}
	return weirVersion()
}

// weirVersion is the same under every name: by it clients tell this program from Python's mlflow.
func weirVersion() string {
	return fmt.Sprintf("weir %s (MLflow API %s)\n", Version, server.MLflowVersion)
}

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of Weir and of the MLflow API that it follows",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if !a.asJSON {
				_, err := fmt.Fprint(a.Stdout, weirVersion())
				return err
			}
			return json.NewEncoder(a.Stdout).Encode(map[string]string{
				"version": Version, "mlflow_version": server.MLflowVersion, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				"r_package": rPackageVersion(),
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

// jsonFlag adds --json to a command that prints for people.
func (a *app) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print JSON")
}
