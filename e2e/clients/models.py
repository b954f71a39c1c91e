"""Models of MLflow 3 by the official Python client: logged, registered, measured, searched and loaded back.

Runs against the server that MLFLOW_TRACKING_URI names; it passes on Python's own server too. With mlflow-skinny alone a
folder stands for the model; with numpy and pandas it is a model of the flavor python_function, which predicts.
"""

import importlib.util
import json
import os
import tempfile
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric
from mlflow.entities.logged_model_input import LoggedModelInput
from mlflow.entities.logged_model_status import LoggedModelStatus
from mlflow.exceptions import MlflowException, RestException

checks = 0
predicts = all(importlib.util.find_spec(name) for name in ("numpy", "pandas"))


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


def versions_of(model):
    # The server writes the number of a version as a number, the client adds it once more as text.
    return {(v["name"], int(v["version"])) for v in json.loads(model.tags["mlflow.modelVersions"])}


os.chdir(tempfile.mkdtemp())
client = MlflowClient()
stamp = f"{time.time_ns()}"
experiment = mlflow.set_experiment(f"python models {stamp}").experiment_id
registered = f"doubler-{stamp}"

if predicts:
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
    data = mlflow.data.from_pandas(frame, name="numbers", targets="y")
    digits = mlflow.data.from_numpy(np.arange(6).reshape(2, 3), name="digits")

    class Doubler(mlflow.pyfunc.PythonModel):
        """Doubles what it is given, which is model enough to see whether files and signature come back."""

        def predict(self, context, model_input, params=None):
            return model_input["x"] * 2

    log_input = mlflow.log_input

    def log_model():
        return mlflow.pyfunc.log_model(
            name="doubler",
            python_model=Doubler(),
            input_example=frame[["x"]],
            registered_model_name=registered,
            params={"depth": "3"},
            tags={"team": "soil"},
            metadata={"note": "früh"},
        ).model_id

    def works(uri):
        return list(mlflow.pyfunc.load_model(uri).predict(frame[["x"]])) == [2.0, 4.0, 6.0]

else:
    data = Dataset("numbers", "5a0c1d2e", "local", '{"uri": "numbers.csv"}')
    digits = Dataset("digits", "9f8e7d6c", "local", '{"uri": "digits.csv"}', "[]", "{}")

    def log_input(dataset, context=None, tags=None):
        tags = {**({"mlflow.data.context": context} if context else {}), **(tags or {})}
        use = DatasetInput(dataset, [InputTag(k, v) for k, v in tags.items()])
        client.log_inputs(run.info.run_id, datasets=[use])

    def log_model():
        m = client.create_logged_model(
            experiment, name="doubler", source_run_id=run.info.run_id, params={"depth": "3"}, tags={"team": "soil"}
        )
        with tempfile.TemporaryDirectory() as d:
            Path(d, "data").mkdir()
            Path(d, "MLmodel").write_text(f"model_id: {m.model_id}\n")
            Path(d, "data", "früh.txt").write_text("x * 2")
            client.log_model_artifacts(m.model_id, d)
        client.finalize_logged_model(m.model_id, LoggedModelStatus.READY)
        client.log_outputs(run.info.run_id, [LoggedModelOutput(m.model_id, 0)])
        mlflow.register_model(f"models:/{m.model_id}", registered)
        return m.model_id

    def works(uri):
        folder = Path(mlflow.artifacts.download_artifacts(uri))
        return (folder / "data" / "früh.txt").read_text() == "x * 2"


# A run that reads data, and logs a model that is registered at once.
with mlflow.start_run(run_name="trainer") as run:
    mlflow.log_param("alpha", 1)
    log_input(data, context="training", tags={"split": "first"})
    log_input(data, context="again")  # the first use of a dataset stays
    log_input(digits)
    model_id = log_model()
    mlflow.log_metric("rmse", 0.25, step=3, model_id=model_id, dataset=data)
    mlflow.log_metrics({"r2": 0.9, "mae": 0.5}, step=1, model_id=model_id)
    mlflow.log_metric("rmse", 0.125, step=4, model_id=model_id, dataset=data)
run_id = run.info.run_id
check(model_id[:2] + str(len(model_id)), "m-34", "form of a model's id")

run = client.get_run(run_id)
inputs = {i.dataset.name: i for i in run.inputs.dataset_inputs}
check(sorted(inputs), ["digits", "numbers"], "dataset inputs")
check({t.key: t.value for t in inputs["numbers"].tags}, {"mlflow.data.context": "training", "split": "first"}, "tags of an input")
check(inputs["numbers"].dataset.digest, data.digest, "digest")
if predicts:
    check(json.loads(inputs["numbers"].dataset.profile)["num_rows"], 3, "profile")
    check(json.loads(inputs["numbers"].dataset.schema)["mlflow_colspec"][0]["name"], "x", "schema")
check([(o.model_id, o.step) for o in run.outputs.model_outputs], [(model_id, 0)], "outputs of the run")
check(run.data.metrics, {"rmse": 0.125, "r2": 0.9, "mae": 0.5}, "metrics of the run")
check([m.value for m in client.get_metric_history(run_id, "rmse")], [0.25, 0.125], "history of the run's metric")

# The logged model itself.
model = mlflow.get_logged_model(model_id)
check(model.name, "doubler", "name")
check(model.status, LoggedModelStatus.READY, "status")
check(model.source_run_id, run_id, "source run")
check(model.experiment_id, experiment, "experiment")
check(model.params["depth"], "3", "params")
check(model.tags["team"], "soil", "tags")
check(versions_of(model), {(registered, 1)}, "tag of its versions")
points = sorted((m.key, m.step, m.value, m.dataset_name or "", m.run_id) for m in model.metrics)
check(points, [("mae", 1, 0.5, "", run_id), ("r2", 1, 0.9, "", run_id),
               ("rmse", 3, 0.25, "numbers", run_id), ("rmse", 4, 0.125, "numbers", run_id)], "metrics of the model")
check(model.artifact_location.endswith(f"/models/{model_id}/artifacts"), True, "where its files are")

# It comes back by each of its names.
for uri in [f"models:/{registered}/1", f"runs:/{run_id}/doubler", f"models:/{model_id}", model.model_uri]:
    check(works(uri), True, f"the model comes back by {uri}")
client.set_registered_model_alias(registered, "champion", 1)
check(works(f"models:/{registered}@champion"), True, "by alias")
version = client.get_model_version(registered, "1")
check((version.run_id, version.source), (run_id, f"models:/{model_id}"), "where the version comes from")
folder = Path(mlflow.artifacts.download_artifacts(model.model_uri))
check(model_id in (folder / "MLmodel").read_text(), True, "its folder, downloaded")
check("MLmodel" in [f.path for f in client.list_logged_model_artifacts(model_id)], True, "list of its files")
check(Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/doubler/MLmodel")).exists(), True, "download from runs:/")
second = mlflow.register_model(f"runs:/{run_id}/doubler", registered)
check(second.version, "2", "register from runs:/")
check(versions_of(mlflow.get_logged_model(model_id)), {(registered, 1), (registered, 2)}, "both versions")

# Tags and params.
mlflow.set_logged_model_tags(model_id, {"team": "water", "a/b c": "x"})
check(mlflow.get_logged_model(model_id).tags["a/b c"], "x", "set_logged_model_tags")
mlflow.delete_logged_model_tag(model_id, "team")
check("team" in mlflow.get_logged_model(model_id).tags, False, "delete_logged_model_tag")
refused("RESOURCE_DOES_NOT_EXIST", "delete a tag twice", mlflow.delete_logged_model_tag, model_id, "team")
mlflow.log_model_params({f"p{i}": str(i) for i in range(250)}, model_id)
check(len(mlflow.get_logged_model(model_id).params) >= 251, True, "log_model_params in batches")

# Models without a run, and searches.
others = []
for name, acc in [("low", 0.2), ("high", 0.8)]:
    m = mlflow.initialize_logged_model(name=name, tags={"kind": "external"}, model_type="forest", params={"n": name})
    check(m.status, LoggedModelStatus.PENDING, "a new model's status")
    with mlflow.start_run(run_name=f"eval {name}") as r:
        client.log_inputs(r.info.run_id, models=[LoggedModelInput(m.model_id)])
        client.log_metric(r.info.run_id, "acc", acc, model_id=m.model_id, dataset_name="numbers", dataset_digest=data.digest)
        client.log_batch(r.info.run_id, metrics=[
            Metric("acc", acc / 2, 1, 7, model_id=m.model_id, dataset_name="other", dataset_digest="d")])
    check([i.model_id for i in client.get_run(r.info.run_id).inputs.model_inputs], [m.model_id], "model inputs")
    others.append(m)
low, high = others
mlflow.finalize_logged_model(high.model_id, "READY")


def names(**kwargs):
    return [m.name for m in mlflow.search_logged_models(experiment_ids=[experiment], output_format="list", **kwargs)]


check(names(), ["high", "low", "doubler"], "the newest first")
check(names(filter_string="name = 'low'"), ["low"], "by name")
check(names(filter_string=f"source_run_id = '{run_id}' AND name IN ('doubler', 'low')"), ["doubler"], "by run")
check(names(filter_string="params.n = 'low'"), ["low"], "by param")
check(names(filter_string="tags.kind = 'external' AND model_type = 'forest'"), ["high", "low"], "by tag and type")
check(names(filter_string="tags.kind != 'external'"), [], "a tag that others lack")
check(names(filter_string="metrics.acc > 0.5"), ["high"], "by metric")
check(names(filter_string="metrics.acc > 0.3"), ["high"], "by metric, lower")
check(names(filter_string="metrics.acc < 0.15"), ["low"], "any point of a metric counts")
check(names(filter_string="metrics.acc > 0.3", datasets=[{"dataset_name": "other", "dataset_digest": "d"}]), ["high"], "on a dataset")
check(names(filter_string="metrics.acc > 0.5", datasets=[{"dataset_name": "other", "dataset_digest": "d"}]), [], "on another dataset")
check(names(datasets=[{"dataset_name": "numbers", "dataset_digest": data.digest}]), ["high", "low", "doubler"], "measured on a dataset")
check(names(order_by=[{"field_name": "metrics.acc", "ascending": True}]), ["low", "high", "doubler"], "by metric, missing last")
check(names(order_by=[{"field_name": "metrics.acc", "ascending": False}]), ["high", "low", "doubler"], "descending, missing last too")
check(names(order_by=[{"field_name": "name"}]), ["doubler", "high", "low"], "order by name")
check("doubler" in names(filter_string=f"creation_timestamp >= {low.creation_timestamp}"), False, "by time")
page = client.search_logged_models([experiment], max_results=2)
check([m.name for m in page], ["high", "low"], "first page")
rest = client.search_logged_models([experiment], max_results=2, page_token=page.token)
check(([m.name for m in rest], rest.token or None), (["doubler"], None), "last page")
if predicts:
    check(len(mlflow.search_logged_models(experiment_ids=[experiment])), 3, "as a data frame")
refused("INVALID_PARAMETER_VALUE", "a filter without meaning", names, filter_string="name > 'a'")
refused("INVALID_PARAMETER_VALUE", "order by a param", names, order_by=[{"field_name": "params.n"}])
refused("INVALID_PARAMETER_VALUE", "a name with a slash", mlflow.initialize_logged_model, name="a/b")

# Outputs, datasets and runs found by them.
with mlflow.start_run(run_name="maker") as maker:
    client.log_outputs(maker.info.run_id, [LoggedModelOutput(low.model_id, 5), LoggedModelOutput(high.model_id, 0)])
made = client.get_run(maker.info.run_id).outputs.model_outputs
check(sorted((o.model_id, o.step) for o in made), sorted([(low.model_id, 5), (high.model_id, 0)]), "log_outputs")


def runs(filter_string):
    return [r.info.run_name for r in client.search_runs([experiment], filter_string)]


check(runs("dataset.name = 'numbers'"), ["trainer"], "runs by dataset")
check(runs(f"datasets.digest = '{digits.digest}' AND dataset.context = 'training'"), ["trainer"], "by digest and context")
check(runs("dataset.name = 'none'"), [], "no such dataset")
check(runs("dataset.name LIKE 'num%' AND params.alpha = '1'"), ["trainer"], "dataset and param")
found = client.search_runs([experiment], "attributes.run_name = 'trainer'")[0]
check(sorted(i.dataset.name for i in found.inputs.dataset_inputs), ["digits", "numbers"], "a found run has its inputs")
check([o.model_id for o in found.outputs.model_outputs], [model_id], "and its outputs")

# Deletion.
client.delete_logged_model(low.model_id)
refused("RESOURCE_DOES_NOT_EXIST", "a deleted model", client.get_logged_model, low.model_id)
check(names(), ["high", "doubler"], "a deleted model is not found")
refused("RESOURCE_DOES_NOT_EXIST", "delete an unknown model", client.delete_logged_model, "m-" + "0" * 32)

print(json.dumps({"mlflow": mlflow.__version__, "predicts": predicts, "checks": checks}))
