"""Copies the rows of the first runs in a database of MLflow: fill.py DATABASE RUNS EXPERIMENT,EXPERIMENT,…

Run number i belongs to experiment i modulo their number, whose first run the server itself has written; a copy differs in
its ids, its name, its times and its values, which are those of fillSome in queries.go.
"""

import sqlite3
import sys
import uuid

path, runs, experiments = sys.argv[1], int(sys.argv[2]), [int(e) for e in sys.argv[3].split(",")]
db = sqlite3.connect(path, timeout=60)
db.row_factory = sqlite3.Row


def rows(table, run):
    return [dict(r) for r in db.execute(f"select * from {table} where run_uuid = ?", (run,))]


def insert(table, dicts):
    columns = list(dicts[0])
    marks = ", ".join("?" for _ in columns)
    db.executemany(f"insert into {table} ({', '.join(columns)}) values ({marks})", [[d[c] for c in columns] for d in dicts])


def metric(row, i):
    k = int(row["key"][1:])
    return {"value": (i * 7919 + k * 104729) % 1_000_003 / 1e6, "timestamp": 1700000000000 + i}


def param(row, i):
    return {"value": f"v{(i + int(row['key'][1:])) % 10}"}


def tag(row, i):
    return {"value": f"run {i}"} if row["key"] == "mlflow.runName" else {"value": f"a tag of run {i}"}


VALUES = {"metrics": metric, "latest_metrics": metric, "params": param, "tags": tag}

first = []
for e in experiments:
    (run,) = [dict(r) for r in db.execute("select * from runs where experiment_id = ?", (e,))]
    first.append((run, {table: rows(table, run["run_uuid"]) for table in VALUES}))
    counts = {table: len(found) for table, found in first[-1][1].items()}
    if counts != {"metrics": 10, "latest_metrics": 10, "params": 10, "tags": 6}:
        sys.exit(f"the first run of experiment {e} has {counts}: this release keeps its values otherwise")

with db:
    for i in range(len(experiments), runs):
        run, data = first[i % len(experiments)]
        copy = uuid.uuid4().hex
        insert("runs", [run | {
            "run_uuid": copy, "name": f"run {i}", "start_time": i, "end_time": 1700000000000 + i,
            "artifact_uri": run["artifact_uri"].replace(run["run_uuid"], copy),
        }])
        for table, found in data.items():
            insert(table, [r | {"run_uuid": copy} | VALUES[table](r, i) for r in found])
