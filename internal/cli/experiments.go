package cli

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/mlflow"
)

// experimentsCommand is `weir experiments`.
func (a *app) experimentsCommand() *cobra.Command {
	return a.trackingFlags(group("experiments", "Create, find, rename, measure and delete experiments",
		a.createExperiment(), a.searchExperiments(), a.getExperiment(), a.deleteExperiment(), a.restoreExperiment(),
		a.renameExperiment(), a.experimentCSV(), a.experimentUsage()))
}

// withTracking runs a command with a client.
func (a *app) withTracking(do func(cmd *cobra.Command, t *tracking) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		t, err := a.open(cmd.Context())
		if err != nil {
			return err
		}
		defer t.close()
		return do(cmd, t)
	}
}

func (a *app) createExperiment() *cobra.Command {
	var name, location string
	cmd := &cobra.Command{Use: "create", Short: "Create an experiment", Args: noArgs, PreRunE: func(*cobra.Command, []string) error {
		return need("experiment-name", name)
	}, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		id, err := t.CreateExperiment(cmd.Context(), &mlflow.CreateExperimentRequest{Name: name, ArtifactLocation: location})
		if err != nil {
			return err
		}
		if a.asJSON {
			return writeJSON(a.Stdout, map[string]string{"experiment_id": id}, 2)
		}
		_, err = fmt.Fprintf(a.Stdout, "Created experiment '%s' with id %s\n", name, id)
		return err
	})}
	cmd.Flags().StringVarP(&name, "experiment-name", "n", "", "name of the new experiment")
	cmd.Flags().StringVarP(&location, "artifact-location", "l", "", "where its runs put artifacts; the server chooses when empty")
	a.jsonFlag(cmd)
	return cmd
}

// viewOf reads MLflow's words for what a search looks at.
func viewOf(text string) (mlflow.ViewType, error) {
	switch view := mlflow.ViewType(strings.ToUpper(text)); view {
	case mlflow.ActiveOnly, mlflow.DeletedOnly, mlflow.All:
		return view, nil
	}
	return "", usagef("--view %q is not active_only, deleted_only or all", text)
}

func (a *app) searchExperiments() *cobra.Command {
	var viewText, filter string
	var limit int64
	cmd := &cobra.Command{Use: "search", Aliases: []string{"list"}, Short: "List experiments", Args: noArgs, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		view, err := viewOf(viewText)
		if err != nil {
			return err
		}
		if limit < 0 {
			return usagef("--max-results %d is negative; leave it out to list all", limit)
		}
		out := table{headers: []string{"Experiment Id", "Name", "Artifact Location"}, keys: []string{"experiment_id", "name", "artifact_location"}}
		for e, err := range t.Experiments(cmd.Context(), mlflow.SearchExperimentsRequest{ViewType: view, Filter: filter}) {
			if err != nil {
				return err
			}
			out.rows = append(out.rows, []string{e.ExperimentID, e.Name, e.ArtifactLocation})
			if limit > 0 && int64(len(out.rows)) == limit {
				break
			}
		}
		slices.SortFunc(out.rows, func(x, y []string) int { return compareIDs(x[0], y[0]) })
		return a.print(out)
	})}
	cmd.Flags().StringVarP(&viewText, "view", "v", "active_only", "active_only, deleted_only or all")
	cmd.Flags().StringVar(&filter, "filter", "", "search expression, such as \"name LIKE 'price%'\"")
	cmd.Flags().Int64Var(&limit, "max-results", 0, "how many to list; all when 0")
	a.jsonFlag(cmd)
	return cmd
}

// compareIDs puts decimal ids in the order of their numbers.
func compareIDs(x, y string) int {
	m, errX := strconv.ParseUint(x, 10, 64)
	n, errY := strconv.ParseUint(y, 10, 64)
	if errX == nil && errY == nil {
		return cmp.Compare(m, n)
	}
	return cmp.Compare(x, y)
}

func (a *app) getExperiment() *cobra.Command {
	var id, name, output string
	cmd := &cobra.Command{Use: "get", Short: "Show one experiment", Args: noArgs, PreRunE: func(*cobra.Command, []string) error {
		if (id == "") == (name == "") {
			return usagef("give either --experiment-id or --experiment-name")
		}
		if output != "table" && output != "json" {
			return usagef("--output %q is neither table nor json", output)
		}
		return nil
	}, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		var e *mlflow.Experiment
		var err error
		if id != "" {
			e, err = t.GetExperiment(cmd.Context(), id)
		} else {
			e, err = t.GetExperimentByName(cmd.Context(), name)
		}
		if err != nil {
			return err
		}
		if output == "json" || a.asJSON {
			return writeJSON(a.Stdout, map[string]any{
				"experiment_id": e.ExperimentID, "name": e.Name, "artifact_location": e.ArtifactLocation, "lifecycle_stage": e.LifecycleStage,
				"creation_time": e.CreationTime, "last_update_time": e.LastUpdateTime, "tags": textMap(e.Tags),
			}, 2)
		}
		tags := make([]string, len(e.Tags))
		for i, tag := range e.Tags {
			tags[i] = tag.Key + "=" + tag.Value
		}
		for _, line := range [][2]string{
			{"Experiment ID", e.ExperimentID}, {"Name", e.Name}, {"Artifact Location", e.ArtifactLocation},
			{"Lifecycle Stage", e.LifecycleStage}, {"Creation Time", orNA(e.CreationTime)},
			{"Last Update Time", orNA(e.LastUpdateTime)}, {"Tags", strings.Join(tags, ", ")},
		} {
			if _, err := fmt.Fprintf(a.Stdout, "%-19s: %s\n", line[0], printable(line[1])); err != nil {
				return err
			}
		}
		return nil
	})}
	f := cmd.Flags()
	f.StringVarP(&id, "experiment-id", "x", "", "id of the experiment")
	f.StringVarP(&name, "experiment-name", "n", "", "name of the experiment")
	f.StringVar(&output, "output", "table", "table or json")
	a.jsonFlag(cmd)
	return cmd
}

func orNA(ms int64) string {
	if ms == 0 {
		return "N/A"
	}
	return strconv.FormatInt(ms, 10)
}

func textMap(pairs []mlflow.KeyValue) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m
}

// byID makes a command that does one thing to one experiment.
func (a *app) byID(use, short, done string, do func(cmd *cobra.Command, t *tracking, id string) error) *cobra.Command {
	var id string
	cmd := &cobra.Command{Use: use, Short: short, Args: noArgs, PreRunE: func(*cobra.Command, []string) error {
		return need("experiment-id", id)
	}, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		if err := do(cmd, t, id); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.Stdout, done+"\n", id)
		return err
	})}
	cmd.Flags().StringVarP(&id, "experiment-id", "x", "", "id of the experiment")
	env(cmd, "experiment-id", "MLFLOW_EXPERIMENT_ID")
	return cmd
}

func (a *app) deleteExperiment() *cobra.Command {
	return a.byID("delete", "Mark an experiment and its runs as deleted", "Experiment with ID %s has been deleted.",
		func(cmd *cobra.Command, t *tracking, id string) error { return t.DeleteExperiment(cmd.Context(), id) })
}

func (a *app) restoreExperiment() *cobra.Command {
	return a.byID("restore", "Bring a deleted experiment and its runs back", "Experiment with id %s has been restored.",
		func(cmd *cobra.Command, t *tracking, id string) error { return t.RestoreExperiment(cmd.Context(), id) })
}

func (a *app) renameExperiment() *cobra.Command {
	var id, newName string
	cmd := &cobra.Command{Use: "rename", Short: "Give an experiment another name", Args: noArgs, PreRunE: func(*cobra.Command, []string) error {
		return need("experiment-id", id, "new-name", newName)
	}, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		if err := t.RenameExperiment(cmd.Context(), id, newName); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.Stdout, "Experiment with id %s has been renamed to '%s'.\n", id, newName)
		return err
	})}
	cmd.Flags().StringVarP(&id, "experiment-id", "x", "", "id of the experiment")
	cmd.Flags().StringVar(&newName, "new-name", "", "its new name")
	env(cmd, "experiment-id", "MLFLOW_EXPERIMENT_ID")
	return cmd
}

func (a *app) experimentCSV() *cobra.Command {
	var id, filename string
	cmd := &cobra.Command{Use: "csv", Short: "Write the runs of an experiment as CSV", Args: noArgs, PreRunE: func(*cobra.Command, []string) error {
		return need("experiment-id", id)
	}, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		runs, err := t.runsOf(cmd.Context(), mlflow.SearchRunsRequest{ExperimentIDs: []string{id}})
		if err != nil {
			return err
		}
		if filename == "" {
			return writeRunsCSV(a.Stdout, runs)
		}
		f, err := os.Create(a.abs(filename))
		if err != nil {
			return err
		}
		if err := writeRunsCSV(f, runs); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "Experiment with ID %s has been exported as a CSV to file: %s.\n", id, filename)
		return err
	})}
	cmd.Flags().StringVarP(&id, "experiment-id", "x", "", "id of the experiment")
	cmd.Flags().StringVarP(&filename, "filename", "o", "", "file to write; standard output when empty")
	env(cmd, "experiment-id", "MLFLOW_EXPERIMENT_ID")
	return cmd
}

// writeRunsCSV writes one line for each run, with a column for each metric, param and tag that any of them has.
func writeRunsCSV(w io.Writer, runs []*mlflow.Run) error {
	values := make([]map[string]string, len(runs))
	columns := map[string]bool{}
	for i, run := range runs {
		v := map[string]string{}
		for _, m := range run.Data.Metrics {
			v["metrics."+m.Key] = floatText(float64(m.Value))
		}
		for _, p := range run.Data.Params {
			v["params."+p.Key] = p.Value
		}
		for _, tag := range run.Data.Tags {
			v["tags."+tag.Key] = tag.Value
		}
		for key := range v {
			columns[key] = true
		}
		values[i] = v
	}
	keys := slices.Sorted(maps.Keys(columns))
	out := csv.NewWriter(w)
	_ = out.Write(append([]string{"run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"}, keys...)) // its error comes back from Error
	for i, run := range runs {
		line := []string{run.Info.RunID, run.Info.ExperimentID, string(run.Info.Status), run.Info.ArtifactURI, timeText(run.Info.StartTime), timeText(run.Info.EndTime)}
		for _, key := range keys {
			line = append(line, values[i][key])
		}
		_ = out.Write(line)
	}
	out.Flush()
	return out.Error()
}

func floatText(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func timeText(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000+00:00")
}
