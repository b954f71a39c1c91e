"""Writes the files of this folder with pyarrow: the same rows in every format, encoding and codec that Weir reads.

    python make.py      # pyarrow 25 wrote what is committed
"""
import datetime as dt, decimal
import pyarrow as pa, pyarrow.parquet as pq, pyarrow.feather as feather

n = 40
def some(f): return [None if i % 7 == 3 else f(i) for i in range(n)]
utc = dt.timezone.utc
table = pa.table({
    "b": pa.array(some(lambda i: i % 3 == 0), pa.bool_()),
    "i8": pa.array(some(lambda i: i - 20), pa.int8()),
    "u16": pa.array(some(lambda i: 65535 - i), pa.uint16()),
    "i32": pa.array(some(lambda i: i * 1000 - 7), pa.int32()),
    "u32": pa.array(some(lambda i: 4294967295 - i), pa.uint32()),
    "i64": pa.array(some(lambda i: (1 << 53) + 2 * i), pa.int64()),
    "f32": pa.array(some(lambda i: i / 4), pa.float32()),
    "f64": pa.array([i / 3 for i in range(n)], pa.float64()),
    "dec": pa.array(some(lambda i: decimal.Decimal(i - 20) / 4), pa.decimal128(9, 2)),
    "s": pa.array(some(lambda i: f"text {i} ä"), pa.string()),
    "fct": pa.DictionaryArray.from_arrays(pa.array([None if i % 7 == 3 else i % 3 for i in range(n)], pa.int8()), ["low", "mid", "high"]),
    "d": pa.array(some(lambda i: dt.date(1969, 12, 20) + dt.timedelta(days=i)), pa.date32()),
    "t": pa.array(some(lambda i: dt.datetime(2026, 1, 31, 12, 0, i, 250000, utc)), pa.timestamp("us", "UTC")),
    "none": pa.nulls(n),
})
for name, options in {
    "plain": dict(use_dictionary=False, compression="none"),
    "snappy": dict(compression="snappy", row_group_size=16),
    "gzip": dict(compression="gzip", data_page_version="2.0"),
    "zstd": dict(compression="zstd", data_page_version="2.0", data_page_size=64, write_batch_size=4),
    "lz4": dict(compression="lz4", version="1.0", use_deprecated_int96_timestamps=True),
    "delta": dict(compression="none", use_dictionary=False, column_encoding={
        "i8": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "t": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY",
        "f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT", "b": "RLE"}, data_page_version="2.0"),
    "lengths": dict(compression="none", use_dictionary=False, column_encoding={"s": "DELTA_LENGTH_BYTE_ARRAY", "i32": "DELTA_BINARY_PACKED"}),
}.items():
    pq.write_table(table, name + ".parquet", **options)
with pa.ipc.new_stream("batches.arrows", table.schema) as out:
    for part in table.to_batches(max_chunksize=16):
        out.write_batch(part)
for codec in ("uncompressed", "lz4", "zstd"):
    feather.write_feather(table, codec + ".arrow", compression=codec, chunksize=16)
nested = pa.table({"x": [1.0, 2.0], "tags": [["a"], ["b", "c"]], "at": [{"lat": 1}, {"lat": 2}]})
pq.write_table(nested, "nested.parquet")
feather.write_feather(nested, "nested.arrow", compression="uncompressed")
