"""Runs official clients against this server and against Python's own, and fails where they get something else.

    compare.py WEIR PYTHON NAME COMMAND... [-- NAME COMMAND...]

PYTHON is that of a virtual environment with the whole of MLflow. A command prints a transcript, one JSON object
{"step", "got"} a line; it finds the server in MLFLOW_TRACKING_URI. A step that differs fails, unless EXPLAINED names the
line of differences.md that explains it; a line there that explains nothing any more fails as well.
"""

import collections
import concurrent.futures
import contextlib
import fnmatch
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import servers

MOST = 20  # lines of differences.md

# The steps that differ, and the number of the line that explains it.
EXPLAINED = {
    "*: history of loss": 7,
    "*-models: its metrics": 7,
    "*-models: logged models where metric.acc > 1": 8,
    "*-models: logged models where tags.a = 'x' OR tags.b = 'y'": 8,
}


def transcript(command, url):
    """What a client says, by step."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_") or k == "MLFLOW_PYTHON_EXECUTABLE"}
    env |= {"MLFLOW_TRACKING_URI": url, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONIOENCODING": "utf-8", "GIT_PYTHON_REFRESH": "quiet", "TQDM_DISABLE": "1",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    said = {}
    for line in done.stdout.splitlines():
        if line.startswith('{"step"'):
            step = json.loads(line)
            said[step["step"]] = json.dumps(step["got"], ensure_ascii=False, sort_keys=True)
    fault = "" if done.returncode == 0 else f"ended with {done.returncode} after {len(said)} steps:\n{done.stderr[-3000:]}"
    return said, fault, time.monotonic() - started


def explanation(client, step):
    for pattern, line in EXPLAINED.items():
        if fnmatch.fnmatchcase(f"{client}: {step}", pattern):
            return pattern, line
    return None, None


def main():
    weir, python, *rest = sys.argv[1:]
    clients = {}
    while rest:
        cut = rest.index("--") if "--" in rest else len(rest)
        (name, *command), rest = rest[:cut], rest[cut + 1:]
        clients[name] = command
    table = Path(__file__).resolve().parent.parent / "differences.md"
    lines = set(map(int, re.findall(r"^\| (\d+) \|(?:[^|]+\|){4}$", table.read_text(), re.M)))
    faults = [] if len(lines) <= MOST else [f"{table.name} has {len(lines)} lines, at most {MOST} are allowed"]
    compared, used = collections.Counter(), collections.Counter()
    with contextlib.ExitStack() as stack:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            urls = {"weir": stack.enter_context(servers.weir(weir)), "mlflow": stack.enter_context(servers.mlflow(python))}
            runs = {(c, s): pool.submit(transcript, command, url) for c, command in clients.items() for s, url in urls.items()}
        for client in clients:
            (ours, our_fault, our_time), (theirs, their_fault, their_time) = (runs[client, s].result() for s in ("weir", "mlflow"))
            faults += [f"{client} on {s} {f}" for s, f in [("weir", our_fault), ("mlflow", their_fault)] if f]
            if not our_fault and not their_fault and len(ours) < 10:
                faults.append(f"{client} said {len(ours)} things: nothing was compared")
            for step in dict.fromkeys([*theirs, *ours]):
                pattern, line = explanation(client, step)
                compared[pattern] += 1
                if ours.get(step) == theirs.get(step) or (our_fault or their_fault) and (step not in ours or step not in theirs):
                    continue
                if line in lines:
                    used[pattern] += 1
                else:
                    faults.append(f"{client}: {step}\n    weir   {str(ours.get(step))[:700]}\n    mlflow {str(theirs.get(step))[:700]}")
            print(f"{client}: {len(ours)} steps, {our_time:.1f} s on weir, {their_time:.1f} s on mlflow", flush=True)
    faults += [f"nothing differs any more at {p!r}, which line {n} of {table.name} explains" for p, n in EXPLAINED.items() if compared[p] and not used[p]]
    print(f"{sum(used.values())} differences that differences.md explains")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
