package cli

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/project"
)

// runCommand is `weir run`.
func (a *app) runCommand() *cobra.Command {
	var o project.Options
	var params []string
	var backend string
	cmd := &cobra.Command{
		Use:   "run [URI]",
		Short: "Run a project or a script in a tracked run",
		Long: "Runs a folder, a script (.R, .Rmd, .qmd, .py, .sh) or a git repository, with or without an MLproject file, in a run\n" +
			"that ends FINISHED or FAILED as the script does. Exit code: 0, 1, or 130 and 143 after SIGINT and SIGTERM.",
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.URI = "."
			if len(args) > 0 {
				o.URI = args[0]
			}
			if backend != "local" && backend != "" {
				return usagef("--backend %q: projects run on this machine only", backend)
			}
			var err error
			if o.Params, err = project.ParseParams(params); err != nil {
				return usageError{err}
			}
			if o.ExperimentID == "" && o.ExperimentName == "" && o.RunID == "" {
				if o.ExperimentName = a.getenv("MLFLOW_EXPERIMENT_NAME"); o.ExperimentName == "" {
					o.ExperimentID = a.getenv("MLFLOW_EXPERIMENT_ID")
				}
			}
			a.warnIgnored(cmd)
			return a.runProject(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.EntryPoint, "entry-point", "e", "main", "entry point of the MLproject file, or a script of the folder")
	f.StringVarP(&o.Version, "version", "v", "", "branch, tag or commit of a git repository")
	f.StringArrayVarP(&params, "param-list", "P", nil, "a parameter as name=value; may be repeated")
	f.StringVar(&o.ExperimentName, "experiment-name", "", "experiment to run in; it is created when there is none")
	f.StringVar(&o.ExperimentID, "experiment-id", "", "id of the experiment to run in")
	f.StringVar(&o.RunID, "run-id", "", "run to continue instead of making one")
	f.StringVar(&o.RunName, "run-name", "", "name of the run")
	f.StringVar(&o.StorageDir, "storage-dir", "", "folder for what parameters of type path download")
	f.StringVarP(&backend, "backend", "b", "local", "where to run: local")
	ignore(cmd, []string{"backend-config/c", "env-manager", "docker-args/A"}, "no-conda", "build-image", "skip-image-build")
	return a.trackingFlags(cmd)
}

func (a *app) runProject(ctx context.Context, o project.Options) error {
	t, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	exe, err := a.Executable()
	if err != nil {
		return err
	}
	o.Client, o.TrackingURI, o.WorkDir, o.User = t.Client, t.uri, a.Dir, userName()
	o.Stdout, o.Stderr = a.Stdout, a.Stderr
	o.Env = slices.Clone(a.Environ)
	if t.token != "" {
		// The child speaks to the same server as this process; a name and password in the environment would win over the token.
		o.Env = slices.DeleteFunc(o.Env, func(v string) bool {
			return strings.HasPrefix(v, "MLFLOW_TRACKING_USERNAME=") || strings.HasPrefix(v, "MLFLOW_TRACKING_PASSWORD=")
		})
		o.Env = append(o.Env, "MLFLOW_TRACKING_TOKEN="+t.token)
	}
	for _, name := range []string{"MLFLOW_BIN", "MLFLOW_PYTHON_BIN"} { // by which R's packages find this program
		if a.getenv(name) == "" {
			o.Env = append(o.Env, name+"="+exe)
		}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	o.Signals = signals
	// The first signal cancels ctx; what remains to be done then, telling the server how the run ended, needs it alive.
	result, err := project.Run(context.WithoutCancel(ctx), o)
	if err != nil {
		return err
	}
	if result.ExitCode != 0 {
		return exitError(result.ExitCode)
	}
	return nil
}
