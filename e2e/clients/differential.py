"""Sends the same requests to Weir and to Python's MLflow server and fails on a difference that differences.md does not explain.

    differential.py WEIR PYTHON

WEIR is our program, PYTHON that of a virtual environment with MLflow. Every request is one that a user could send: each route with each field absent, of a wrong
type, at and beyond its limits, with odd names. Answers are compared by status, error code and shape; ids and times are named.
"""

import atexit
import collections
import contextlib
import http.client
import json
import re
import sys
import time
import urllib.parse

import servers

JSON = {"Content-Type": "application/json"}


class Side:
    def __init__(self, url):
        self.at, self.names, self.connection = urllib.parse.urlsplit(url), {}, None

    def send(self, method, path, body, headers):
        for attempt in (1, 2):
            try:
                self.connection = self.connection or http.client.HTTPConnection(self.at.hostname, self.at.port, timeout=60)
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, ConnectionError):
                self.connection = None
                if attempt == 2:
                    raise

    def fill(self, v):
        """Puts this server's ids where a request says $name$."""
        if isinstance(v, str):
            return re.sub(r"\$(\w+)\$", lambda m: self.names.get(m[1], m[0]), v)
        if isinstance(v, list):
            return [self.fill(x) for x in v]
        return {self.fill(k): self.fill(x) for k, x in v.items()} if isinstance(v, dict) else v

    def plain(self, v, key=""):
        """Takes what differs by nature out of an answer: ids, times, tokens, generated names, the order of lists."""
        if isinstance(v, str):
            if key in ("version", "experiment_id", "next_page_token", "run_name", "creation_timestamp"):
                return key
            for name, text in sorted(self.names.items(), key=lambda x: -len(x[1])):
                v = v.replace(text, f"${name}$") if len(text) > 6 else v
            return re.sub(r"\b(m-)?[0-9a-f]{32}\b|:/\d+/|\b[a-z]+-[a-z]+-\d+\b", "ID", v)
        if isinstance(v, list):
            return sorted((self.plain(x) for x in v), key=lambda x: json.dumps(x, sort_keys=True))
        if isinstance(v, dict):
            return {k: self.plain(x, k) for k, x in v.items() if k not in ("workspace", "run_name")}
        return "TIME" if isinstance(v, int) and v > 10**12 and ("time" in key) else v

    def ask(self, method, path, body, query, headers, names):
        target = self.fill(path) + ("?" + urllib.parse.urlencode(self.fill(query), doseq=True) if query else "")
        data = None if body is None else self.fill(body).encode() if isinstance(body, str) else json.dumps(self.fill(body))
        status, text = self.send(method, target, data, headers)
        try:
            answer = json.loads(text) if text else None
        except ValueError:
            return status, "TEXT", ""
        for name, at in names.items():
            try:
                value = answer
                for part in at.split("."):
                    value = value[part]
                self.names[name] = value
            except (KeyError, TypeError):
                pass
        if isinstance(answer, dict) and "error_code" in answer:
            return status, answer["error_code"], answer.get("message", "")
        return status, "", self.plain(answer)


both = contextlib.ExitStack()
atexit.register(both.close)
weir, mlflow = Side(both.enter_context(servers.weir(sys.argv[1]))), Side(both.enter_context(servers.mlflow(sys.argv[2])))
stamp = f"d{time.time_ns()}"
sent, seen, unknown = 0, collections.Counter(), []

INVALID = "INVALID_PARAMETER_VALUE"
SEARCHES = ("/search", "search-datasets")


def route(path, *ends):
    return any(path.endswith(e) for e in ends)


# Each line is a line of differences.md: its number, and when a difference is of its kind. w and m are (status, code, answer).
EXPLAINED = [
    (1, lambda p, b, w, m: m[0] >= 500 and w[0] < 500),
    (2, lambda p, b, w, m: m[0] == w[0] and m[1] == "TEXT"),
    (3, lambda p, b, w, m: "valid integer" in str(m[2]) and w[0] in (200, 404)),
    (4, lambda p, b, w, m: (m[0] == 200 or m[0] == 404 and "''" in m[2]) and w[1] == INVALID and re.search(r"Hint: Value was of type|U\+0000|unpaired", w[2])),
    (5, lambda p, b, w, m: m[1] == INVALID and "Hint: Value was of type" in m[2] and w[0] in (200, 404)),
    (6, lambda p, b, w, m: m[1] == "BAD_REQUEST" and "sqlite3" in m[2]),
    (7, lambda p, b, w, m: "Infinity" in json.dumps(w[2]) and m[0] == w[0] == 200),
    (8, lambda p, b, w, m: route(p, *SEARCHES) and m[0] == 400 and w[0] == 200),
    (9, lambda p, b, w, m: route(p, "runs/create") and m[0] == w[0] == 200 or route(p, *SEARCHES) and m[0] == w[0] == 200 and w[2] == {}),
    (10, lambda p, b, w, m: m[0] == 200 and w[1] == INVALID and re.search(r"exceeds the maximum length|a request takes at most|required parameter 'new_name'", w[2])),
    (11, lambda p, b, w, m: m[0] == 200 and w[1] == INVALID and re.search(r"parameter '(datasets|models|params|tags)\[0\]", w[2])),
    (12, lambda p, b, w, m: route(p, "model-versions/create") and "must identify the resource" in str(m[2]) and w[0] == 200),
    (13, lambda p, b, w, m: route(p, "artifacts/list", "get-artifact", "upload-artifact", "/artifacts") and {m[0], w[0]} <= {200, 400, 404}),
    (14, lambda p, b, w, m: route(p, "experiments/create") and m[0] == 200 and re.search(r"lies inside|runs:/ URI", str(w[2]))),
    (15, lambda p, b, w, m: "must be a positive integer" in str(w[2]) and m[0] == 200),
    (16, lambda p, b, w, m: route(p, "logged-models/search") and m[0] == 200 and "Put backticks around a key" in str(w[2])),
    (17, lambda p, b, w, m: route(p, "get-history") and w[1] == "RESOURCE_DOES_NOT_EXIST" and m == (200, "", {})),
    (18, lambda p, b, w, m: "logged-models" in p and m[1] == INVALID and "model_id" in m[2] and w[0] == 200),
    (19, lambda p, b, w, m: route(p, "experiments/get") and m[0] == 200 and w[1] == "RESOURCE_DOES_NOT_EXIST"),
    (20, lambda p, b, w, m: "model-versions" in p and m[0] == 200 and "must be an integer" in str(w[2])),
]


def same(method, path, body=None, query=None, headers=None, **names):
    global sent
    sent += 1
    if not path.startswith("/"):
        path = "/api/2.0/mlflow/" + path
    headers = JSON if headers is None and body is not None else headers or {}
    w, m = (side.ask(method, path, body, query, headers, names) for side in (weir, mlflow))
    if w[:2] == m[:2] and (w[1] or w[2] == m[2]):
        return
    for number, of_this_kind in EXPLAINED:
        if of_this_kind(path, body or query, w, m):
            seen[number] += 1
            return
    unknown.append(f"{method} {path} {json.dumps(body or query)[:200]}\n    weir   {str(w)[:400]}\n    mlflow {str(m)[:400]}")


def post(path, body, **names):
    same("POST", path, body, **names)


def get(path, /, **query):
    same("GET", path, query=query or {"none": "1"})


ODD = [None, "", " ", 0, 1, -1, 1.5, True, False, [], {}, ["a"], [None], [{}], {"a": "b"}, "x", "nan", "NaN", "1e+05", "3.0", "1.7e+12", "24", "true",
       2**63 - 1, 2**63, -(2**63), 1e308, 5e-324, "é\U0001f600", "a" * 300, "a/b", "a//b", "..", "a:b", "a'b", 'a"b', "a\nb", "%2e%2e", "FINISHED", 3, 99]

post("experiments/create", {"name": stamp}, exp="experiment_id")
post("runs/create", {"experiment_id": "$exp$", "run_name": "one", "start_time": 5}, run="run.info.run_id")
post("runs/create", {"experiment_id": "$exp$", "run_name": "two", "start_time": 6}, other="run.info.run_id")
post("registered-models/create", {"name": stamp, "description": "d", "tags": [{"key": "a", "value": "b"}]})
post("model-versions/create", {"name": stamp, "source": "s3://b/x"})
post("logged-models", {"experiment_id": "$exp$", "name": "m", "params": [{"key": "p", "value": "1"}]}, model="model.info.model_id")

R, M, E = {"run_id": "$run$"}, {"name": stamp}, {"experiment_id": "$exp$"}
V = {**M, "version": "1"}
for method, path, whole in [
    ("POST", "experiments/create", {"name": stamp + "-%d", "artifact_location": "s3://b/%d", "tags": []}),
    ("POST", "experiments/update", {**E, "new_name": stamp + "-r%d"}), ("POST", "experiments/set-experiment-tag", {**E, "key": "k", "value": "v"}),
    ("POST", "experiments/delete-experiment-tag", {**E, "key": "k"}), ("POST", "experiments/search", {"max_results": 1, "filter": "name = 'x'", "order_by": ["name"], "view_type": "ALL"}),
    ("POST", "runs/create", {**E, "run_name": "n", "start_time": 7, "user_id": "u", "tags": []}), ("POST", "runs/update", {**R, "status": "RUNNING", "end_time": 9, "run_name": "one"}),
    ("POST", "runs/log-metric", {**R, "key": "m%d", "value": 1, "timestamp": 2, "step": 3}), ("POST", "runs/log-parameter", {**R, "key": "p%d", "value": "v"}),
    ("POST", "runs/set-tag", {**R, "key": "t", "value": "v"}), ("POST", "runs/delete-tag", {**R, "key": "t"}), ("POST", "runs/log-batch", {**R, "metrics": [], "params": [], "tags": []}),
    ("POST", "runs/log-inputs", {**R, "datasets": [], "models": []}), ("POST", "runs/log-model", {**R, "model_json": "{}"}), ("POST", "runs/outputs", {**R, "models": []}),
    ("POST", "runs/search", {"experiment_ids": ["$exp$"], "filter": "metrics.none > 1", "run_view_type": "ALL", "max_results": 5, "order_by": ["start_time"], "page_token": ""}),
    ("POST", "registered-models/create", {"name": stamp + "-m%d", "description": "d", "tags": []}), ("PATCH", "registered-models/update", {**M, "description": "d"}),
    ("POST", "registered-models/set-tag", {**M, "key": "k", "value": "v"}), ("DELETE", "registered-models/delete-tag", {**M, "key": "k"}),
    ("POST", "registered-models/get-latest-versions", {**M, "stages": ["None"]}), ("POST", "registered-models/alias", {**M, "alias": "a", "version": "1"}),
    ("DELETE", "registered-models/alias", {**M, "alias": "a"}), ("PATCH", "model-versions/update", {**V, "description": "d"}),
    ("POST", "model-versions/set-tag", {**V, "key": "k", "value": "v"}), ("DELETE", "model-versions/delete-tag", {**V, "key": "k"}),
    ("POST", "model-versions/transition-stage", {**V, "stage": "Staging", "archive_existing_versions": False}),
    ("POST", "model-versions/create", {**M, "source": "s3://b/x", "run_id": "$run$", "description": "d", "run_link": "l", "tags": []}),
    ("POST", "logged-models", {**E, "name": "m", "model_type": "t", "params": [], "tags": []}), ("PATCH", "logged-models/$model$", {"status": "LOGGED_MODEL_READY", "model_id": "$model$"}),
    ("POST", "logged-models/search", {"experiment_ids": ["$exp$"], "filter": "name = 'none'", "max_results": 5, "order_by": [], "datasets": []}),
]:
    for field in whole:
        if field == "model_id":
            continue  # the path says it
        if field != "filter":  # without one it finds what the two stores hold, which is not the same any more
            same(method, path, {k: v for k, v in whole.items() if k != field})
        for i, odd in enumerate(ODD):
            def numbered(v):
                return v.replace("%d", str(sent)) if isinstance(v, str) else v
            value = odd + stamp if field in ("name", "new_name") and isinstance(odd, str) and odd.strip() and path.endswith(("/create", "/update")) and len(odd) < 100 else odd
            if field == "filter" and not odd or field == "name" and odd == " ":
                continue
            if field == "name" and path.startswith(("registered", "model-v")) and isinstance(odd, str) and len(odd) > 256:
                continue  # made on Python's server, refused on ours: line 10
            if (field == "version" or field == "experiment_id") and odd in (0, 1, 3, 99, "24"):
                continue  # an id of something else
            same(method, path, {k: numbered(v) for k, v in {**whole, field: value}.items()})

for key in ["a", "a/b", "a.b", "a b", "a:b", "é", "名", "²", "Ⅷ", "٣", "x'y", " a", "-", "k" * 250, "k" * 251, "\U0001f600", "a\u0301", "a#b", "a%b", "a\\b", "..a"]:
    post("runs/log-parameter", {**R, "key": key, "value": "v"})
    post("runs/log-parameter", {**R, "key": key, "value": "w"})
    post("runs/log-batch", {**R, "metrics": [{"key": key, "value": 1, "timestamp": 1}]})
    post("runs/set-tag", {**R, "key": key, "value": "v"})
    post("experiments/set-experiment-tag", {**E, "key": key, "value": "v"})
    post("registered-models/set-tag", {**M, "key": key, "value": "v"})
for n in (249, 250, 251):
    post("runs/create", {**E, "start_time": 5, "run_name": "r" * n})
for n in (4999, 5000, 5001, 5999, 6000, 6001, 7999, 8000, 8001, 19999, 20000, 20001):
    post("runs/log-parameter", {**R, "key": f"l{n}", "value": "v" * n})
    post("runs/set-tag", {**R, "key": "l", "value": "v" * n})
    post("experiments/set-experiment-tag", {**E, "key": "l", "value": "v" * n})
    post("model-versions/set-tag", {**V, "key": "l", "value": "v" * n})
for location in ["s3://b/p?x=1", "s3://b/p?x=..", "s3://b/p#f", "s3://b/../p", "/t/x;y", "runs:/a/b", "RUNS:/a", "http://h/x", "ftp://h/x", "mlflow-artifacts://h/x", "mlflow-artifacts:/own/x",
                 "file:///t/z", "gs://b/x", "hdfs://h/p", "dbfs:/x", "unknown://h/x", "file://host/x", "models:/m/1"]:
    post("experiments/create", {"name": stamp + location, "artifact_location": location})
for source in ["s3://b/x", "runs:/$run$/m", "runs:/$other$/m", "runs:/none/m", "mlflow-artifacts:/$exp$/$run$/artifacts/m", "mlflow-artifacts:/$exp$/$other$/artifacts", "/t/x", "file:///t/x", "file://h/x",
               "http://h/x", "..", "x", "s3://b/../x", "s3://b/%2e%2e/x", "s3://b/%252e%252e/x", "s3://b/a//b", "s3://b/./x", "models:/none/1", f"models:/{stamp}/1", "models:/", "dummy-source"]:
    for more in ({}, {"run_id": "$run$"}, {"tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}):
        post("model-versions/create", {**M, "source": source, **more})
for f in ["metrics.a > 1", "metrics.a > 'x'", "params.a = 1", "params.a = 'x'", "tags.a LIKE 'x%'", "tags.x-y = 'a'", "run_id IN ('a')", "status = 'RUNNING'", "start_time > 1", "start_time > '1'", "foo = 'x'", "metrics.a",
          "metrics.a ==1", "metrics.a > 1 OR metrics.b > 1", "name = 'x'", "params.a = 'x", "dataset.name = 'x'", "dataset.foo = 'x'", "METRICS.a > 1", "tags.`a b` = 'x'", "attributes.status IN ('x')", "; "]:
    post("runs/search", {"experiment_ids": ["$exp$"], "filter": f, "max_results": 1, "order_by": ["start_time"]})
    post("experiments/search", {"filter": f, "max_results": 1})
    post("logged-models/search", {"experiment_ids": ["$exp$"], "filter": f, "max_results": 1})
    same("GET", "registered-models/search", query={"filter": f})
    same("GET", "model-versions/search", query={"filter": f})
for path in ["", "a", "../x", "/x", "a/../b", "%2e%2e/x", "a#b", "C:\\x", "a\\b", "file:///x", "./a", ".", "..", "x" * 200]:
    get("artifacts/list", run_id="$run$", path=path)
    get("/get-artifact", run_id="$run$", path=path)
    get("/model-versions/get-artifact", name="none", version="1", path=path)
    get("/api/2.0/mlflow-artifacts/artifacts", path=path or "none")
for text in ["0", "999999", "-1", "abc", "", "1.0"]:
    get("experiments/get", experiment_id=text)
    get("runs/get", run_id=text)
    get("metrics/get-history", run_id=text, metric_key="a")
    get("model-versions/get", name=stamp, version=text)
    get("registered-models/get", name=text)
    get("logged-models/" + (text or "none"))
for body in ["", "null", "{", "[]", "5", '"x"', "{} x", "{'a':1}", '{"run_id":"$run$","key":"r","value":1,"timestamp":1,"value":2}', '"{\\"run_id\\":\\"$run$\\",\\"key\\":\\"s\\",\\"value\\":1,\\"timestamp\\":1}"']:
    same("POST", "runs/log-metric", body)
for body in ['\ufeff{"run_id":"$run$","key":"b","value":1,"timestamp":1}', *('{"run_id":"$run$","key":"b","value":%s,"timestamp":%s}' % v for v in [("NaN", 1), ("-Infinity", 2), ("nan", 3), ("1", "NaN")])]:
    same("POST", "runs/log-metric", body)
for headers in [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=utf-8"}]:
    same("POST", "runs/set-tag", '{"run_id":"$run$","key":"c","value":"1"}', headers=headers)
get("registered-models/get", name=["none", stamp])  # of a repeated parameter the first counts
for half in ({"dataset_name": "d"}, {"dataset_digest": "g"}, {"dataset_name": "d", "dataset_digest": ""}, {"dataset_name": "d", "dataset_digest": "g"}):
    post("runs/log-metric", {**R, "key": "half", "value": 1, "timestamp": 1, **half})
    post("runs/log-batch", {**R, "metrics": [{"key": "half", "value": 1, "timestamp": 2, "model_id": "$model$", **half}]})
post("runs/create", {**E, "start_time": 5, "run_name": "models"}, models="run.info.run_id")
for path in ("a", "é/😀"):
    flavors = {"z": {"config": {"secret": 1}, "n": [1, None, True]}, "a": "text"}
    post("runs/log-model", {"run_id": "$models$", "model_json": json.dumps({"artifact_path": path, "run_id": "r", "utc_time_created": "now", "model_uuid": "u", "flavors": flavors})})
get("runs/get", run_id="$models$")  # the text of its tag is what Python's json writes
for n in (6000, 6001, 20000):
    post("logged-models", {**E, "name": "long", "params": [{"key": "p", "value": "v" * n}], "tags": [{"key": "t", "value": "v" * (n + 2000)}]})
post("experiments/create", {"name": stamp + "-tokens"}, few="experiment_id")
for name in "abc":
    post("logged-models", {"experiment_id": "$few$", "name": name})
FEW = {"experiment_ids": ["$few$"], "max_results": 1}
post("logged-models/search", FEW, token="next_page_token")
for change in ({}, {"max_results": 2}, {"filter": "name = 'a'"}, {"order_by": [{"field_name": "name"}]}, {"experiment_ids": ["$few$", "$exp$"]}, {"page_token": "x"}):
    post("logged-models/search", {**FEW, "page_token": "$token$", **change})
for field in ("metrics.val/loss", "metrics.a b", "metrics.a DESC", "metrics", "name DESC", "params.a", "tags.a", "foo.a"):
    post("logged-models/search", {**FEW, "order_by": [{"field_name": field}]})
post("runs/delete", {"run_id": "$other$"})
for path, body in [("runs/update", {"status": "FINISHED"}), ("runs/log-metric", {"key": "a", "value": 1, "timestamp": 1}), ("runs/log-batch", {}), ("runs/set-tag", {"key": "a", "value": "b"}), ("runs/restore", {}), ("runs/restore", {})]:
    post(path, {"run_id": "$other$", **body})
post("experiments/delete", E)
for path, body in [("experiments/update", {"new_name": stamp + "z"}), ("experiments/set-experiment-tag", {"key": "a", "value": "b"}), ("runs/create", {}), ("experiments/delete", {}), ("experiments/restore", {}), ("experiments/restore", {})]:
    post(path, {**E, **body})

print(json.dumps({"requests": sent, "explained": dict(sorted(seen.items())), "unknown": len(unknown)}))
if unknown:
    sys.exit("\n".join(unknown))
