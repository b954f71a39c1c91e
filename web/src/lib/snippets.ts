// Texts in the snippets are JSON strings, which R, Python and Go read alike.
const quoted = (text: string) => JSON.stringify(text);

/** How a model is loaded. In Go it is files, and a model server to ask. */
export function loadModelSnippets(url: string, uri: string): Record<string, string> {
  return {
    R: `library(mlflow)
mlflow_set_tracking_uri(${quoted(url)})
model <- mlflow_load_model(${quoted(uri)})
mlflow_predict(model, data)`,
    Python: `import mlflow

mlflow.set_tracking_uri(${quoted(url)})
model = mlflow.pyfunc.load_model(${quoted(uri)})
model.predict(data)`,
    Go: `client, err := mlflow.NewClient(${quoted(url)}, mlflow.ClientOptions{})
if err != nil {
	return err
}
folder, err := client.DownloadArtifacts(ctx, ${quoted(uri)}, "model")`,
    Serve: `export MLFLOW_TRACKING_URI=${url}
weir models serve -m "${uri}" -p 8080`,
  };
}

/** The few lines that log a first run. */
export function firstRunSnippets(url: string, experiment: string): Record<string, string> {
  return {
    R: `library(mlflow)
mlflow_set_tracking_uri(${quoted(url)})
mlflow_set_experiment(${quoted(experiment)})

with(mlflow_start_run(), {
  mlflow_log_param("alpha", 0.5)
  mlflow_log_metric("rmse", 0.73)
})`,
    Python: `import mlflow

mlflow.set_tracking_uri(${quoted(url)})
mlflow.set_experiment(${quoted(experiment)})

with mlflow.start_run():
    mlflow.log_param("alpha", 0.5)
    mlflow.log_metric("rmse", 0.73)`,
    Go: `package main

import (
	"context"
	"log"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

func main() {
	ctx := context.Background()
	client, err := mlflow.NewClient(${quoted(url)}, mlflow.ClientOptions{})
	check(err)
	experiment, err := client.GetExperimentByName(ctx, ${quoted(experiment)})
	check(err)
	now := time.Now().UnixMilli()
	run, err := client.CreateRun(ctx, &mlflow.CreateRunRequest{ExperimentID: experiment.ExperimentID, StartTime: mlflow.Some(now)})
	check(err)
	check(client.LogParam(ctx, run.Info.RunID, "alpha", "0.5"))
	check(client.LogMetric(ctx, &mlflow.LogMetricRequest{RunID: run.Info.RunID, Key: "rmse", Value: 0.73, Timestamp: now}))
	_, err = client.UpdateRun(ctx, &mlflow.UpdateRunRequest{RunID: run.Info.RunID, Status: mlflow.RunFinished, EndTime: mlflow.Some(time.Now().UnixMilli())})
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}`,
  };
}
