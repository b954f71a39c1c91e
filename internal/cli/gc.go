package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
)

// gcCommand is `weir gc`, with the flags of `mlflow gc`.
func (a *app) gcCommand() *cobra.Command {
	var (
		uri, tracked, older string
		o                   server.GCOptions
	)
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove deleted runs, experiments and logged models for good, with their files",
		Long: `Removes for good what was deleted: runs, logged models and experiments, with their rows in the database and their
artifacts. It works on the store itself, beside a server that runs on it or without one, and waits for nobody: a server's
clients do not notice it. When it is broken off, the next one goes on where it stopped.

Without ids, everything that is deleted goes. With --run-ids, --experiment-ids or --logged-model-ids only what they name
goes, an experiment with all that is in it; what is not deleted is refused, and then nothing is removed. A SQLite file
keeps its size: the room is used again.

Only files below the artifact root go, and only from folders that are named for their run or model; the summary lists
what was left. What a version of a registered model has its files in stays, unless --include-registered is given.`,
		Example: "  weir gc --older-than 30d --dry-run\n  weir gc --backend-store-uri sqlite:///weir.db --artifacts-destination mlartifacts --older-than 30d",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.warnIgnored(cmd)
			for name, list := range map[string][]string{"run-ids": o.RunIDs, "experiment-ids": o.ExperimentIDs, "logged-model-ids": o.LoggedModelIDs} {
				// A script's empty variable must not turn some into all.
				if cmd.Flags().Changed(name) && (len(list) == 0 || slices.Contains(list, "")) {
					return usagef("--%s names nothing; leave it out to remove everything that is deleted", name)
				}
			}
			var err error
			if o.OlderThan, err = ageOf(older); err != nil {
				return err
			}
			if o.Config, err = a.maintained(uri, tracked, o.Config); err != nil {
				return err
			}
			if !a.asJSON {
				done := "has been"
				if o.DryRun {
					done = "would be"
				}
				o.Removed = func(kind, id string) {
					fmt.Fprintf(a.Stdout, "%s with ID %s %s permanently deleted.\n", strings.ToUpper(kind[:1])+kind[1:], id, done)
				}
			}
			report, err := server.GC(cmd.Context(), o)
			if report != nil {
				if werr := a.printGC(report, o.Config.DefaultArtifactRoot != ""); werr != nil {
					return werr
				}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&older, "older-than", "", "remove only what was deleted so long ago, such as 30d or 1d2h3m4s")
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be removed, and remove nothing")
	f.StringSliceVar(&o.RunIDs, "run-ids", nil, "remove only these runs (ids, separated by commas)")
	f.StringSliceVar(&o.ExperimentIDs, "experiment-ids", nil, "remove only these experiments, with all that is in them")
	f.StringSliceVar(&o.LoggedModelIDs, "logged-model-ids", nil, "remove only these logged models")
	f.BoolVar(&o.IncludeRegistered, "include-registered", false, "remove also what registered models have their files in")
	a.jsonFlag(cmd)
	a.storeFlags(cmd, &uri, &tracked, &o.Config)
	ignore(cmd, []string{"job-ids"}, "jobs")
	return cmd
}

// storeFlags names the store of a command that works on it directly.
func (a *app) storeFlags(cmd *cobra.Command, uri, tracked *string, c *server.Config) {
	f := cmd.Flags()
	f.StringVar(uri, "backend-store-uri", "", "the store: a folder, sqlite:///file.db or postgresql://… (default ./mlruns)")
	f.StringVar(&c.ArtifactsDestination, "artifacts-destination", "", "where its server keeps artifacts (default: the folder, or mlartifacts)")
	f.StringVar(&c.DefaultArtifactRoot, "default-artifact-root", "", "where clients put artifacts by themselves, if its server was told so")
	f.StringVar(tracked, "tracking-uri", "", "the same as --backend-store-uri, when it is a folder or a database")
	env(cmd, "backend-store-uri", "MLFLOW_BACKEND_STORE_URI")
	env(cmd, "artifacts-destination", "MLFLOW_ARTIFACTS_DESTINATION")
	env(cmd, "default-artifact-root", "MLFLOW_DEFAULT_ARTIFACT_ROOT")
	env(cmd, "tracking-uri", "MLFLOW_TRACKING_URI")
}

// maintained completes the Config of a command that works on a store. MLflow's scripts name the server beside the store;
// alone its address is not enough.
func (a *app) maintained(uri, tracked string, c server.Config) (server.Config, error) {
	c.Dir, c.BackendStoreURI = a.Dir, uri
	if uri == "" {
		c.BackendStoreURI = tracked
	}
	if strings.HasPrefix(c.BackendStoreURI, "http://") || strings.HasPrefix(c.BackendStoreURI, "https://") {
		return c, usagef("%s is a server's address; this works on its store: give --backend-store-uri as the server has it", c.BackendStoreURI)
	}
	return c, a.storeLimits(&c)
}

var ageForm = regexp.MustCompile(`^(?:([.\d]+)d)?(?:([.\d]+)h)?(?:([.\d]+)m)?(?:([.\d]+)s)?$`)

// ageOf reads MLflow's form of a duration, such as 1d2h3m4s or 1.5d.
func ageOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	wrong := usagef("--older-than %q is not a duration; write it as 30d, 8h, 2d8h5m20s or 2m4s", text)
	parts := ageForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, wrong
	}
	var total time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if parts[i+1] == "" {
			continue
		}
		n, err := strconv.ParseFloat(parts[i+1], 64)
		if err != nil || n > 1e5 {
			return 0, wrong
		}
		total += time.Duration(n * float64(unit))
	}
	return total, nil
}

// printGC prints a report. KnowsRoot says that gc was told of a default artifact root.
func (a *app) printGC(r *server.GCReport, knowsRoot bool) error {
	if a.asJSON {
		return writeJSON(a.Stdout, r, 2)
	}
	for _, k := range r.Kept {
		fmt.Fprintf(a.Stdout, "kept: %s %s: %s\n", k.Kind, k.ID, k.Why)
	}
	for _, k := range r.Left {
		fmt.Fprintf(a.Stdout, "files left: %s %s: %s\n", k.Kind, k.ID, k.Why)
	}
	if len(r.Left) > 0 && !knowsRoot {
		fmt.Fprintln(a.Stdout, "note: files in a folder that the server has as --default-artifact-root go when gc is told it too")
	}
	verb := "removed"
	if r.DryRun {
		verb = "would remove"
	}
	resumed := ""
	if r.Resumed > 0 {
		resumed = fmt.Sprintf(" (%d begun by an earlier gc)", r.Resumed)
	}
	_, err := fmt.Fprintf(a.Stdout, "%s %s, %s and %s%s: %s with %s, %s of metrics with %s\n", verb,
		count(r.Runs, "run"), count(r.LoggedModels, "logged model"), count(r.Experiments, "experiment"), resumed,
		count(r.Files, "file"), byteText(r.Bytes), count(r.Points, "point"), byteText(r.SeriesBytes))
	return err
}

// count gives a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

// byteText gives a size as people read it: 999 B, 1.0 kB, 3.2 GB.
func byteText(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		if v /= 1000; v < 999.95 {
			return fmt.Sprintf("%.1f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f TB", v/1000)
}
