package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
	"github.com/weir-ml/weir/mlflow"
)

// experimentUsage is `weir experiments usage`.
func (a *app) experimentUsage() *cobra.Command {
	var id, viewText string
	cmd := &cobra.Command{
		Use: "usage", Short: "Show what experiments take of the disk",
		Long: `Shows what experiments take of the disk: the points of their metrics, and the files that were stored through the
server. Deleted runs count until ` + "`weir gc`" + ` removes them.`,
		Args: noArgs,
	}
	cmd.RunE = a.withTracking(func(cmd *cobra.Command, t *tracking) error {
		query := url.Values{}
		if id != "" {
			query.Set("experiment_id", id)
		} else {
			view, err := viewOf(viewText)
			if err != nil {
				return err
			}
			query.Set("view_type", string(view))
		}
		var usage server.UsageResponse
		if err := a.getOwn(cmd.Context(), t, "/api/weir/v1/experiments/usage?"+query.Encode(), &usage); err != nil {
			return err
		}
		if a.asJSON {
			return writeJSON(a.Stdout, usage.Experiments, 2)
		}
		out := table{headers: []string{"Experiment Id", "Name", "Runs", "Deleted", "Points", "Series", "Files", "Artifacts"}}
		var all server.ExperimentUsage
		for _, u := range usage.Experiments {
			out.rows = append(out.rows, usageRow(u))
			all.Runs, all.DeletedRuns, all.Points, all.SeriesBytes = all.Runs+u.Runs, all.DeletedRuns+u.DeletedRuns, all.Points+u.Points, all.SeriesBytes+u.SeriesBytes
			all.Files, all.ArtifactBytes = all.Files+u.Files, all.ArtifactBytes+u.ArtifactBytes
		}
		if len(usage.Experiments) > 1 {
			all.Name = "(all)"
			out.rows = append(out.rows, usageRow(all))
		}
		return a.print(out)
	})
	cmd.Flags().StringVarP(&id, "experiment-id", "x", "", "show this experiment alone")
	cmd.Flags().StringVarP(&viewText, "view", "v", "active_only", "active_only, deleted_only or all")
	a.jsonFlag(cmd)
	return cmd
}

func usageRow(u server.ExperimentUsage) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{u.ExperimentID, u.Name, number(u.Runs), number(u.DeletedRuns), number(u.Points), byteText(u.SeriesBytes), number(u.Files), byteText(u.ArtifactBytes)}
}

// getOwn asks the server for something that MLflow has no call for.
func (a *app) getOwn(ctx context.Context, t *tracking, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.uri+path, nil)
	if err != nil {
		return err
	}
	if o := mlflow.ClientOptionsFromEnv(a.getenv); o.Username != "" && t.token == o.Token {
		req.SetBasicAuth(o.Username, o.Password)
	} else if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		fault := &mlflow.Error{}
		if json.Unmarshal(body, fault) == nil && fault.Code != "" {
			return fault
		}
		return fmt.Errorf("the server answered %s; is it a weir server?", response.Status)
	}
	return json.Unmarshal(body, out)
}
