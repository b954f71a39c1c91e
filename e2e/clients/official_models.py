"""Models as users of MLflow's official Python client and of scikit-learn write them: logged, registered, loaded back.

compare.py runs it, with 2.x and 3.x alike, against this server and against Python's own, and compares what it gets.
"""

import os
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from transcript import name, pages, refused, say, stamp

client = MlflowClient()
os.chdir(tempfile.mkdtemp())
three = int(mlflow.__version__.split(".")[0]) >= 3
# What a model needs is written down here, as finding it out takes the client several seconds a model.
needs = {"pip_requirements": ["scikit-learn"]}

eid = name(mlflow.set_experiment(f"models {stamp}").experiment_id, "E")
frame = pd.DataFrame({"x": np.arange(20.0), "y": np.arange(20.0) ** 2 % 7})
target = 2 * frame["x"] - frame["y"] + 1
fitted = LinearRegression().fit(frame, target)
model_name = f"regression-{stamp}"


def log(model, path, **kwargs):
    """log_model, whose words for the model's name differ between 2.x and 3.x."""
    info = mlflow.sklearn.log_model(model, **{"name" if three else "artifact_path": path}, **needs, **kwargs)
    if three:
        name(info.model_id, "MODEL-" + path)
    return info


def same(uri):
    return bool(np.allclose(mlflow.pyfunc.load_model(uri).predict(frame), fitted.predict(frame)))


def inputs(run_id):
    found = client.get_run(run_id).inputs.dataset_inputs
    return sorted([i.dataset.name, i.dataset.source_type, sorted((t.key, t.value) for t in i.tags)] for i in found)


def files(list_, path=None):
    return [p for f in list_(path) for p in ([f.path] if not f.is_dir else files(list_, f.path))]


# --- a model, with the data that it was fitted to

with mlflow.start_run(run_name="fit") as run:
    rid = name(run.info.run_id, "FIT")
    data = mlflow.data.from_pandas(frame.assign(z=target), name="numbers", targets="z")
    mlflow.log_input(data, context="training", tags={"split": "first"})
    mlflow.log_input(data, context="again")
    mlflow.log_input(mlflow.data.from_numpy(np.arange(6).reshape(2, 3), name="digits"))
    info = log(fitted, "model", signature=infer_signature(frame, fitted.predict(frame)), input_example=frame.head(2), registered_model_name=model_name)
    mlflow.log_metric("rmse", 0.0, step=1)
say("datasets of the run", inputs(rid))
say("runs by dataset", [r.info.run_name for r in client.search_runs([eid], "dataset.name = 'numbers' and dataset.context = 'training'")])
say("runs by another dataset", list(client.search_runs([eid], "dataset.name LIKE 'none%'")))
say("signature", str(info.signature))
say("uri of the model", info.model_uri)
say("files of the run", files(lambda p: client.list_artifacts(rid, p)))
say("history of models", "mlflow.log-model.history" in client.get_run(rid).data.tags)
first = client.get_model_version(model_name, "1")
say("the version", first)
say("where it is downloaded from", client.get_model_version_download_uri(model_name, "1"))
for what, uri in [("what log_model says", info.model_uri), ("run", f"runs:/{rid}/model"), ("version", f"models:/{model_name}/1"), ("latest", f"models:/{model_name}/latest")]:
    say(f"loaded by {what}", same(uri))
say("loaded as scikit-learn's", type(mlflow.sklearn.load_model(f"models:/{model_name}/1")).__name__)
say("its flavors", sorted(mlflow.models.get_model_info(f"models:/{model_name}/1").flavors))
say("downloaded", sorted(p.name for p in Path(mlflow.artifacts.download_artifacts(f"models:/{model_name}/1")).iterdir()))

# --- autolog

mlflow.sklearn.autolog(silent=True)
with mlflow.start_run(run_name="auto") as auto:
    name(auto.info.run_id, "AUTO")
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(frame, target)
    pipeline.score(frame, target)
mlflow.sklearn.autolog(silent=True, log_models=False)
with mlflow.start_run(run_name="grid") as grid:
    GridSearchCV(DecisionTreeRegressor(random_state=1), {"max_depth": [1, 2, 3]}, cv=2).fit(frame, target)
mlflow.sklearn.autolog(disable=True)
for what, r in [("autolog", auto), ("a grid search", grid)]:
    got = client.get_run(r.info.run_id)
    say(f"params of {what}", got.data.params)
    say(f"metrics of {what}", {k: round(v, 9) for k, v in got.data.metrics.items() if "time" not in k})
    say(f"tags of {what}", sorted(k for k in got.data.tags if not k.startswith("mlflow.source.git")))
    say(f"files of {what}", files(lambda p, r=r: client.list_artifacts(r.info.run_id, p)))
    say(f"datasets of {what}", [x[1:] for x in inputs(r.info.run_id)])
children = client.search_runs([eid], f"tags.mlflow.parentRunId = '{grid.info.run_id}'", order_by=["params.max_depth"])
say("children of the grid search", [(c.data.params["max_depth"], c.info.status) for c in children])

# --- registry

second = mlflow.register_model(f"runs:/{rid}/model", model_name, tags={"size": "small"})
say("registered from the run", (second.version, second.tags, second.status, second.current_stage))
refused("the model again", client.create_registered_model, model_name)
refused("a model without a name", client.create_registered_model, "")
refused("a version of nothing", client.create_model_version, "none " + stamp, "s3://b/x")
refused("a version of a local folder that climbs", client.create_model_version, model_name, "s3://b/../x")
client.update_registered_model(model_name, "predicts *z*")
client.set_registered_model_tag(model_name, "owner", "ånn")
client.set_registered_model_tag(model_name, "gone", "1")
client.delete_registered_model_tag(model_name, "gone")
client.delete_registered_model_tag(model_name, "never there")
client.set_registered_model_alias(model_name, "champion", "1")
client.set_registered_model_alias(model_name, "champion", "2")
client.set_registered_model_alias(model_name, "challenger", "1")
say("an alias that moved", client.get_model_version_by_alias(model_name, "champion").version)
say("loaded by alias", same(f"models:/{model_name}@champion"))
for alias in ["latest", "v1", "a b", "x" * 256, ""]:
    refused(f"the alias {alias[:10]!r}", client.set_registered_model_alias, model_name, alias, "1")
refused("an alias of no version", client.set_registered_model_alias, model_name, "a", "99")
refused("an unknown alias", client.get_model_version_by_alias, model_name, "nobody")
client.delete_registered_model_alias(model_name, "challenger")
client.delete_registered_model_alias(model_name, "challenger")
client.set_model_version_tag(model_name, "1", "checked", "yes")
client.set_model_version_tag(model_name, "1", "gone", "")
client.delete_model_version_tag(model_name, "1", "gone")
client.update_model_version(model_name, "1", "the older")
say("the version, changed", client.get_model_version(model_name, "1"))
whole = client.get_registered_model(model_name)
say("the model", {**vars(whole), "_latest_version": [v.version for v in whole.latest_versions]})
for stage in ["Staging", "production", "Archived", "None", "Production"]:
    say(f"moved to {stage}", client.transition_model_version_stage(model_name, "1", stage).current_stage)
say("moved, and the others archived", client.transition_model_version_stage(model_name, "2", "Production", archive_existing_versions=True).current_stage)
say("the archived", client.get_model_version(model_name, "1").current_stage)
say("latest versions", sorted((v.version, v.current_stage) for v in client.get_latest_versions(model_name)))
say("latest in production", [v.version for v in client.get_latest_versions(model_name, ["Production", "Staging"])])
say("loaded by stage", same(f"models:/{model_name}/Production"))
refused("an odd stage", client.transition_model_version_stage, model_name, "1", "Elsewhere")
for version in ["99", "0"]:
    refused(f"version {version}", client.get_model_version, model_name, version)
refused("a version of an unknown model", client.get_model_version, "none " + stamp, "1")
refused("an unknown model", client.get_registered_model, "none " + stamp)

copied = client.copy_model_version(f"models:/{model_name}@champion", f"copy-{stamp}")
say("a copy", (copied.name, copied.version, copied.source))
say("loaded from the copy", same(f"models:/copy-{stamp}/1"))
for i, tags in enumerate([{"team": "soil"}, {"team": "Water", "a b": "x"}, {}]):
    client.create_registered_model(f"m{i}-früh-{stamp}", tags=tags)
    for v in range(i):
        client.create_model_version(f"m{i}-früh-{stamp}", f"s3://b/{i}/{v}", tags={"v": str(v)})
ours = f"name LIKE '%{stamp}'"
for what in [
    "tags.team = 'soil'", "tags.team != 'soil'", "tags.team ILIKE 'WA%'", "tags.`a b` = 'x'", "name ILIKE 'M_-%'", "name LIKE 'm%' and tags.team LIKE '%'", "name != 'x'",
]:
    say(f"models where {what}", [m.name for m in client.search_registered_models(f"{ours} and {what}")])
for what in ["run_id = 'x'", "name > 'a'", "creation_timestamp > 5", "name ="]:
    refused(f"models where {what}", client.search_registered_models, what)
say("models in pages", [[m.name for m in p] for p in pages(client.search_registered_models, filter_string=ours, max_results=2, order_by=["name DESC"])])
refused("1,001 models", client.search_registered_models, max_results=1001)
refused("models by an odd order", client.search_registered_models, order_by=["version"])
for what in [
    f"name = '{model_name}'", f"run_id = '{rid}'", f"run_id IN ('{rid}')", f"name = '{model_name}' and version_number >= 2", f"name LIKE 'm%{stamp}' and tags.v = '0'",
    f"source_path = 's3://b/2/1' and {ours}", f"name = '{model_name}' and tags.size = 'small'", f"source_path LIKE 's3://b/%' and {ours} and version_number < 2",
]:
    got = client.search_model_versions(what, order_by=["name", "version_number DESC"])
    say(f"versions where {what}".replace(stamp, "").replace(rid, "RUN"), [(v.name, v.version) for v in got])
for what in ["version = 1", "current_stage = 'Production'", "version_number = 'x'", "run_id IN ()", "name = a"]:
    refused(f"versions where {what}", client.search_model_versions, what)
say("versions in pages", [[(v.name, v.version) for v in p] for p in pages(
    client.search_model_versions, filter_string=ours, max_results=2, order_by=["name ASC", "version_number DESC"])])
client.rename_registered_model(f"m2-früh-{stamp}", f"renamed-{stamp}")
say("versions after the renaming", sorted((v.version, v.tags["v"]) for v in client.search_model_versions(f"name = 'renamed-{stamp}'")))
refused("rename to a name that is taken", client.rename_registered_model, f"renamed-{stamp}", model_name)
refused("the old name", client.get_registered_model, f"m2-früh-{stamp}")
client.delete_model_version(f"renamed-{stamp}", "2")
refused("a deleted version", client.get_model_version, f"renamed-{stamp}", "2")
say("the number after a deleted one", client.create_model_version(f"renamed-{stamp}", "s3://b/x").version)
client.delete_registered_model(f"renamed-{stamp}")
refused("a deleted model", client.get_registered_model, f"renamed-{stamp}")
refused("delete it again", client.delete_registered_model, f"renamed-{stamp}")

# --- logged models, which came with MLflow 3

if three:
    from mlflow.entities import LoggedModelOutput, Metric
    from mlflow.entities.logged_model_input import LoggedModelInput

    with mlflow.start_run(run_name="logged") as run:
        lid = name(run.info.run_id, "LOGGED")
        scaled = log(pipeline, "scaled", params={"depth": 2}, tags={"team": "soil", "größe": "ü"}, model_type="pipeline")
        mlflow.log_metric("rmse", 0.25, step=3, model_id=scaled.model_id, dataset=data)
        mlflow.log_metrics({"r2": 0.9, "mae": float("nan")}, step=1, model_id=scaled.model_id)
        client.log_batch(lid, metrics=[Metric("rmse", 0.125, 1, 7, model_id=scaled.model_id, dataset_name="other", dataset_digest="d")])
    got = mlflow.get_logged_model(scaled.model_id)
    say("a logged model", {k: v for k, v in got.to_dictionary().items() if k not in ("metrics", "tags")})
    say("its tags", {k: v for k, v in got.tags.items() if not k.startswith("mlflow.source.") and k != "mlflow.user"})
    say("its metrics", sorted((m.key, m.step, str(m.value), m.dataset_name or "", m.run_id) for m in got.metrics))
    say("outputs of its run", [(o.model_id, o.step) for o in client.get_run(lid).outputs.model_outputs])
    say("files of the model", files(lambda p: client.list_logged_model_artifacts(scaled.model_id, p)))
    say("a logged model loaded", mlflow.pyfunc.load_model(f"models:/{scaled.model_id}").predict(frame).tolist() == pipeline.predict(frame).tolist())
    low, high = (mlflow.initialize_logged_model(name=n, model_type="forest", params={"n": n}, tags={"kind": "external"}) for n in ["low", "high"])
    for m, acc in [(low, 0.2), (high, 0.8)]:
        name(m.model_id, m.name.upper())
        with mlflow.start_run(run_name=f"eval {m.name}") as r:
            client.log_inputs(r.info.run_id, models=[LoggedModelInput(m.model_id)])
            client.log_metric(r.info.run_id, "acc", acc, model_id=m.model_id, dataset_name="numbers", dataset_digest=data.digest)
            client.log_outputs(r.info.run_id, [LoggedModelOutput(m.model_id, 5)])
        say(f"inputs and outputs of {m.name}", [(i.model_id) for i in client.get_run(r.info.run_id).inputs.model_inputs] +
            [(o.model_id, o.step) for o in client.get_run(r.info.run_id).outputs.model_outputs])
    say("finalized", mlflow.finalize_logged_model(high.model_id, "READY").status)

    def models(filter_string=None, **kwargs):
        return [m.name for m in mlflow.search_logged_models([eid], filter_string, output_format="list", **kwargs)]

    for what in [
        "name = 'low'", "name != 'low'", "name LIKE '%o%'", "name IN ('low', 'scaled')", "params.n = 'high'", "tags.kind = 'external' and model_type = 'forest'", "tags.kind != 'external'",
        "metrics.acc > 0.5", "metrics.rmse <= 0.125", "creation_timestamp > 0", f"source_run_id = '{lid}'", f"model_id = '{low.model_id}'", "metrics.none > 1", "params.depth = '2'",
    ]:
        say(f"logged models where {what}".replace(lid, "RUN").replace(low.model_id, "ID"), models(what))
    for what in ["name > 'a'", "metrics.acc LIKE '1'", "metric.acc > 1", "tags.a = 'x' OR tags.b = 'y'"]:
        refused(f"logged models where {what}", models, what)
    for key, up in [("metrics.acc", True), ("metrics.acc", False), ("name", True), ("metrics.rmse", True)]:
        say(f"logged models by {key} {up}", models(order_by=[{"field_name": key, "ascending": up}]))
    on = [{"dataset_name": "numbers", "dataset_digest": data.digest}]
    say("logged models on a dataset", models("metrics.acc > 0.1", datasets=on))
    say("logged models by what they reach on a dataset", models(order_by=[{"field_name": "metrics.acc", "ascending": False, **on[0]}]))
    say("logged models in pages", [[m.name for m in p] for p in pages(client.search_logged_models, experiment_ids=[eid], max_results=2)])
    mlflow.set_logged_model_tags(low.model_id, {"kind": "own", "a b": "x"})
    mlflow.delete_logged_model_tag(low.model_id, "a b")
    mlflow.log_model_params({"late": "1"}, low.model_id)
    got = mlflow.get_logged_model(low.model_id)
    say("a changed model", (got.tags["kind"], "a b" in got.tags, got.params, got.status))
    refused("delete a tag twice", mlflow.delete_logged_model_tag, low.model_id, "a b")
    refused("a name with a slash", mlflow.initialize_logged_model, name="a/b")
    refused("an unknown model's metric", client.get_logged_model, "m-" + "0" * 32)
    client.delete_logged_model(low.model_id)
    refused("a deleted logged model", client.get_logged_model, low.model_id)
    say("the models that are left", models())

    prompt = mlflow.genai.register_prompt(f"prompt-{stamp}", "Say {{x}}.", commit_message="first", tags={"lang": "en"})
    mlflow.genai.register_prompt(f"prompt-{stamp}", "Say {{x}} twice.")
    mlflow.genai.set_prompt_alias(f"prompt-{stamp}", "live", 1)
    say("a prompt", (prompt.version, mlflow.genai.load_prompt(f"prompts:/prompt-{stamp}@live").format(x="ü"), mlflow.genai.load_prompt(f"prompts:/prompt-{stamp}/2").template))
    say("prompts are no models", [m.name for m in client.search_registered_models(f"name = 'prompt-{stamp}'")])
    refused("an unknown prompt", mlflow.genai.load_prompt, "prompts:/none/1")
