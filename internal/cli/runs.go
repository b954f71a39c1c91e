package cli

import (
	"context"
	"fmt"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/mlflow"
)

// runsCommand is `weir runs`.
func (a *app) runsCommand() *cobra.Command {
	return a.trackingFlags(group("runs", "List, describe, create, delete and restore runs",
		a.listRuns(), a.describeRun(), a.createRun(),
		a.byRunID("delete", "Mark a run as deleted", "Run with ID %s has been deleted.",
			func(cmd *cobra.Command, t *tracking, id string) error { return t.DeleteRun(cmd.Context(), id) }),
		a.byRunID("restore", "Bring a deleted run back", "Run with id %s has been restored.",
			func(cmd *cobra.Command, t *tracking, id string) error { return t.RestoreRun(cmd.Context(), id) })))
}

func (a *app) listRuns() *cobra.Command {
	var id, viewText, filter string
	cmd := &cobra.Command{Use: "list", Short: "List the runs of an experiment, newest first", Args: noArgs, PreRunE: func(*cobra.Command, []string) error {
		return need("experiment-id", id)
	}, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		view, err := viewOf(viewText)
		if err != nil {
			return err
		}
		runs, err := t.runsOf(cmd.Context(), mlflow.SearchRunsRequest{ExperimentIDs: []string{id}, RunViewType: view, Filter: filter})
		if err != nil {
			return err
		}
		slices.SortStableFunc(runs, func(x, y *mlflow.Run) int { return int(min(1, max(-1, y.Info.StartTime-x.Info.StartTime))) })
		out := table{headers: []string{"Date", "Name", "ID"}, keys: []string{"start_time", "run_name", "run_id", "status"}}
		for _, run := range runs {
			if a.asJSON {
				out.rows = append(out.rows, []string{timeText(run.Info.StartTime), run.Info.RunName, run.Info.RunID, string(run.Info.Status)})
			} else {
				out.rows = append(out.rows, []string{dateText(run.Info.StartTime), run.Info.RunName, run.Info.RunID})
			}
		}
		return a.print(out)
	})}
	f := cmd.Flags()
	f.StringVarP(&id, "experiment-id", "x", "", "id of the experiment")
	f.StringVarP(&viewText, "view", "v", "active_only", "active_only, deleted_only or all")
	f.StringVar(&filter, "filter", "", "search expression, such as \"metrics.rmse < 0.8\"")
	env(cmd, "experiment-id", "MLFLOW_EXPERIMENT_ID")
	a.jsonFlag(cmd)
	return cmd
}

// runsOf gives all runs that a search finds. A search in an experiment that does not exist finds none, where a person has
// mistyped its id: that is an error here.
func (t *tracking) runsOf(ctx context.Context, search mlflow.SearchRunsRequest) ([]*mlflow.Run, error) {
	var runs []*mlflow.Run
	for run, err := range t.Runs(ctx, search) {
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	if len(runs) == 0 {
		for _, id := range search.ExperimentIDs {
			if _, err := t.GetExperiment(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	return runs, nil
}

// byRunID makes a command that does one thing to one run.
func (a *app) byRunID(use, short, done string, do func(cmd *cobra.Command, t *tracking, id string) error) *cobra.Command {
	var id string
	cmd := &cobra.Command{Use: use, Short: short, Args: noArgs, PreRunE: func(*cobra.Command, []string) error {
		return need("run-id", id)
	}, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		if err := do(cmd, t, id); err != nil {
			return err
		}
		if done == "" {
			return nil
		}
		_, err := fmt.Fprintf(a.Stdout, done+"\n", id)
		return err
	})}
	cmd.Flags().StringVarP(&id, "run-id", "r", "", "id of the run")
	return cmd
}

func (a *app) describeRun() *cobra.Command {
	cmd := a.byRunID("describe", "Print everything about a run as JSON", "", func(cmd *cobra.Command, t *tracking, id string) error {
		run, err := t.GetRun(cmd.Context(), id)
		if err != nil {
			return err
		}
		return writeJSON(a.Stdout, describe(run), 4)
	})
	cmd.Flags().Bool("json", true, "print JSON, which is all that this command prints")
	cmd.Flags().Lookup("json").Hidden = true
	return cmd
}

// describe is the run as Python's client prints it: metrics, params and tags are maps.
func describe(run *mlflow.Run) any {
	metrics := map[string]mlflow.Float{}
	for _, m := range run.Data.Metrics {
		metrics[m.Key] = m.Value
	}
	datasets, models, outputs := run.Inputs.DatasetInputs, run.Inputs.ModelInputs, []mlflow.ModelOutput{}
	if datasets == nil {
		datasets = []mlflow.DatasetInput{}
	}
	if models == nil {
		models = []mlflow.ModelInput{}
	}
	if run.Outputs != nil && run.Outputs.ModelOutputs != nil {
		outputs = run.Outputs.ModelOutputs
	}
	return map[string]any{
		"info":    run.Info,
		"data":    map[string]any{"metrics": metrics, "params": textMap(run.Data.Params), "tags": textMap(run.Data.Tags)},
		"inputs":  map[string]any{"dataset_inputs": datasets, "model_inputs": models},
		"outputs": map[string]any{"model_outputs": outputs},
	}
}

func (a *app) createRun() *cobra.Command {
	var id, experiment, name, description, status, parent string
	var tags []string
	cmd := &cobra.Command{Use: "create", Short: "Create a run that has ended already", Args: noArgs, PreRunE: func(*cobra.Command, []string) error {
		if id == "" && experiment == "" {
			if experiment = a.getenv("MLFLOW_EXPERIMENT_NAME"); experiment == "" {
				id = a.getenv("MLFLOW_EXPERIMENT_ID")
			}
		}
		if (id == "") == (experiment == "") {
			return usagef("give either --experiment-id or --experiment-name")
		}
		switch status = strings.ToUpper(status); mlflow.RunStatus(status) {
		case mlflow.RunFinished, mlflow.RunFailed, mlflow.RunKilled:
			return nil
		}
		return usagef("--status %q is not FINISHED, FAILED or KILLED", status)
	}, RunE: a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		ctx := cmd.Context()
		list, err := runTags(tags, map[string]string{
			"mlflow.user": userName(), "mlflow.source.type": "LOCAL", "mlflow.source.name": a.name,
			"mlflow.note.content": description, "mlflow.parentRunId": parent,
		})
		if err != nil {
			return err
		}
		if experiment != "" {
			e, err := t.GetExperimentByName(ctx, experiment)
			if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
				id, err = t.CreateExperiment(ctx, &mlflow.CreateExperimentRequest{Name: experiment})
			} else if err == nil {
				id = e.ExperimentID
			}
			if err != nil {
				return err
			}
		}
		run, err := t.CreateRun(ctx, &mlflow.CreateRunRequest{ExperimentID: id, RunName: name, UserID: userName(), StartTime: mlflow.Some(time.Now().UnixMilli()), Tags: list})
		if err != nil {
			return err
		}
		if _, err := t.UpdateRun(ctx, &mlflow.UpdateRunRequest{RunID: run.Info.RunID, Status: mlflow.RunStatus(status), EndTime: mlflow.Some(time.Now().UnixMilli())}); err != nil {
			return err
		}
		return writeJSON(a.Stdout, map[string]string{
			"run_id": run.Info.RunID, "experiment_id": run.Info.ExperimentID, "status": status, "run_name": run.Info.RunName,
		}, 2)
	})}
	f := cmd.Flags()
	f.StringVarP(&id, "experiment-id", "x", "", "id of the experiment")
	f.StringVarP(&experiment, "experiment-name", "n", "", "name of the experiment, which is created when there is none")
	f.StringVar(&name, "run-name", "", "name of the run; one is made up when empty")
	f.StringVar(&description, "description", "", "what the run is")
	f.StringArrayVarP(&tags, "tags", "t", nil, "a tag as key=value; may be repeated")
	f.StringVar(&status, "status", "FINISHED", "FINISHED, FAILED or KILLED")
	f.StringVar(&parent, "parent-run-id", "", "run that this one is nested in")
	return cmd
}

// runTags joins tags of the command line, which win, with standard ones that have a value.
func runTags(given []string, standard map[string]string) ([]mlflow.KeyValue, error) {
	for _, text := range given {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, usagef("tag %q is not key=value", text)
		}
		standard[key] = value
	}
	var tags []mlflow.KeyValue
	for key, value := range standard {
		if value != "" {
			tags = append(tags, mlflow.KeyValue{Key: key, Value: value})
		}
	}
	slices.SortFunc(tags, func(x, y mlflow.KeyValue) int { return strings.Compare(x.Key, y.Key) })
	return tags, nil
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
