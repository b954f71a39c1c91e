"""What a client gets from a server, written down so that two servers can be compared.

A script says each thing that it gets under a name of its own; ids, times and addresses, which differ by nature, are
replaced. The transcript is one JSON object a line on standard output, see compare.py.
"""

import enum
import json
import os
import re
import time
import warnings

from mlflow.exceptions import MlflowException
from requests import HTTPError

warnings.filterwarnings("ignore")
started = int(time.time() * 1000)
stamp = f"{time.time_ns()}"
names = {stamp: "STAMP", os.environ["MLFLOW_TRACKING_URI"]: "SERVER"}
said = {}


def name(text, as_):
    """Has an id written as a word from now on, and gives it back."""
    names[str(text)] = f"<{as_}>"
    return text


def plain(v, key=""):
    """Turns entities into JSON, without what differs from server to server by nature."""
    if isinstance(v, enum.Enum):
        return v.name
    if isinstance(v, str):
        if key == "experiment_id":
            return names.get(v, v)
        for text in sorted(names, key=len, reverse=True):
            # The number of an experiment stands for it only where a location begins.
            v = v.replace(text, names[text]) if len(text) > 6 else re.sub(rf":/{text}(?=/|$)", ":/" + names[text], v)
        return re.sub(r"\b[0-9a-f]{32}\b", "<HEX>", v)
    if isinstance(v, bool) or v is None:
        return v
    if isinstance(v, (int, float)):
        now = "time" in key and isinstance(v, int) and started - 60_000 < v < started + 3_600_000
        return "<TIME>" if now else v if isinstance(v, int) else float(f"{v:.12g}")
    if isinstance(v, dict):
        # Ordinary fields of entities begin with an underscore.
        return {plain(k.lstrip("_")): plain(x, k.lstrip("_")) for k, x in sorted((str(k), x) for k, x in v.items())}
    if isinstance(v, (list, tuple, set, frozenset)):
        return [plain(x, key) for x in v]
    if hasattr(v, "item"):  # a number of numpy's
        return plain(v.item(), key)
    return plain(vars(v))


def say(what, got):
    """Writes down what came back."""
    assert what not in said, f"{what} is said twice"
    said[what] = plain(got)
    print(json.dumps({"step": what, "got": said[what]}, ensure_ascii=False), flush=True)
    return got


def refused(what, call, *args, **kwargs):
    """Writes down the class and the code of the error that a call must end with."""
    try:
        got = call(*args, **kwargs)
    except MlflowException as e:
        say(what, {"class": type(e).__name__, "code": e.error_code, "status": e.get_http_status_code()})
        return
    except HTTPError as e:
        say(what, {"class": "HTTPError", "status": e.response.status_code})
        return
    say(what, {"accepted": got})


def pages(call, **kwargs):
    """All pages of a search, one list each."""
    found, token = [], None
    while True:
        page = call(page_token=token, **kwargs)
        found.append(list(page))
        token = page.token
        if not token:
            return found
        assert len(found) < 100, "pages without end"
