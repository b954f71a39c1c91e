package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weir-ml/weir/mlflow"
)

// rfuncCommand is `mlflow rfunc` as releases up to 0.7 had it: arguments stand alone (`rfunc predict model data.json`)
// or behind flags, and predictions are printed bare.
func (a *app) rfuncCommand() *cobra.Command {
	return a.trackingFlags(group("rfunc", "Serve an R model or predict with it, as early releases of MLflow did", a.rfuncServe(), a.rfuncPredict()))
}

func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return usagef("unexpected argument %q", args[n])
		}
		return nil
	}
}

// take gives an argument its place: the flag wins, and then the argument is the next flag's.
func take(args []string, flag *string) []string {
	if *flag == "" && len(args) > 0 {
		*flag, args = args[0], args[1:]
	}
	return args
}

// ofRun makes the model's path one of a run's artifacts when a run is given.
func ofRun(uri *string, runID string) error {
	if *uri == "" {
		return usagef("no model is given")
	}
	if runID != "" {
		*uri = mlflow.JoinURI("runs:/"+runID, *uri)
	}
	return nil
}

func (a *app) rfuncServe() *cobra.Command {
	var s serving
	var runID string
	cmd := &cobra.Command{Use: "serve [MODEL]", Short: "Serve an R model over HTTP", Args: atMost(1), RunE: func(cmd *cobra.Command, args []string) error {
		take(args, &s.uri)
		if err := ofRun(&s.uri, runID); err != nil {
			return err
		}
		a.warnIgnored(cmd)
		return a.runEndpoint(cmd.Context(), &s)
	}}
	s.flags(cmd, 5000)
	rfuncFlags(cmd, &runID)
	return cmd
}

func rfuncFlags(cmd *cobra.Command, runID *string) {
	cmd.Flags().StringVarP(runID, "run-id", "r", "", "run whose artifacts hold the model")
	cmd.Flags().SetNormalizeFunc(renamed(map[string]string{"model-path": "model-uri", "run-uuid": "run-id"}))
	ignore(cmd, nil, "restore", "no-conda")
}

// renamed understands flags by names that they had before.
func renamed(names map[string]string) func(*pflag.FlagSet, string) pflag.NormalizedName {
	return func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if now, ok := names[name]; ok {
			name = now
		}
		return pflag.NormalizedName(name)
	}
}

func (a *app) rfuncPredict() *cobra.Command {
	var o modelOptions
	var in, out, contentType, runID string
	cmd := &cobra.Command{Use: "predict [MODEL] [INPUT] [OUTPUT]", Short: "Predict with an R model", Args: atMost(3), RunE: func(cmd *cobra.Command, args []string) error {
		take(take(take(args, &o.uri), &in), &out)
		if err := ofRun(&o.uri, runID); err != nil {
			return err
		}
		a.warnIgnored(cmd)
		o.config.Bare = true
		media, err := mediaType(contentType, in)
		if err != nil {
			return err
		}
		return a.predict(cmd.Context(), &o, in, out, media)
	}}
	o.flags(cmd.Flags())
	predictFlags(cmd, &in, &out, &contentType)
	rfuncFlags(cmd, &runID)
	return cmd
}
