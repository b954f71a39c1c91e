"""This server and Python's own, each on a fresh store: started, waited for, ended, and looked after."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PATIENCE = 180  # seconds for Python's server to answer, which takes long on a busy machine


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(what, command, port, env=None):
    """Runs a server in an empty folder until the block ends, and gives its address."""
    with tempfile.TemporaryDirectory(prefix="weir-clients-") as folder, open(Path(folder, "log"), "w+") as log:
        Path(folder, "store").mkdir()
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=Path(folder, "store"), stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, **(env or {})})
        url = f"http://127.0.0.1:{port}"
        try:
            while True:
                try:
                    urllib.request.urlopen(url + "/health", timeout=5).read()
                    break
                except OSError:
                    pass
                if process.poll() is not None or time.monotonic() - started > PATIENCE:
                    log.seek(0)
                    sys.exit(f"{what} does not answer:\n{log.read()[-4000:]}")
                time.sleep(0.1)
            yield url
        finally:
            end(what, process)


def end(what, process):
    """Ends a server with all that it has started, and complains of what does not end."""
    for sign, wait in [(signal.SIGTERM, 20), (signal.SIGKILL, 5)]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        stop = time.monotonic() + wait
        while time.monotonic() < stop:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
    sys.exit(f"{what} left processes behind")


def weir(binary):
    port = free_port()
    return server("weir", [binary, "server", "--backend-store-uri", "sqlite:///w.db", "--artifacts-destination", "art", "--port", str(port)], port)


def mlflow(python):
    """MLflow's server of a virtual environment, with one worker: the stores are what is compared, not the speed."""
    port = free_port()
    command = [python, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///m.db", "--artifacts-destination", "art", "--workers", "1", "--port", str(port)]
    return server("mlflow server", command, port, {
        "MLFLOW_TRACKING_URI": "", "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # ten processes that nothing here asks anything
    })
