"""Makes a small store with whatever release of mlflow runs it: make.py file|sql PLACE EXPECT.

EXPECT gets, as JSON, what that release itself says of the store afterwards.

The same script runs under 1.30.1, 2.9.2 and 3.17.2, and uses of each release what it has. Paths of the machine that it
runs on are replaced by /home/ada/project afterwards, which is also what a store looks like that was moved.
"""
import json
import os
import struct
import sys
import tempfile

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
kind, where, expect = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3]
root = where if kind == "file" else os.path.dirname(where) + "/files"

import mlflow  # noqa: E402
from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

major = int(mlflow.__version__.split(".")[0])
uri = "file://" + where if kind == "file" else "sqlite:///" + where
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
client = MlflowClient(uri, uri)


def location(name):
    """Databases have no folder of their own, so their experiments name one."""
    return None if kind == "file" else "file://" + root + "/" + name


def put(run, text, path):
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, os.path.basename(path))
        with open(name, "w") as f:
            f.write(text)
        client.log_artifact(run.info.run_id, name, os.path.dirname(path) or None)


def bits(value):
    return "nan" if value != value else struct.pack(">d", value).hex()


def points(metrics):
    return sorted([m.timestamp, m.step, bits(m.value)] for m in metrics)


def stage_of(entity):
    return getattr(entity, "lifecycle_stage", "active")


def dump():
    """What this release says of the store."""
    from mlflow.entities import ViewType
    out = {"experiments": {}, "runs": {}, "logged_models": {}, "registered_models": {}}
    experiments = client.search_experiments(view_type=ViewType.ALL)
    for e in experiments:
        out["experiments"][e.experiment_id] = {
            "name": e.name, "stage": e.lifecycle_stage, "created": e.creation_time, "updated": e.last_update_time, "tags": dict(e.tags)}
    for found in client.search_runs([e.experiment_id for e in experiments], run_view_type=ViewType.ALL):
        r = client.get_run(found.info.run_id)  # says more than a search does
        i = r.info
        inputs = getattr(r, "inputs", None)
        outputs = getattr(r, "outputs", None)
        out["runs"][i.run_id] = {
            "name": i.run_name, "experiment": i.experiment_id, "user": i.user_id, "status": i.status, "start": i.start_time, "end": i.end_time,
            "stage": i.lifecycle_stage, "params": dict(r.data.params), "tags": dict(r.data.tags),
            "latest": {k: bits(v) for k, v in r.data.metrics.items()},
            "metrics": {k: points(client.get_metric_history(i.run_id, k)) for k in r.data.metrics},
            "datasets": [[d.dataset.name, d.dataset.digest, d.dataset.source_type, d.dataset.source, d.dataset.schema, d.dataset.profile,
                          {t.key: t.value for t in d.tags}] for d in (inputs.dataset_inputs if inputs else [])],
            "models_read": [m.model_id for m in (getattr(inputs, "model_inputs", None) or [])],
            "models_made": [[m.model_id, m.step] for m in (getattr(outputs, "model_outputs", None) or [])],
        }
    if hasattr(client, "search_logged_models"):
        for m in client.search_logged_models([e.experiment_id for e in experiments if e.lifecycle_stage == "active"]):
            out["logged_models"][m.model_id] = {
                "name": m.name, "experiment": m.experiment_id, "type": m.model_type or "", "run": m.source_run_id or "", "status": str(m.status.value),
                "created": m.creation_timestamp, "updated": m.last_updated_timestamp, "params": dict(m.params), "tags": dict(m.tags),
                "metrics": sorted([p.key, p.timestamp, p.step, bits(p.value), p.run_id, p.dataset_name or "", p.dataset_digest or ""]
                                  for p in m.metrics or [])}
    if kind == "file" and major < 2:
        return out
    for m in client.search_registered_models():
        out["registered_models"][m.name] = {
            "created": m.creation_timestamp, "updated": m.last_updated_timestamp, "description": m.description or "", "tags": dict(m.tags),
            "aliases": {k: str(v) for k, v in getattr(m, "aliases", {}).items()},
            "versions": {str(v.version): {
                "created": v.creation_timestamp, "updated": v.last_updated_timestamp, "stage": v.current_stage, "description": v.description or "",
                "run": v.run_id or "", "status": v.status, "tags": dict(v.tags), "aliases": sorted(getattr(v, "aliases", []))}
                for v in (client.get_model_version(m.name, found.version) for found in client.search_model_versions("name='%s'" % m.name))}}
    return out


def finish():
    with open(expect, "w") as f:
        json.dump(dump(), f, indent=1, sort_keys=True)
        f.write("\n")
    sys.exit()


exp = client.create_experiment("wine quality", artifact_location=location("wine"), tags={"team": "cellar", "a/b": "slash"})

parent = client.create_run(exp, start_time=1700000000000, tags={"mlflow.runName": "parent", "mlflow.user": "ada"})
run = parent.info.run_id
for step in range(40):
    client.log_metric(run, "rmse", 1 / (step + 1), timestamp=1700000000000 + 1000 * step, step=step)
client.log_batch(run, metrics=[
    Metric("val/rmse", float("nan"), 1700000001000, 0),
    Metric("val/rmse", float("inf"), 1700000002000, 1),
    Metric("val/rmse", float("-inf"), 1700000003000, 2),
    Metric("val/rmse", 0.1 + 0.2, 1700000004000, -3),
    Metric("val/rmse", 5e-324, 1700000005000, 3),
], params=[Param("model/depth", "6"), Param("note", "first line\nsecond line"), Param("empty", ""), Param("wide", "é" * 100)],
    tags=[RunTag("plain", "text"), RunTag("deep/er", "tag"), RunTag("mlflow.note.content", "# Title\n\nBody.\n")])
put(parent, "the model\n", "model/MLmodel")
put(parent, "a,b\n1,2\n", "odd name #1 100%.csv")
client.set_terminated(run, "FINISHED", end_time=1700000050000)

child = client.create_run(exp, start_time=1700000010000, tags={"mlflow.parentRunId": run, "mlflow.runName": "child"})
client.log_param(child.info.run_id, "model/depth", "8")
client.log_metric(child.info.run_id, "rmse", 0.25, timestamp=1700000011000, step=0)
client.set_terminated(child.info.run_id, "FAILED", end_time=1700000012000)

gone = client.create_run(exp, start_time=1700000020000)
client.log_metric(gone.info.run_id, "rmse", 9, timestamp=1700000021000)
client.delete_run(gone.info.run_id)

running = client.create_run("0", start_time=1700000030000)
client.log_param(running.info.run_id, "still", "running")

trashed = client.create_experiment("thrown away", artifact_location=location("thrown"))
old = client.create_run(trashed, start_time=1700000040000)
client.log_metric(old.info.run_id, "rmse", 3, timestamp=1700000041000)
put(old, "kept\n", "kept.txt")
client.delete_experiment(trashed)

if hasattr(client, "log_inputs"):
    from mlflow.entities import Dataset, DatasetInput, InputTag
    client.log_inputs(run, [DatasetInput(
        Dataset("wine", "abc123", "local", '{"uri": "wine.csv"}', schema='{"s": 1}', profile='{"n": 2}'),
        [InputTag("mlflow.data.context", "training")])])

if kind == "file" and major < 2:
    finish()  # its file store has no registry

client.create_registered_model("wine", tags={"stage": "trial"}, description="Predicts wine.")
source = parent.info.artifact_uri + "/model"
for n in range(3):
    client.create_model_version("wine", source, run, tags={"n": str(n)}, description="version %d" % n if n else None)
client.transition_model_version_stage("wine", "1", "Archived")
client.transition_model_version_stage("wine", "2", "Production")
if hasattr(client, "set_registered_model_alias"):
    client.set_registered_model_alias("wine", "champion", "2")
client.delete_model_version("wine", "3")

if major >= 3:
    model = client.create_logged_model(exp, name="forest", source_run_id=run, tags={"kind": "tree"}, params={"trees": "10"}, model_type="classifier")
    client.log_metric(run, "auc", 0.75, timestamp=1700000060000, step=1, model_id=model.model_id, dataset_name="wine", dataset_digest="abc123")
    client.log_metric(run, "auc", 0.5, timestamp=1700000061000, step=2, model_id=model.model_id)
    with tempfile.TemporaryDirectory() as files:
        with open(files + "/MLmodel", "w") as f:
            f.write("flavors: {}\n")
        client.log_model_artifacts(model.model_id, files)
    client.finalize_logged_model(model.model_id, "READY")
    from mlflow.entities import LoggedModelInput, LoggedModelOutput
    client.log_outputs(run, [LoggedModelOutput(model.model_id, 1)])
    client.log_inputs(child.info.run_id, models=[LoggedModelInput(model.model_id)])
    client.create_model_version("wine", "models:/" + model.model_id, run, model_id=model.model_id)
    lost = client.create_logged_model(exp, name="lost")
    client.delete_logged_model(lost.model_id)
finish()
