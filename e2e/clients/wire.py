"""What MLflow's own tests assert about the wire, written down anew: statuses, codes and parts of messages, as raw requests.

Runs against the server that MLFLOW_TRACKING_URI names, with the standard library and MLflow's Python client alone. It passes on
Python's own server too (the lines marked OURS aside, which differences.md explains).
"""

import http.client
import json
import os
import time
import urllib.parse

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import RestException

server = urllib.parse.urlsplit(os.environ["MLFLOW_TRACKING_URI"])
ours = os.environ.get("WEIR_ONLY", "1") == "1"
API, AJAX = "/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/"
INVALID, MISSING, EXISTS = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
checks = 0
faults = []


def send(method, path, body=None, headers=None, raw=None):
    c = http.client.HTTPConnection(server.hostname, server.port, timeout=60)
    if method == "GET" and body is not None:
        path, body = path + "?" + urllib.parse.urlencode(body, doseq=True), None
    data = raw if raw is not None else None if body is None else json.dumps(body)
    c.request(method, path, data, {"Content-Type": "application/json"} if headers is None else headers)
    answer = c.getresponse()
    text = answer.read()
    c.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text.decode("utf-8", "replace")


def expect(method, path, body, status, code="", part="", api=API, **more):
    """One request; a fault's code, and a part of its message."""
    global checks
    checks += 1
    got, answer = send(method, path if path.startswith("/") else api + path, body, **more)
    text = answer if isinstance(answer, str) else answer.get("message", "")
    if got != status or (code and (isinstance(answer, str) or answer.get("error_code") != code)) or part not in text:
        faults.append(f"{method} {path} {json.dumps(body)[:120]}: want {status} {code} {part!r}, got {got} {str(answer)[:300]}")
    return answer


def invalid(path, body, part, method="POST", **more):
    return expect(method, path, body, 400, INVALID, part, **more)


def ok(path, body, method="POST", **more):
    return expect(method, path, body, 200, **more)


def check(got, want, what):
    global checks
    checks += 1
    if got != want:
        faults.append(f"{what}: want {want!r}, got {got!r}")


name = f"wire {time.time_ns()}"
exp = ok("experiments/create", {"name": name})["experiment_id"]
run = ok("runs/create", {"experiment_id": exp, "run_name": "one", "start_time": 1})["run"]["info"]["run_id"]

# --- types and required fields, in the order and the words of the messages
required = "Missing value for required parameter '{}'"
for path, body, fields in [
    ("runs/log-metric", {"run_id": run, "key": "m", "value": 41, "timestamp": 59, "step": 3}, ["run_id", "key", "value", "timestamp"]),
    ("runs/log-parameter", {"run_id": run, "key": "p", "value": "41"}, ["run_id", "key"]),
    ("runs/set-tag", {"run_id": run, "key": "t", "value": "41"}, ["run_id", "key"]),
    ("runs/delete-tag", {"run_id": run, "key": "t"}, ["run_id", "key"]),
    ("runs/log-batch", {"run_id": run}, ["run_id"]),
    ("runs/log-model", {"run_id": run, "model_json": "{}"}, ["run_id", "model_json"]),
    ("experiments/create", {"name": "x"}, ["name"]),
    ("experiments/update", {"experiment_id": exp, "new_name": "x"}, ["experiment_id", "new_name"]),
    ("experiments/set-experiment-tag", {"experiment_id": exp, "key": "k", "value": "v"}, ["experiment_id", "key"]),
    ("registered-models/create", {"name": "x"}, ["name"]),
    ("registered-models/set-tag", {"name": "x", "key": "k", "value": "v"}, ["name", "key"]),
    ("registered-models/alias", {"name": "x", "alias": "a", "version": "1"}, ["name", "alias", "version"]),
    ("model-versions/create", {"name": "x", "source": "s3://x/y"}, ["name", "source"]),
    ("model-versions/set-tag", {"name": "x", "version": "1", "key": "k", "value": "v"}, ["name", "version", "key"]),
    ("model-versions/transition-stage", {"name": "x", "version": "1", "stage": "None"}, ["name", "version", "stage"]),
]:
    for field in fields:
        invalid(path, {k: v for k, v in body.items() if k != field}, required.format(field))
        invalid(path, {**body, field: None}, required.format(field))
    for field in set(fields) - {"value", "timestamp", "experiment_id", "version"}:
        invalid(path, {**body, field: 31}, f"Invalid value 31 for parameter '{field}' supplied")
for path, body, field, value, text in [
    ("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1}, "value", "foo", '"foo"'),
    ("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1}, "timestamp", "foo", '"foo"'),
    ("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1}, "step", "foo", '"foo"'),
    ("experiments/create", {"name": "y"}, "artifact_location", 9.0, "9.0"),
    ("experiments/create", {"name": "y"}, "tags", 9.0, "9.0"),
    ("runs/log-batch", {"run_id": run}, "metrics", "foo", '"foo"'),
    ("runs/log-batch", {"run_id": run}, "params", "foo", '"foo"'),
    ("runs/log-batch", {"run_id": run}, "tags", "foo", '"foo"'),
    ("runs/search", {"experiment_ids": [exp]}, "max_results", 123456789, "123456789"),
    ("runs/search", {"experiment_ids": [exp]}, "order_by", "foo", '"foo"'),
]:
    invalid(path, {**body, field: value}, f"Invalid value {text} for parameter '{field}' supplied")
for i, item in [("metrics[0].timestamp", {"key": "a", "value": 1}), ("metrics[0].value", {"key": "a", "timestamp": 1}), ("metrics[0].key", {"value": 1, "timestamp": 1})]:
    invalid("runs/log-batch", {"run_id": run, "metrics": [item]}, required.format(i))
ok("runs/log-metric", {"run_uuid": run, "key": "by_uuid", "value": 1, "timestamp": 1})
invalid("runs/set-tag", None, "Content-Type", headers={}, raw=json.dumps({"run_id": run, "key": "a", "value": "b"}))
invalid("runs/set-tag", None, "Content-Type must be one of", headers={"Content-Type": "text/plain"}, raw="{}")

# --- names of keys, limits at n-1, n and n+1
for bad in ["a//b", "a/", "./a", "..", "/a", "a\nb", "a@b", "a#b", "\U0001f600", "a\u0301"]:
    invalid("runs/log-parameter", {"run_id": run, "key": bad, "value": "v"}, "for parameter 'key' supplied")
    invalid("runs/log-metric", {"run_id": run, "key": bad, "value": 1, "timestamp": 1}, "for parameter 'name' supplied")
    invalid("runs/log-batch", {"run_id": run, "tags": [{"key": bad, "value": "v"}]}, "for parameter 'tags[0].key' supplied")
    invalid("experiments/set-experiment-tag", {"experiment_id": exp, "key": bad, "value": "v"}, "for parameter 'key' supplied")
for good in ["a/b", "a.b", "a b", "a:b", "a-b", "é", "名", "k" * 249, "é" * 250]:
    ok("runs/log-parameter", {"run_id": run, "key": good, "value": "v"})
    ok("runs/set-tag", {"run_id": run, "key": good, "value": "v"})
    ok("runs/log-metric", {"run_id": run, "key": good, "value": 1, "timestamp": 1})
long = "k" * 251
invalid("runs/log-parameter", {"run_id": run, "key": long, "value": ""}, "'Param key' exceeds the maximum length of 250 characters")
invalid("runs/log-metric", {"run_id": run, "key": long, "value": 1, "timestamp": 1}, "'Metric name' exceeds the maximum length of 250 characters")
invalid("runs/set-tag", {"run_id": run, "key": long, "value": ""}, "'key' exceeds the maximum length of 250 characters")
invalid("runs/log-batch", {"run_id": run, "tags": [{"key": long, "value": ""}]}, "'tags[0].key' exceeds the maximum length of 250 characters")
invalid("experiments/create", {"name": "x" * 501}, "'name' exceeds the maximum length of 500 characters")
for n in (5999, 6000, 6001):
    ok("runs/log-parameter", {"run_id": run, "key": f"p{n}", "value": "v" * n})
    ok("runs/set-tag", {"run_id": run, "key": f"t{n}", "value": "v" * (n + 2000)})
metrics = [{"key": f"bm{i}", "value": i, "timestamp": 1, "step": 0} for i in range(1001)]
pairs = [{"key": f"b{i}", "value": str(i)} for i in range(101)]
ok("runs/log-batch", {"run_id": run, "metrics": metrics[:800], "params": pairs[:100], "tags": pairs[:100]})
for body, text in [
    ({"metrics": metrics}, "A batch logging request can contain at most 1000 metrics. Got 1001 metrics."),
    ({"params": pairs}, "A batch logging request can contain at most 100 params. Got 101 params."),
    ({"tags": pairs}, "A batch logging request can contain at most 100 tags. Got 101 tags."),
    ({"metrics": metrics[:901], "params": pairs[:50], "tags": pairs[:50]}, "at most 1000 metrics, params, and tags. Got 1001 metrics, params, and tags."),
    ({"params": [{"key": "d", "value": "1"}] * 2}, "Duplicate parameter keys have been submitted: ['d']"),
    ({"params": [{"key": "a b", "value": "other"}]}, "Changing param values is not allowed. Params were already logged="),
]:
    invalid("runs/log-batch", {"run_id": run, **body}, text)
invalid("runs/log-parameter", {"run_id": run, "key": "a b", "value": "w"}, "Changing param values is not allowed. Param with key='a b' was already logged with value='v'")
ok("runs/log-parameter", {"run_id": run, "key": "a b", "value": "v"})
invalid("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": -1}, "Timestamp must be a nonnegative long")

# --- R sends every scalar as a text
ok("runs/log-metric", {"run_id": run, "key": "R", "value": "0.1", "timestamp": "1.6e+12", "step": "1e+05"})
ok("runs/log-metric", {"run_id": run, "key": "R", "value": "NaN", "timestamp": "3", "step": "3.0"})
point = ok("metrics/get-history", {"run_id": run, "metric_key": "R"}, method="GET")["metrics"][1]
check((point["value"], point["timestamp"], point["step"]), (0.1, 1_600_000_000_000, 100_000), "a metric from R")

# --- the latest value is the one at the greatest (step, timestamp, value)
for step, stamp, value in [(-2, 300, 1.2), (0, 100, 137.4), (0, 200, -20.0)]:
    ok("runs/log-metric", {"run_id": run, "key": "latest", "step": step, "timestamp": stamp, "value": value})
latest = {m["key"]: m["value"] for m in ok("runs/get", {"run_id": run}, method="GET")["run"]["data"]["metrics"]}
check(latest["latest"], -20.0, "latest value")

# --- lifecycle
expect("GET", "runs/get", {"run_id": "nope"}, 404, MISSING, "not found")
expect("GET", "experiments/get", {"experiment_id": "987654321"}, 404, MISSING, "No Experiment with id=987654321 exists")
expect("GET", "experiments/get-by-name", {"experiment_name": "nope"}, 404, MISSING, "Could not find experiment with name 'nope'")
expect("POST", "experiments/create", {"name": name}, 400, EXISTS)
expect("POST", "runs/delete-tag", {"run_id": run, "key": "fakeTag"}, 404, MISSING, "No tag with name: fakeTag")
gone = ok("runs/create", {"experiment_id": exp})["run"]["info"]["run_id"]
for _ in range(2):
    ok("runs/delete", {"run_id": gone})
for path, body in [
    ("runs/update", {"status": "FINISHED"}), ("runs/set-tag", {"key": "a", "value": "b"}), ("runs/delete-tag", {"key": "a"}),
    ("runs/log-parameter", {"key": "a", "value": "b"}), ("runs/log-metric", {"key": "a", "value": 1, "timestamp": 1}), ("runs/log-batch", {}),
]:
    invalid(path, {"run_id": gone, **body}, f"The run {gone} must be in the 'active' state")
ok("runs/restore", {"run_id": gone})
invalid("runs/create", {"experiment_id": exp, "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}, "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values")

# --- routes of the page
for query, text in [
    ({}, "GetMetricHistoryBulk request must specify at least one run_id."),
    ({"run_id": [f"r{i}" for i in range(101)], "metric_key": "k"}, "GetMetricHistoryBulk request cannot specify more than 100 run_ids. Received 101 run_ids."),
    ({"run_id": [run]}, "GetMetricHistoryBulk request must specify a metric_key."),
]:
    invalid("metrics/get-history-bulk", query, text, method="GET", api=AJAX)
for query, text in [
    ({"run_ids": [f"r{i}" for i in range(101)]}, "GetMetricHistoryBulkInterval request must specify at most 100 run_ids. Received 101 run_ids."),
    ({"run_ids": [run], "start_step": 1}, "If either start step or end step are specified, both must be specified."),
    ({"run_ids": [run], "start_step": 1, "end_step": 0}, "end_step must be greater than start_step. Found start_step=1 and end_step=0."),
    ({"run_ids": [run], "max_results": 0}, "max_results must be between 1 and 2500"),
    ({"run_ids": [run], "max_results": 2501}, "max_results must be between 1 and 2500"),
]:
    invalid("metrics/get-history-bulk-interval", {"metric_key": "k", **query}, text, method="GET", api=AJAX)
invalid("experiments/search-datasets", {"experiment_ids": []}, "SearchDatasets request must specify at least one experiment_id.", api=AJAX)
invalid("experiments/search-datasets", {"experiment_ids": [str(i) for i in range(21)]}, "SearchDatasets request cannot specify more than 20 experiment_ids. Received 21 experiment_ids.", api=AJAX)
for query, text in [("?path=x", "Request must specify run_uuid."), (f"?run_uuid={run}", "Request must specify path."), (f"?run_uuid={run}&path=../x", "Invalid path")]:
    invalid(AJAX + "upload-artifact" + query, None, text, raw="data", headers={})
invalid(AJAX + f"upload-artifact?run_uuid={run}&path=x", None, "Request must specify data.", raw="", headers={})
for bad in ["../x", "/etc/passwd", "a/../../x", "%2e%2e/x", "%252e%252e/x", "C:\\x", "file:///etc/passwd"]:
    invalid("artifacts/list", {"run_id": run, "path": bad}, "Invalid path", method="GET")
    invalid("/get-artifact", {"run_id": run, "path": bad}, "Invalid path", method="GET")
    invalid("/model-versions/get-artifact", {"name": "nope", "version": "1", "path": bad}, "Invalid path", method="GET")
    invalid(f"/api/2.0/mlflow-artifacts/artifacts?{urllib.parse.urlencode({'path': bad})}", None, "Invalid path", method="GET")

# --- where model versions may come from
model = f"wire-{time.time_ns()}"
ok("registered-models/create", {"name": model})
expect("POST", "registered-models/create", {"name": model}, 400, EXISTS, f"Registered Model (name={model}) already exists")
local = "To use a local path as a model version"
for source, text in [
    ("/etc/passwd", local), ("./artifacts/x", local), ("file:///etc/passwd", local), ("/path/to/../../artifact", local), ("", "Missing value"),
    ("s3://b/../x", "If supplying a source as an http, https,"), ("s3://b/%2e%2e/x", "If supplying a source as an http, https,"),
    ("s3://b/%252e%252e/x", "If supplying a source as an http, https,"), ("s3://b/a\u0000b", "Invalid"),
    ("http://host/x", "cannot use the 'http' scheme"), ("mlflow-artifacts://host/x", "cannot use the 'mlflow-artifacts' scheme"),
    (f"mlflow-artifacts:/{exp}/{run}/artifacts/../x", "Invalid model version source"), ("models:/m-" + "0" * 32, "Invalid model version source"),
]:
    invalid("model-versions/create", {"name": model, "source": source}, text)
    invalid("model-versions/create", {"name": model, "source": source, "run_id": run}, text)
invalid("model-versions/create", {"name": model, "source": f"runs:/{gone}/m", "run_id": run}, "Invalid model version source")
invalid("model-versions/create", {"name": model, "source": "/etc", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}, "Invalid prompt source")
for source in ["s3://b/x", "gs://b/x", f"mlflow-artifacts:/{exp}/{run}/artifacts/m", f"runs:/{run}/m"]:
    ok("model-versions/create", {"name": model, "source": source, "run_id": run})
for alias, text in [("latest", "reserved"), ("LATEST", "reserved"), ("v1", "reserved"), ("a b", "Invalid alias name"), ("a" * 256, "'Registered model alias name' exceeds the maximum length of 255")]:
    invalid("registered-models/alias", {"name": model, "alias": alias, "version": "1"}, text)
invalid("registered-models/alias", {"name": model, "alias": "nope"}, "Registered model alias nope not found.", method="GET")
expect("GET", "model-versions/get", {"name": model, "version": "99"}, 404, MISSING, f"Model Version (name={model}, version=99) not found")
invalid("model-versions/get", {"name": model, "version": "x"}, "Parameter 'version' must be an integer, got 'x'.", method="GET")
invalid("model-versions/transition-stage", {"name": model, "version": "1", "stage": "x"}, "Invalid Model Version stage: x. Value must be one of None, Staging, Production, Archived.")

# --- bounds that Python's server does not have (OURS)
if ours:
    invalid("runs/search", {"experiment_ids": [exp], "filter": " AND ".join(["metrics.a > 1"] * 300)}, "200 terms")
    invalid("runs/search", {"experiment_ids": [exp], "order_by": ["metrics.a"] * 1000}, "32 columns")
    invalid("runs/create", {"experiment_id": exp, "tags": [{"key": str(i), "value": ""} for i in range(1001)]}, "at most 1000")
    invalid("runs/search", None, "nested deeper", raw="[" * 100_000)
    invalid("runs/log-metric", None, "for parameter 'timestamp'", raw=f'{{"run_id":"{run}","key":"k","value":1,"timestamp":1.{"0" * 1_000_000}e18}}')
    for text in ['"a\\u0000b"', '"\\ud800"']:
        invalid("runs/set-tag", None, "", raw=f'{{"run_id":"{run}","key":"k","value":{text}}}')
    invalid("experiments/create", {"name": "inside", "artifact_location": f"mlflow-artifacts:/{exp}"}, "another experiment")

# --- and by the client: pages, NaN and infinity
client = MlflowClient()
for i in range(7):
    client.create_run(exp, start_time=i + 1, run_name=f"page {i}")
seen, token = [], None
while True:
    page = client.search_runs([exp], "run_name LIKE 'page %'", max_results=2, order_by=["start_time DESC"], page_token=token)
    seen += [r.info.run_name for r in page]
    if not (token := page.token):
        break
check(seen, [f"page {6 - i}" for i in range(7)], "pages of runs")
client.log_batch(run, metrics=[Metric("n", float("nan"), 1, 0), Metric("i", float("inf"), 1, 0), Metric("j", float("-inf"), 1, 0)])
data = client.get_run(run).data.metrics
check((data["n"] != data["n"], data["i"] >= 1.7976931348623157e308, data["j"] <= -1.7976931348623157e308), (True, True, True), "NaN and infinity")
check(client.get_metric_history(run, "never logged"), [], "history of an unknown key")
try:
    mlflow.search_runs([exp], "metrics.a >< 1")
    faults.append("a broken filter is accepted")
except RestException as e:
    check(e.error_code, INVALID, "a broken filter")

assert not faults, "\n".join(faults)
print(json.dumps({"checks": checks}))
