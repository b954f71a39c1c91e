package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) getenv(name string) string {
	for i := len(a.Environ) - 1; i >= 0; i-- { // the last one wins, as when a process starts
		if key, value, _ := strings.Cut(a.Environ[i], "="); key == name {
			return value
		}
	}
	return ""
}

func (a *app) setenv(name, value string) {
	a.Environ = append(slices.Clip(a.Environ), name+"="+value)
}

const mlflowEnv = "mlflow_env"

// env names the variables of MLflow's that set a flag, the first one that is set wins.
func env(cmd *cobra.Command, flag string, names ...string) {
	f := cmd.Flags().Lookup(flag)
	if f == nil {
		f = cmd.PersistentFlags().Lookup(flag)
	}
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[mlflowEnv] = names
}

func weirVariable(flag string) string {
	return "WEIR_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applyEnv sets the flags that the command line leaves open from WEIR_<FLAG>, from the file that WEIR_<FLAG>_FILE names,
// which is how a secret stays out of the process list, or from MLflow's variables.
func (a *app) applyEnv(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" || opposite(cmd, f.Name) {
			return
		}
		own := weirVariable(f.Name)
		for _, name := range append([]string{own, own + "_FILE"}, f.Annotations[mlflowEnv]...) {
			value := a.getenv(name)
			if value == "" {
				continue
			}
			if name == own+"_FILE" {
				data, err := os.ReadFile(a.abs(value))
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", name, err))
					return
				}
				value = strings.TrimRight(string(data), "\r\n")
			}
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				errs = append(errs, usagef("%s: %w", name, flagError(err)))
			}
			return
		}
	})
	return errors.Join(errs...)
}

// opposite reports whether --x was given where the flag is --no-x, or the other way round.
func opposite(cmd *cobra.Command, flag string) bool {
	other := "no-" + flag
	if name, ok := strings.CutPrefix(flag, "no-"); ok {
		other = name
	}
	f := cmd.Flags().Lookup(other)
	return f != nil && f.Changed
}

// applyEnvFile reads the variables of --env-file; those of the environment win.
func (a *app) applyEnvFile(cmd *cobra.Command) error {
	f := cmd.Flags().Lookup("env-file")
	if f == nil || f.Value.String() == "" {
		return nil
	}
	data, err := os.ReadFile(f.Value.String())
	if err != nil {
		return fmt.Errorf("read the file of variables: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if key = strings.TrimSpace(key); a.getenv(key) == "" {
			value = strings.TrimSpace(value)
			if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
				value = value[1 : n-1]
			}
			a.setenv(key, value)
		}
	}
	return nil
}

// ignore accepts flags of MLflow's that have no meaning here, so that existing scripts run; ignored tells which were given.
func ignore(cmd *cobra.Command, withValue []string, without ...string) {
	mark := func(name string) {
		f := cmd.Flags().Lookup(name)
		f.Hidden = true
		f.Annotations = map[string][]string{ignoredFlag: nil}
	}
	for _, name := range withValue {
		name, short, _ := strings.Cut(name, "/")
		cmd.Flags().StringP(name, short, "", "ignored")
		mark(name)
	}
	for _, name := range without {
		cmd.Flags().Bool(name, false, "ignored")
		mark(name)
	}
}

const ignoredFlag = "ignored"

// warnIgnored says once which flags had no effect.
func (a *app) warnIgnored(cmd *cobra.Command) {
	var given []string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if _, ok := f.Annotations[ignoredFlag]; ok {
			given = append(given, "--"+f.Name)
		}
	})
	if len(given) > 0 {
		fmt.Fprintf(a.Stderr, "%s: ignored, because this server needs no such setting: %s\n", a.name, strings.Join(given, ", "))
	}
}
