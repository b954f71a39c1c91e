# The worker of Weir's endpoints for models of Python: it speaks the frames of harness.R, so values travel as R writes
# them (R Internals, "Serialization Formats"), in the machine's byte order. It needs numpy and pandas and whatever the
# model's loader needs. Standard output belongs to the model's code; it never carries frames.
import importlib
import inspect
import os
import struct
import sys
import traceback

PROTOCOL = 1
HELLO, LOAD, READY, PREDICT, RESULT, ERROR = range(1, 7)
LITTLE = sys.byteorder == "little"
ORDER, MAGIC = ("<", b"B\n") if LITTLE else (">", b"X\n")
NA_INT = -(2**31)
SYM, PAIRLIST, CHAR, LGL, INT, REAL, STR, LIST, RAW, NIL, REF = 1, 2, 9, 10, 13, 14, 16, 19, 24, 254, 255
EPOCH = "datetime64[ns]"


class Vector(list):
    """An R list, with its attributes."""

    attributes = {}


class Reader:
    """Reads one value that the server has serialized."""

    def __init__(self, data):
        self.data, self.at, self.symbols = data, 0, []
        if self.take(2) != MAGIC:
            raise ValueError("a payload of another form")
        self.int(), self.int(), self.int()

    def take(self, n):
        part = self.data[self.at : self.at + n]
        if len(part) != n:
            raise ValueError("a payload that ends early")
        self.at += n
        return part

    def int(self):
        return struct.unpack(ORDER + "i", self.take(4))[0]

    def numbers(self, kind, size):
        return np.frombuffer(self.take(size * self.int()), ORDER + kind)

    def item(self):
        flags = self.int()
        kind = flags & 0xFF
        if kind == NIL:
            return None
        if kind == REF:
            return self.symbols[(flags >> 8 or self.int()) - 1]
        if kind == SYM:
            self.symbols.append(self.item())
            return self.symbols[-1]
        if kind == CHAR:
            n = self.int()
            return None if n < 0 else bytes(self.take(n)).decode("utf-8")
        if kind in (LGL, INT):
            value = self.numbers("i4", 4)
        elif kind == REAL:
            value = self.numbers("f8", 8)
        elif kind in (STR, LIST):
            value = [self.item() for _ in range(self.int())]
        else:
            raise ValueError("a value of R's type %d" % kind)
        attributes = {}
        while flags & 0x200:
            tag = self.int()
            if tag & 0xFF == NIL:
                break
            name = self.item()
            attributes[name] = self.item()
        if kind == LIST:
            value = Vector(value)
            value.attributes = attributes
            return value
        return column(kind, value, attributes)


def column(kind, value, attributes):
    """An R vector as numpy's array of its kind; missing numbers are NaN, other missing values None."""
    if kind == STR:
        return np.array(value, dtype=object)
    if kind == REAL:
        classes = list(attributes.get("class", ()))
        if "Date" in classes:
            return (value * 86400e3).round().astype("datetime64[ms]").astype(EPOCH)
        if "POSIXct" in classes:
            return (value * 1e6).round().astype("datetime64[us]").astype(EPOCH)
        return value.astype("f8")
    missing = value == NA_INT
    if "levels" in attributes:
        levels = attributes["levels"]
        return np.array([None if m else levels[v - 1] for v, m in zip(value, missing)], dtype=object)
    if kind == INT:
        return np.where(missing, np.nan, value) if missing.any() else value.astype("i8")
    if missing.any():
        return np.array([None if m else bool(v) for v, m in zip(value, missing)], dtype=object)
    return value.astype(bool)


class Writer:
    """Writes one value as R would."""

    def __init__(self):
        self.parts = [MAGIC, struct.pack(ORDER + "3i", 2, 0x00040202, 0x00020300)]

    def int(self, *numbers):
        self.parts.append(struct.pack(ORDER + "%di" % len(numbers), *numbers))

    def text(self, text):
        if text is None:
            self.int(CHAR, -1)
            return
        data = str(text).encode("utf-8", "replace")
        self.int(CHAR | 0x8000, len(data))
        self.parts.append(data)

    def texts(self, texts, attributes=()):
        self.int(STR | (0x200 if attributes else 0), len(texts))
        for t in texts:
            self.text(t)
        self.attributes(attributes)

    def numbers(self, kind, array, attributes=()):
        code = {LGL: "i4", INT: "i4", REAL: "f8"}[kind]
        self.int(kind | (0x200 if attributes else 0) | (0x100 if "class" in dict(attributes) else 0), array.size)
        self.parts.append(array.astype(ORDER + code).tobytes())
        self.attributes(attributes)

    def attributes(self, attributes):
        for name, write in attributes:
            self.int(PAIRLIST | 0x400, SYM)
            self.text(name)
            write()
        if attributes:
            self.int(NIL)

    def list(self, values, attributes=()):
        self.int(LIST | (0x200 if attributes else 0) | (0x100 if "class" in dict(attributes) else 0), len(values))
        for v in values:
            self.value(v)
        self.attributes(attributes)

    def named(self, names, values):
        self.list(values, [("names", lambda: self.texts(names))])

    def frame(self, names, columns, rows):
        self.list(columns, [
            ("names", lambda: self.texts(names)),
            ("row.names", lambda: self.numbers(INT, np.array([NA_INT, -rows]))),
            ("class", lambda: self.texts(["data.frame"])),
        ])

    def value(self, v):
        if v is None:
            self.int(NIL)
        elif isinstance(v, dict):
            self.named([str(k) for k in v], list(v.values()))
        elif isinstance(v, pd.DataFrame):
            self.frame([str(c) for c in v.columns], [v.iloc[:, i] for i in range(v.shape[1])], len(v))
        elif isinstance(v, (pd.Series, pd.Index)):
            self.array(series(v))
        elif isinstance(v, np.ndarray):
            self.array(v)
        elif hasattr(v, "toarray"):
            self.array(v.toarray())
        elif isinstance(v, (list, tuple)):
            if all(isinstance(x, dict) for x in v) and v:
                self.value(pd.DataFrame(list(v)))
            elif all(x is None or np.isscalar(x) for x in v):
                self.array(series(pd.Series(list(v), dtype=None if v else float)))
            else:
                self.list(list(v))
        elif np.isscalar(v) or isinstance(v, np.generic):
            self.array(np.array([v]))
        elif hasattr(v, "__array__"):
            self.array(np.asarray(v))
        elif hasattr(v, "isoformat"):
            self.texts([v.isoformat()])
        else:
            raise TypeError("a prediction of the type %s" % type(v).__name__)

    def array(self, a):
        attributes = []
        if a.ndim == 0:
            a = a.reshape(1)
        if a.ndim > 1:
            shape = np.array(a.shape)
            attributes.append(("dim", lambda: self.numbers(INT, shape)))
            a = a.ravel(order="F")
        kind = a.dtype.kind
        if kind == "b":
            self.numbers(LGL, a, attributes)
        elif kind in "iu":
            fits = a.size == 0 or (a.min() > NA_INT and a.max() < 2**31)
            self.numbers(INT if fits else REAL, a, attributes)
        elif kind == "f":
            self.numbers(REAL, a, attributes)
        elif kind == "M":
            seconds = a.astype("datetime64[us]").astype("i8") / 1e6
            seconds[np.isnat(a)] = np.nan
            times = [("class", lambda: self.texts(["POSIXct", "POSIXt"])), ("tzone", lambda: self.texts(["UTC"]))]
            self.numbers(REAL, seconds, attributes + times)
        elif kind in "US":
            self.texts([t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in a.tolist()], attributes)
        elif kind == "O":
            values = [None if x is None or x is pd.NA or x is pd.NaT or x != x else x for x in a.tolist()] if plain(a) else a.tolist()
            if all(x is None or isinstance(x, str) for x in values):
                self.texts(values, attributes)
            elif all(x is None or isinstance(x, (bool, np.bool_)) for x in values):
                self.numbers(LGL, np.array([NA_INT if x is None else int(x) for x in values]), attributes)
            elif all(x is None or isinstance(x, (int, float, np.number)) for x in values):
                self.numbers(REAL, np.array([np.nan if x is None else float(x) for x in values]), attributes)
            else:
                self.list(values, attributes)
        else:
            raise TypeError("predictions of numpy's type %s" % a.dtype)


def plain(a):
    return all(x is None or np.isscalar(x) or x is pd.NA or x is pd.NaT for x in a.tolist())


def series(s):
    """A column of pandas as numpy's array; categories and numbers with missing values are taken by their values."""
    if isinstance(s.dtype, pd.CategoricalDtype):
        s = s.astype(object)
    if getattr(s.dtype, "tz", None) is not None:
        s = pd.Series(s).dt.tz_convert("UTC").dt.tz_localize(None)
    a = np.asarray(s)
    return a if a.dtype.kind in "biufMUSO" else np.asarray(s.astype(object))


def read(n):
    parts = []
    while n:
        part = os.read(3, min(n, 1 << 20))
        if not part:
            os._exit(0)  # the server is gone
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def read_frame():
    version, number, kind, _, size = struct.unpack(">5i", read(20))
    if version != PROTOCOL:
        print("frame of protocol version %d, this worker speaks %d" % (version, PROTOCOL), file=sys.stderr)
        os._exit(3)
    return number, kind, read(size)


def write_frame(number, kind, write):
    w = Writer()
    write(w)
    payload = b"".join(w.parts)
    data = memoryview(struct.pack(">5i", PROTOCOL, number, kind, 0, len(payload)) + payload)
    while data:
        data = data[os.write(4, data) :]


def write_error(number, error):
    trace = [line.rstrip()[:200] for line in traceback.format_tb(error.__traceback__)][-20:]
    text = str(error) or type(error).__name__
    write_frame(number, ERROR, lambda w: w.list(
        [np.array([text], dtype=object), np.array([type(error).__name__], dtype=object), np.array(trace, dtype=object)],
        [("names", lambda: w.texts(["message", "call", "trace"]))]))


def field(record, name):
    """A field of a named R list, as a list."""
    names = list(record.attributes.get("names", ()))
    value = record[names.index(name)] if name in names else None
    return [] if value is None else list(value)


def load(spec):
    """The model's predict function of the data and the params."""
    root, loader, data, code = (field(spec, f)[0] for f in ("file", "loader", "data", "code"))
    if code:
        sys.path.insert(0, os.path.join(root, code))
    module = importlib.import_module(loader)
    path = os.path.join(root, data) if data else root
    wants = inspect.signature(module._load_pyfunc).parameters
    model = module._load_pyfunc(path, None) if "model_config" in wants else module._load_pyfunc(path)
    predict = model.predict
    try:
        takes = inspect.signature(predict).parameters
        params = "params" in takes or any(p.kind is p.VAR_KEYWORD for p in takes.values())
    except (TypeError, ValueError):
        params = False
    types = dict(zip(field(spec, "names"), field(spec, "types")))
    tensor = field(spec, "tensor")[0]
    return lambda given, values: predict(arrange(given, types, tensor), **({"params": values} if params and values else {}))


NUMPY = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}


def arrange(given, types, tensor):
    """What the model predicts for: a data frame with the types of its signature, an array, or a dict of arrays."""
    if not isinstance(given, Vector):
        return given
    names = list(given.attributes["names"]) if "names" in given.attributes else []
    if "row.names" not in given.attributes:
        return dict(zip(names, given))
    frame = pd.DataFrame({i: c for i, c in enumerate(given)})
    frame.columns = names
    labels = given.attributes["row.names"]
    if labels.dtype.kind == "O":
        frame.index = labels
    elif not len(names):
        frame.index = range(abs(int(np.nan_to_num(labels)[-1])) if len(labels) else 0)
    if tensor:
        return frame.to_numpy()
    for name in names:
        kind = NUMPY.get(types.get(name))
        if kind and not (frame[name].isna().any() and kind not in ("float32", "float64")):
            frame[name] = frame[name].astype(kind)
    return frame


try:
    import numpy as np
    import pandas as pd
except ImportError as missing:
    print("Python at %s lacks what a model of Python needs: %s" % (sys.executable, missing), file=sys.stderr)
    os._exit(1)

write_frame(0, HELLO, lambda w: w.named(["protocol", "r_version"], [np.array([PROTOCOL]), None]))
number, kind, payload = read_frame()
if kind != LOAD:
    os._exit(3)
try:
    predict = load(Reader(payload).item())
except Exception as error:
    write_error(number, error)
    os._exit(0)
write_frame(number, READY, lambda w: w.named(["join"], ["none"]))
while True:
    number, kind, payload = read_frame()
    if kind != PREDICT:
        os._exit(3)
    try:
        request = Reader(payload).item()
        data, params = request
        values = {}
        for name, value in zip(params.attributes.get("names", ()), params):
            values[name] = value.tolist()[0] if len(value) == 1 else value.tolist()
        answer = predict(data, values)
        write_frame(number, RESULT, lambda w: w.value(answer))
    except Exception as error:
        write_error(number, error)
