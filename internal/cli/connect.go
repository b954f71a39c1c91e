package cli

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
)

// connectCommand is what clients in other languages call with a folder as their tracking URI: afterwards a server for it
// lives, and one line of JSON says where. The client then holds GET /api/weir/v1/lease open while it needs the server.
func (a *app) connectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "connect FOLDER_OR_SQLITE_URI",
		Short: "Find or start the server of a folder and print its address and token as JSON",
		Args:  oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			ready, err := a.connect(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return json.NewEncoder(a.Stdout).Encode(struct {
				server.Ready
				RPackage string `json:"r_package"` // by which R says that it is older or newer than this program
			}{ready, rPackageVersion()})
		},
	}
}

func oneArg(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s takes one argument, got %d", strings.TrimSuffix(cmd.UseLine(), " [flags]"), len(args))
	}
	return nil
}
