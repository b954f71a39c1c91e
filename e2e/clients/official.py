"""Tracking and registry as users of MLflow's official Python client write them, with 2.x and 3.x alike.

compare.py runs it against this server and against Python's own, and compares what it gets.
"""

import math
import os
import tempfile
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

from transcript import name, pages, refused, say, stamp

client = MlflowClient()
os.chdir(tempfile.mkdtemp())

# --- experiments

title = f"official {stamp}"
experiment = mlflow.set_experiment(title)
eid = name(experiment.experiment_id, "E")
say("an experiment", experiment)
say("the same again", mlflow.set_experiment(title).experiment_id)
say("by name", client.get_experiment_by_name(title).experiment_id)
say("unknown by name", client.get_experiment_by_name("none " + stamp))
refused("a name twice", client.create_experiment, title)
refused("an unknown experiment", client.get_experiment, "99999999")
refused("an empty name", client.create_experiment, "")
refused("a long name", client.create_experiment, "n" * 501)
refused("a location with a query that climbs", client.create_experiment, "q" + stamp, "s3://b/p?x=..")
refused("a location that is a run", client.create_experiment, "r" + stamp, "runs:/a/b")
others = {}
for i, (text, tags) in enumerate([("früh 日本 🌧", {"team": "soil", "a/b c": "ü"}), ("B%_x", {"team": "Water"}), ("b'q", {})]):
    others[text] = name(client.create_experiment(f"{text} {stamp}", tags=tags), f"E{i}")
say("an experiment with tags", client.get_experiment(others["früh 日本 🌧"]))
client.set_experiment_tag(eid, "empty", "")
client.set_experiment_tag(eid, "team", "river")
client.set_experiment_tag(eid, "team", "soil")
say("tags of an experiment", client.get_experiment(eid).tags)
refused("a bad tag key", client.set_experiment_tag, eid, "a//b", "v")
refused("a tag that is too long", client.set_experiment_tag, eid, "k", "v" * 20001)

ours = f"name LIKE '%{stamp}'"
for what in [
    "tags.team = 'soil'", "tags.team != 'soil'", "tags.team LIKE 'W%'", "tags.team ILIKE 'w%'", "name ILIKE 'B%'", "name LIKE 'B%'",
    "tags.`a/b c` = 'ü'", "creation_time > 0", "last_update_time <= 5", f"name = 'früh 日本 🌧 {stamp}'", "name != 'x' AND tags.team = 'soil'",
]:
    say(f"experiments where {what}".replace(stamp, ""), sorted(e.name for e in client.search_experiments(filter_string=f"{ours} AND {what}")))
for what in ["nme = 'x'", "name > 'x'", "creation_time > 'x'", "metrics.a > 1", "name ="]:
    refused(f"experiments where {what}", client.search_experiments, filter_string=what)
say("experiments in pages", [[e.name for e in p] for p in pages(client.search_experiments, filter_string=ours, order_by=["name DESC"], max_results=3)])
refused("experiments, none on a page", client.search_experiments, max_results=0)
refused("experiments by an odd order", client.search_experiments, order_by=["colour"])
refused("experiments by an odd token", client.search_experiments, page_token="bm9uZQ==")

# --- runs

with mlflow.start_run(run_name="parent", tags={"kind": "outer"}, description="a *note*") as parent:
    pid = name(parent.info.run_id, "PARENT")
    say("logged param comes back", mlflow.log_param("alpha", 0.5))
    mlflow.log_params({"depth": 3, "name": "früh 🌱", "none": None, "flag": True, "nul": "", "list": [1, "a"]})
    mlflow.log_params({f"many{i:03}": i for i in range(150)})
    mlflow.log_param("alpha", 0.5)
    refused("a param changed", mlflow.log_param, "alpha", 0.6)
    refused("a param's key", mlflow.log_param, "a//b", 1)
    refused("a param's long key", mlflow.log_param, "k" * 251, 1)
    mlflow.log_param("long", "x" * 6000)
    for step, value in enumerate([3.0, 2.0, math.nan, math.inf, -math.inf, 1.5, -0.0, 1e-320, 1.7976931348623157e308]):
        mlflow.log_metric("loss", value, step=step)
        if value == value and abs(value) < math.inf:
            mlflow.log_metric("finite", value, step=step)
    mlflow.log_metrics({"acc": 0.9, "val/acc": 0.8, "a b": 1, "größe": 2}, step=7)
    mlflow.log_metric("back", 1.0, step=5)
    mlflow.log_metric("back", 2.0, step=-5)
    mlflow.log_metric("nan", math.nan)
    refused("a metric's key", mlflow.log_metric, "", 1)
    mlflow.set_tag("colour", "blue")
    mlflow.set_tags({"a": 1, "b": "two", "long": "y" * 8000, "größe": "ü"})
    mlflow.set_tag("colour", "green")
    mlflow.delete_tag("b")
    refused("delete a tag that is not there", mlflow.delete_tag, "b")
    with mlflow.start_run(run_name="child", nested=True) as child:
        cid = name(child.info.run_id, "CHILD")
        mlflow.log_metric("loss", 0.25)
        mlflow.log_param("alpha", "x y")
    say("the parent of the child", mlflow.get_parent_run(cid).info.run_id)
try:
    with mlflow.start_run(run_name="failing") as failing:
        name(failing.info.run_id, "FAILING")
        mlflow.log_metric("loss", 9)
        raise KeyError("on purpose")
except KeyError:
    pass


def data_of(run):
    """A run's own data: what the client adds about the machine that it runs on is left out."""
    system = ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit")
    return {**vars(run.info), "params": run.data.params, "metrics": run.data.metrics,
            "tags": {k: v for k, v in run.data.tags.items() if k not in system}}


say("the run", data_of(client.get_run(pid)))
say("the child", data_of(client.get_run(cid)))
say("a run that failed", client.get_run(failing.info.run_id).info.status)
with mlflow.start_run(run_id=failing.info.run_id):
    mlflow.set_tag("resumed", "yes")
say("a run resumed", client.get_run(failing.info.run_id).info.status)
for key in ["loss", "finite", "back", "nan", "größe", "none"]:
    say(f"history of {key}", [(m.step, str(m.value)) for m in client.get_metric_history(pid, key)])
refused("an unknown run", client.get_run, "0" * 32)
refused("log to an unknown run", client.log_metric, "0" * 32, "m", 1)
refused("a run of no experiment", client.create_run, "99999999")

# --- batches

batch = name(client.create_run(eid, run_name="batch", start_time=1000, tags={"t": "1"}).info.run_id, "BATCH")
points = [Metric("m", float(i), 1000 + i, i) for i in range(1000)]
client.log_batch(batch, metrics=points)
client.log_batch(batch, metrics=points[:10])
say("points that came twice", len(client.get_metric_history(batch, "m")))
client.log_batch(batch, metrics=[Metric("m", 5.0, 1000, 7), Metric("m", 6.0, 999, 7)], params=[Param("p", "1")], tags=[RunTag("t", "2")])
say("the last point counts", client.get_run(batch).data.metrics)
say("points of one step", [(m.value, m.timestamp) for m in client.get_metric_history(batch, "m") if m.step == 7])
refused("a changed param in a batch", client.log_batch, batch, params=[Param("p", "2"), Param("q", "1")])
refused("a param twice in a batch", client.log_batch, batch, params=[Param("q", "1"), Param("q", "1")])
refused("1,001 metrics", client.log_batch, batch, metrics=points + [Metric("m", 1.0, 1, 1)])
refused("101 params", client.log_batch, batch, params=[Param(f"p{i}", "1") for i in range(101)])
refused("101 tags", client.log_batch, batch, tags=[RunTag(f"t{i}", "1") for i in range(101)])
refused("1,001 of all", client.log_batch, batch, metrics=points[:900], params=[Param(f"x{i}", "1") for i in range(100)], tags=[RunTag("z", "1")])
refused("a negative time", client.log_batch, batch, metrics=[Metric("m", 1.0, -1, 0)])
say("what is left after refusals", (client.get_run(batch).data.params, client.get_run(batch).data.tags))
client.update_run(batch, status="SCHEDULED", name="renamed")
say("an updated run", data_of(client.get_run(batch)))
client.set_tag(batch, "mlflow.runName", "by tag")
say("a run named by its tag", client.get_run(batch).info.run_name)
client.set_terminated(batch, "KILLED", end_time=2000)
say("a killed run", data_of(client.get_run(batch)))

# --- searches

for i in range(6):
    r = client.create_run(eid, run_name=f"s{i}", start_time=5000 + i // 2, tags={"group": "search", "i": str(i), "half": "low" if i < 3 else "High"})
    name(r.info.run_id, f"S{i}")
    client.log_metric(r.info.run_id, "score", [0.5, 0.25, math.nan, 1.0, 0.25, -1.5][i], timestamp=1, step=i)
    client.log_param(r.info.run_id, "lr", ["0.1", "0.01", "1e-3", "", "AbC", "abc"][i])
    if i % 2:
        client.log_metric(r.info.run_id, "odd one", i, timestamp=1)
        client.set_tag(r.info.run_id, "odd", "yes")
    if i == 4:
        client.set_terminated(r.info.run_id, "FAILED", end_time=9000)


def found(filter_string="", order_by=None, view=ViewType.ACTIVE_ONLY):
    return [r.info.run_name for r in client.search_runs([eid], filter_string, view, 100, order_by)]


say("all runs", sorted(found()))
for what in [
    "metrics.score > 0.25", "metrics.score >= 0.25 and metrics.score < 1", "metrics.score = 0.25", "metrics.score != 0.25", "metrics.score <= -1.5e0",
    "metrics.`odd one` > 1", 'metrics."odd one" = 3', "params.lr = '0.1'", "params.lr != '0.1'", "params.lr LIKE '%0%'", "params.lr like 'a%'", "params.lr ILIKE 'ABC'",
    "params.lr = ''", "params.none = ''", "tags.half = 'low' and tags.odd = 'yes'", "tags.`half` ILIKE 'hi%'", "tag.group = \"search\"", "tags.mlflow.runName = 's3'",
    "attributes.status = 'FAILED'", "status != 'RUNNING' and tags.group = 'search'", "attributes.start_time > 5000 and tags.group = 'search'", "start_time = 5001 and metrics.score > 0",
    "run_name LIKE 's_'", "attributes.`run_name` = 's2'", "attribute.end_time = 9000", "params.lr = 'abc' and metrics.score < 0 and tags.half = 'High'", "tags.mlflow.parentRunId LIKE '%'",
    "run.status = 'KILLED'", "params.name = 'früh 🌱'", "artifact_uri LIKE '%artifacts' and tags.i = '1'", "user_id != 'nobody' and run_name = 's5'", "tags.odd IS NULL and tags.group = 'search'",
]:
    say(f"runs where {what}", sorted(found(what)))
say("runs by id", sorted(found(f"run_id IN ('{pid}', '{cid}')")))
say("runs but these", len(found(f"attributes.run_id NOT IN ('{pid}', '{cid}')")))
for what in [
    "metrics.score > '1'", "params.lr > '1'", "params.lr = 1", "tags.x-y = 'a'", "foo = 'x'", "METRICS.a > 1", "metrics.a ==1", "start_time > '5'",
    "experiment_id = '0'", "metrics.a", "params.x = 'a' ; metrics.b > 1", "run_id IN ()", "dataset.foo = 'x'",
]:
    refused(f"runs where {what}", found, what)
group = "tags.group = 'search'"
for order in [
    ["metrics.score", "tags.i"], ["metrics.score DESC", "tags.i DESC"], ["metrics.score ASC", "params.lr DESC"], ["params.lr"], ["params.lr DESC"], ["tags.odd", "run_name DESC"], ["start_time ASC", "tags.i"],
    ["attributes.start_time DESC", "metrics.score ASC", "tags.i"], ["status", "attributes.run_name"], ["end_time", "tags.i"], ["metrics.`odd one` DESC", "tags.i"], ["metrics.none", "tags.i DESC"],
]:
    say(f"runs by {', '.join(order)}", found(group, order))
for order in [["metrics.score down"], ["experiment_id"], [""], ["metrics.a, metrics.b"]]:
    refused(f"runs by {order}", found, group, order)
# Without an order those of one start time come by their ids, which are drawn by lot.
say("runs without an order", [sorted([a, b]) for a, b in zip(*[iter(found(group))] * 2)])


def paged(filter_string, order_by, size):
    return [[r.info.run_name for r in p] for p in pages(client.search_runs, experiment_ids=[eid], filter_string=filter_string, order_by=order_by, max_results=size)]


say("runs in pages of 2", paged(group, ["metrics.score DESC", "tags.i"], 2))
say("runs in pages of 4", paged(group, ["params.lr", "tags.i"], 4))
say("runs in one page", paged(group, ["tags.i"], 6))
say("pages of runs without an order", sorted(x for p in paged("", None, 3) for x in p))
refused("runs by an odd token", client.search_runs, [eid], page_token="bm9uZQ==")
refused("50,001 runs", client.search_runs, [eid], max_results=50001)
say("runs of no experiment", list(client.search_runs([])))
say("runs of two experiments", sorted(r.info.run_name for r in client.search_runs([eid, *others.values()], "tags.half = 'low'")))
frame = mlflow.search_runs([eid], f"{group} and metrics.score > 0", order_by=["tags.i"])
say("runs as a table", [frame[c].tolist() for c in ["metrics.score", "params.lr", "tags.half", "status"]])
say("runs by the name of their experiment", len(mlflow.search_runs(experiment_names=[title], filter_string=group)))

client.delete_run(batch)
client.delete_run(batch)
say("runs that are deleted", found(view=ViewType.DELETED_ONLY))
say("deleted runs among all", "by tag" in found(view=ViewType.ALL) and "by tag" not in found())
say("a deleted run", client.get_run(batch).info.lifecycle_stage)
for what, call in [
    ("log a metric to", lambda: client.log_metric(batch, "m", 1)), ("log a param to", lambda: client.log_param(batch, "n", 1)),
    ("set a tag of", lambda: client.set_tag(batch, "n", 1)), ("update", lambda: client.update_run(batch, name="x")),
    ("log a batch to", lambda: client.log_batch(batch, tags=[RunTag("n", "1")])),
]:
    refused(f"{what} a deleted run", call)
client.restore_run(batch)
say("a run restored", client.get_run(batch).info.lifecycle_stage)

# --- files

with mlflow.start_run(run_id=cid), tempfile.TemporaryDirectory() as d:
    root = Path(d, "tree")
    for path, content in {
        "one.bin": bytes(range(256)), "empty": b"", "sub/deep/er/x.txt": b"x", "naïve dir/ü 日本.txt": "ü".encode(), "sub/a b.csv": b"a,b\n", "big.bin": b"0123456789abcdef" * 200_000,
    }.items():
        Path(root, path).parent.mkdir(parents=True, exist_ok=True)
        Path(root, path).write_bytes(content)
    mlflow.log_artifacts(str(root), artifact_path="data")
    mlflow.log_artifacts(str(root / "sub"))
    mlflow.log_artifact(str(root / "one.bin"), artifact_path="data/again")
    mlflow.log_text("hello\n", "notes/hello.txt")
    mlflow.log_text("hello again\n", "notes/hello.txt")
    mlflow.log_dict({"k": [1, 2], "ü": None}, "config.json")
    mlflow.log_dict({"k": [1, 2]}, "config.yaml")
    mlflow.log_table({"a": [1, 2], "b": ["x", "ü"]}, "table.json")
    mlflow.log_table({"a": [3], "b": ["z"]}, "table.json")
    refused("a path that climbs", mlflow.log_text, "x", "../x.txt")
    refused("an absolute path", mlflow.log_text, "x", "/x.txt")


def tree(run_id, path=None):
    here = client.list_artifacts(run_id, path)
    return [(f.path, f.is_dir, f.file_size) for f in here] + [x for f in here if f.is_dir for x in tree(run_id, f.path)]


say("the tree of files", tree(cid))
say("files of a file", client.list_artifacts(cid, "config.json"))
say("files of nothing", client.list_artifacts(cid, "none"))
say("files of a run without", client.list_artifacts(pid))
refused("list a path that climbs", client.list_artifacts, cid, "../x")
local = Path(client.download_artifacts(cid, ""))
say("files downloaded", sorted((str(p.relative_to(local)), p.stat().st_size) for p in local.rglob("*") if p.is_file()))
say("content", (local / "data" / "one.bin").read_bytes() == bytes(range(256)) and (local / "data" / "big.bin").read_bytes() == b"0123456789abcdef" * 200_000)
say("load_text", mlflow.artifacts.load_text(f"runs:/{cid}/notes/hello.txt"))
say("load_dict", mlflow.artifacts.load_dict(client.get_run(cid).info.artifact_uri + "/config.json"))
say("load_table", mlflow.load_table("table.json", [cid]).to_dict("list"))
say("list by uri", [f.path for f in mlflow.artifacts.list_artifacts(f"runs:/{cid}/data/sub")])
try:
    client.download_artifacts(cid, "none.txt")
except Exception as e:
    say("download what is not there", type(e).__name__)

# --- the end of an experiment

end = others["b'q"]
run = name(client.create_run(end, run_name="in the end").info.run_id, "LAST")
client.rename_experiment(end, "renamed " + stamp)
client.delete_experiment(end)
say("a deleted experiment", client.get_experiment(end))
say("its run", client.get_run(run).info.lifecycle_stage)
refused("a run in a deleted experiment", client.create_run, end)
refused("a tag of a deleted experiment", client.set_experiment_tag, end, "k", "v")
refused("delete it again", client.delete_experiment, end)
refused("set a deleted experiment", mlflow.set_experiment, "renamed " + stamp)
say("deleted experiments", [e.name for e in client.search_experiments(ViewType.DELETED_ONLY, filter_string=ours)])
say("a deleted experiment is not found", sorted(e.name for e in client.search_experiments(filter_string=ours)))
client.restore_experiment(end)
say("a restored experiment", (client.get_experiment(end).lifecycle_stage, client.get_run(run).info.lifecycle_stage))
