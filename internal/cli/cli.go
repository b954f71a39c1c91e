package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Version is Weir's own version; a build sets it through the linker.
var Version = "dev"

// Process is what a command sees of the operating system.
type Process struct {
	Args    []string // with the program's name
	Environ []string
	Dir     string // working directory
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Executable is the path of this binary, which starts servers for folders.
	Executable func() (string, error)
}

// OS gives the process that this program runs as.
func OS() Process {
	dir, _ := os.Getwd() // an error shows as soon as a relative path is used
	return Process{os.Args, os.Environ(), dir, os.Stdin, os.Stdout, os.Stderr, os.Executable}
}

// app is one run of the program.
type app struct {
	Process
	name        string // weir, or mlflow when called so
	trackingURI string
	tokenFile   string
	asJSON      bool
}

// Main runs the program and gives its exit code.
func Main(ctx context.Context, p Process) int {
	a := &app{Process: p, name: "weir"}
	if strings.TrimSuffix(filepath.Base(p.Args[0]), ".exe") == "mlflow" {
		a.name = "mlflow"
	}
	root := a.root()
	root.SetArgs(rewrite(p.Args[1:]))
	return a.report(root.ExecuteContextC(ctx))
}

// rewrite understands how MLflow's Java client calls Python for artifacts: python -m mlflow.store.artifact.cli ARGS.
func rewrite(args []string) []string {
	if len(args) >= 2 && args[0] == "-m" && args[1] == "mlflow.store.artifact.cli" {
		return append([]string{"artifacts"}, args[2:]...)
	}
	return args
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           a.name,
		Short:         "The machine-learning lifecycle in one program: tracking, registry, artifacts, projects, serving",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          subcommandNeeded,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.applyEnvFile(cmd); err != nil {
				return err
			}
			return a.applyEnv(cmd)
		},
	}
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.Version = Version
	root.SetVersionTemplate(a.versionLine())
	root.PersistentFlags().String("env-file", "", "read environment variables from a file of KEY=VALUE lines")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		a.serverCommand("server"), a.uiCommand(), a.connectCommand(), a.rCommand(), a.doctorCommand(),
		a.runCommand(), a.modelsCommand(), a.rfuncCommand(), a.artifactsCommand(), a.importCommand(), a.exportCommand(), a.gcCommand(), a.dbCommand(), a.experimentsCommand(), a.runsCommand(), a.versionCommand(),
	)
	return root
}

// group makes a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: subcommandNeeded}
	cmd.AddCommand(commands...)
	return cmd
}

func subcommandNeeded(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	text := fmt.Sprintf("%q is not a command of %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{errors.New(text)}
}

// usageError is a wrong command line: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitError ends the program with a code when everything was said already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// report prints an error of a command as one line and gives the exit code for it.
func (a *app) report(cmd *cobra.Command, err error) int {
	var usage usageError
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	}
	line := printable(strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " "))
	// R's package looks for this word and shows what follows it.
	if !strings.HasPrefix(line, "FileNotFoundError") {
		line = a.name + ": " + line
	}
	if errors.As(err, &usage) {
		fmt.Fprintf(a.Stderr, "%s (see %s --help)\n", line, cmd.CommandPath())
		return 2
	}
	fmt.Fprintln(a.Stderr, line)
	return 1
}

// flagError is what a flag has against its value, without the words of Go's number parser.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return usageError{err}
	}
	name, value := invalid.GetFlag().Name, invalid.GetValue()
	switch invalid.GetFlag().Value.Type() {
	case "int", "int32", "int64":
		return usagef("--%s %q is not a whole number", name, value)
	case "float64":
		return usagef("--%s %q is not a number", name, value)
	case "bool":
		return usagef("--%s %q is neither true nor false", name, value)
	case "duration":
		return usagef("--%s %q is not a time span such as 500ms, 30s or 2h", name, value)
	}
	return usagef("--%s %q: %w", name, value, invalid.Unwrap())
}

// portFlag is the number of a TCP port.
type portFlag struct{ port *int }

func (v portFlag) String() string {
	if v.port == nil { // how pflag asks for the zero value
		return "0"
	}
	return strconv.Itoa(*v.port)
}

func (v portFlag) Type() string { return "port" }

func (v portFlag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("a port is a number from 0 to 65535")
	}
	*v.port = int(n)
	return nil
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}
