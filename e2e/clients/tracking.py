"""The usual calls of MLflow's official Python client, each with what must come back.

Runs against the server that MLFLOW_TRACKING_URI names; it passes on Python's own server too.
"""

import json
import math
import os
import tempfile
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException, RestException

checks = 0


def check(got, want, what):
    global checks
    checks += 1
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def refused(code, what, call, *args, **kwargs):
    global checks
    checks += 1
    try:
        call(*args, **kwargs)
    except (RestException, MlflowException) as e:
        assert e.error_code == code, f"{what}: got {e.error_code}, want {code}: {e}"
        return str(e)
    raise AssertionError(f"{what}: accepted")


client = MlflowClient()
stamp = f"{time.time_ns()}"

# Experiments.
name = f"python client {stamp}"
experiment = mlflow.set_experiment(name)
check(experiment.name, name, "set_experiment")
check(mlflow.get_experiment_by_name(name).experiment_id, experiment.experiment_id, "get_experiment_by_name")
check(mlflow.get_experiment_by_name("no such " + stamp), None, "an unknown experiment")
refused("RESOURCE_ALREADY_EXISTS", "the same name again", client.create_experiment, name)
refused("RESOURCE_DOES_NOT_EXIST", "get an unknown experiment", client.get_experiment, "999999999")
client.set_experiment_tag(experiment.experiment_id, "team", "soil")
check(client.get_experiment(experiment.experiment_id).tags["team"], "soil", "experiment tag")
found = client.search_experiments(filter_string=f"name = '{name}' AND tags.team = 'soil'")
check([e.experiment_id for e in found], [experiment.experiment_id], "search_experiments")

# A run with everything in it.
with mlflow.start_run(run_name="parent", tags={"kind": "outer"}, description="a *note*") as parent:
    mlflow.log_param("alpha", 0.5)
    mlflow.log_params({"depth": 3, "name": "früh", "long": "x" * 6000})
    mlflow.log_param("alpha", 0.5)  # the same value again is no change
    refused("INVALID_PARAMETER_VALUE", "another value of a param", mlflow.log_param, "alpha", 0.6)
    for step, value in enumerate([3.0, 2.0, float("nan"), float("inf"), 1.5]):
        mlflow.log_metric("loss", value, step=step)
    mlflow.log_metrics({"acc": 0.9, "val/acc": 0.8}, step=7)
    mlflow.set_tag("colour", "blue")
    mlflow.set_tags({"a": 1, "b": "two"})
    mlflow.log_text("hello\n", "notes/hello.txt")
    mlflow.log_dict({"k": [1, 2]}, "config.json")
    with tempfile.TemporaryDirectory() as d:
        Path(d, "tree", "sub").mkdir(parents=True)
        Path(d, "tree", "one.bin").write_bytes(bytes(range(256)))
        Path(d, "tree", "sub", "naïve ü.txt").write_text("ü")
        mlflow.log_artifacts(os.path.join(d, "tree"), artifact_path="data")
        mlflow.log_artifact(os.path.join(d, "tree", "one.bin"))
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metric("loss", 0.25)

run = client.get_run(parent.info.run_id)
check(run.info.status, "FINISHED", "status")
check(run.info.run_name, "parent", "run name")
check(run.info.end_time >= run.info.start_time, True, "end time")
check(run.data.params, {"alpha": "0.5", "depth": "3", "name": "früh", "long": "x" * 6000}, "params")
check(run.data.metrics["loss"], 1.5, "latest metric")
check(run.data.metrics["val/acc"], 0.8, "metric with a slash")
check({k: run.data.tags[k] for k in ("kind", "colour", "a", "b")}, {"kind": "outer", "colour": "blue", "a": "1", "b": "two"}, "tags")
check(run.data.tags["mlflow.note.content"], "a *note*", "description")
check(client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"], parent.info.run_id, "nested run")

history = client.get_metric_history(parent.info.run_id, "loss")
check([m.step for m in sorted(history, key=lambda m: m.step)], [0, 1, 2, 3, 4], "history steps")
by_step = {m.step: m.value for m in history}
check(math.isnan(by_step[2]), True, "NaN in the history")
check(by_step[3] >= 1.7976931348623157e308, True, "infinity in the history")
check(client.get_metric_history(parent.info.run_id, "no such"), [], "history of an unknown metric")

# Artifacts.
check(sorted(f.path for f in client.list_artifacts(parent.info.run_id)), ["config.json", "data", "notes", "one.bin"], "list_artifacts")
check(sorted(f.path for f in client.list_artifacts(parent.info.run_id, "data")), ["data/one.bin", "data/sub"], "list a folder")
check(client.list_artifacts(parent.info.run_id, "one.bin"), [], "list a file")
local = client.download_artifacts(parent.info.run_id, "data")
check(Path(local, "one.bin").read_bytes(), bytes(range(256)), "download a folder")
check(Path(local, "sub", "naïve ü.txt").read_text(), "ü", "download a unicode name")
uri = parent.info.artifact_uri
check(mlflow.artifacts.load_text(uri + "/notes/hello.txt"), "hello\n", "load_text")
check(mlflow.artifacts.load_dict(f"runs:/{parent.info.run_id}/config.json"), {"k": [1, 2]}, "load_dict")

# Batches and their limits.
batch = client.create_run(experiment.experiment_id, run_name="batch").info.run_id
points = [Metric("m", float(i), 1000 + i, i) for i in range(1000)]
client.log_batch(batch, metrics=points)
check(len(client.get_metric_history(batch, "m")), 1000, "1,000 points in a batch")
client.log_batch(batch, metrics=points[:10])
check(len(client.get_metric_history(batch, "m")), 1000, "the same points again")
client.log_batch(batch, params=[Param("p", "1")], tags=[RunTag("t", "1")])
refused("INVALID_PARAMETER_VALUE", "a changed param in a batch", client.log_batch, batch, params=[Param("p", "2"), Param("q", "1")])
check(client.get_run(batch).data.params, {"p": "1"}, "a refused batch leaves nothing")
client.set_terminated(batch, "KILLED")
check(client.get_run(batch).info.status, "KILLED", "set_terminated")
client.delete_tag(batch, "t")
refused("RESOURCE_DOES_NOT_EXIST", "delete a missing tag", client.delete_tag, batch, "t")
refused("RESOURCE_DOES_NOT_EXIST", "get an unknown run", client.get_run, "0" * 32)

# Search.
ids = [experiment.experiment_id]


def search(filter_string="", order_by=None, view=ViewType.ACTIVE_ONLY, max_results=100):
    return [r.info.run_name for r in client.search_runs(ids, filter_string, view, max_results, order_by)]


check(sorted(search()), ["batch", "child", "parent"], "search everything")
check(search("metrics.loss < 1"), ["child"], "metric filter")
check(search("params.depth = '3' and tags.colour = 'blue'"), ["parent"], "param and tag filter")
check(search("metrics.`val/acc` >= 0.8"), ["parent"], "quoted key")
check(search("attributes.status = 'KILLED'"), ["batch"], "attribute filter")
check(search("params.name ILIKE 'FR%'"), ["parent"], "ILIKE")
check(search("tags.colour != 'blue'"), [], "!= does not match runs without the tag")
check(search("", ["metrics.loss ASC"]), ["child", "parent", "batch"], "order by a metric, missing last")
check(search("", ["metrics.loss DESC"]), ["parent", "child", "batch"], "descending, missing last")
check(search(f"run_id IN ('{batch}')"), ["batch"], "run_id IN")
refused("INVALID_PARAMETER_VALUE", "a filter that cannot be parsed", search, "metrics.loss ><")
page = client.search_runs(ids, max_results=2, order_by=["attributes.run_name ASC"])
check([r.info.run_name for r in page], ["batch", "child"], "first page")
page = client.search_runs(ids, max_results=2, order_by=["attributes.run_name ASC"], page_token=page.token)
check(([r.info.run_name for r in page], page.token), (["parent"], None), "last page")
client.delete_run(batch)
check(sorted(search()), ["child", "parent"], "a deleted run is hidden")
check(search(view=ViewType.DELETED_ONLY), ["batch"], "deleted runs")
refused("INVALID_PARAMETER_VALUE", "log to a deleted run", client.log_metric, batch, "m", 1)
client.restore_run(batch)
check(len(search()), 3, "restored")

# Registry.
model = f"model {stamp}"
client.create_registered_model(model, tags={"owner": "ann"}, description="first")
refused("RESOURCE_ALREADY_EXISTS", "the same model again", client.create_registered_model, model)
v1 = client.create_model_version(model, f"{uri}/data", run_id=parent.info.run_id)
v2 = client.create_model_version(model, f"{uri}/data", run_id=parent.info.run_id, tags={"size": "small"})
check((int(v1.version), int(v2.version), v2.status, v2.current_stage), (1, 2, "READY", "None"), "versions")
client.set_registered_model_alias(model, "champion", v1.version)
check(int(client.get_model_version_by_alias(model, "champion").version), 1, "alias")
client.set_registered_model_alias(model, "champion", v2.version)
check(int(client.get_model_version_by_alias(model, "champion").version), 2, "alias moved")
check(client.get_registered_model(model).aliases, {"champion": "2"}, "aliases of the model")
refused("INVALID_PARAMETER_VALUE", "an unknown alias", client.get_model_version_by_alias, model, "nobody")
client.set_model_version_tag(model, v1.version, "checked", "yes")
check(client.get_model_version(model, v1.version).tags, {"checked": "yes"}, "version tag")
check(client.get_model_version_download_uri(model, v1.version), f"{uri}/data", "download uri")
found = client.search_model_versions(f"name = '{model}'")
check([int(v.version) for v in found], [2, 1], "search_model_versions")
check([m.name for m in client.search_registered_models(f"name = '{model}'")], [model], "search_registered_models")
client.update_model_version(model, v1.version, description="older")
check(client.get_model_version(model, v1.version).description, "older", "version description")
client.transition_model_version_stage(model, v1.version, "Production")
check([v.version for v in client.get_latest_versions(model, ["Production"])], [v1.version], "get_latest_versions")
client.transition_model_version_stage(model, v2.version, "Production", archive_existing_versions=True)
check(client.get_model_version(model, v1.version).current_stage, "Archived", "archived by the transition")
copy = client.copy_model_version(f"models:/{model}@champion", f"copy {stamp}")
check(int(copy.version), 1, "copy_model_version")
client.delete_model_version(model, v1.version)
refused("RESOURCE_DOES_NOT_EXIST", "a deleted version", client.get_model_version, model, v1.version)
client.rename_registered_model(model, model + " new")
check(client.get_model_version(model + " new", v2.version).tags, {"size": "small"}, "renamed")
client.delete_registered_model(model + " new")
refused("RESOURCE_DOES_NOT_EXIST", "a deleted model", client.get_registered_model, model + " new")

# The end of an experiment.
client.rename_experiment(experiment.experiment_id, name + " old")
client.delete_experiment(experiment.experiment_id)
check(client.get_experiment(experiment.experiment_id).lifecycle_stage, "deleted", "deleted experiment")
client.restore_experiment(experiment.experiment_id)
check(client.get_experiment(experiment.experiment_id).name, name + " old", "restored experiment")

print(json.dumps({"mlflow": mlflow.__version__, "checks": checks}))
