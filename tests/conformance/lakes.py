"""What the conformance clients read: datasets whose right answers we know.

Each check compares a foreign client's answer with Tarn's own SQL and, where
the rows are made here, with the rows themselves.
"""
import datetime as dt
import decimal
import io

import pyarrow as pa
import pyarrow.parquet as pq

STAFFING = ["candidates", "clients", "job_orders", "placements", "timesheets", "call_log", "email_log"]

UTC = dt.timezone.utc
EVERY_TYPE = pa.table({
    "flag": pa.array([True, False, None], pa.bool_()),
    "small": pa.array([1, -2, None], pa.int32()),
    "big": pa.array([2**53 + 1, -(2**63), None], pa.int64()),
    "real": pa.array([0.5, -0.0, None], pa.float32()),
    "wide": pa.array([0.1, 1e300, None], pa.float64()),
    "money": pa.array([decimal.Decimal("12.34"), decimal.Decimal("-0.01"), None], pa.decimal128(12, 2)),
    "huge": pa.array([decimal.Decimal(10**37), decimal.Decimal(-1), None], pa.decimal128(38, 0)),
    "day": pa.array([dt.date(2024, 2, 29), dt.date(1969, 12, 31), None], pa.date32()),
    "clock": pa.array([dt.time(23, 59, 59, 999999), dt.time(0), None], pa.time64("us")),
    "moment": pa.array([dt.datetime(2024, 2, 29, 1, 2, 3, 4), dt.datetime(1900, 1, 1), None], pa.timestamp("us")),
    "instant": pa.array([dt.datetime(2024, 2, 29, 1, 2, 3, 4, UTC), dt.datetime(1970, 1, 1, tzinfo=UTC), None],
                        pa.timestamp("us", "UTC")),
    "words": pa.array(["grüße", "", None], pa.string()),
    "blob": pa.array([b"\x00\xff", b"", None], pa.binary()),
    "list": pa.array([[1, None, 3], [], None], pa.list_(pa.int64())),
    "nested": pa.array([{"a": 1, "b": "x"}, {"a": None, "b": ""}, None],
                       pa.struct([("a", pa.int64()), ("b", pa.string())])),
})


def parquet_bytes(table):
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def add_every_type(server):
    server.ingest("every_type", parquet_bytes(EVERY_TYPE), format="parquet")


def add_growing(server):
    """Three loads: a later file brings a column and widens another."""
    server.ingest("growing", "id,n\n1,10\n2,20\n", format="csv", types="n:int")
    server.ingest("growing", "id,n,note\n3,3000000000,new\n", format="csv")
    server.ingest("growing", "id,n\n4,40\n", format="csv")
    return [(1, 10, None), (2, 20, None), (3, 3000000000, "new"), (4, 40, None)]


def describe(server, name):
    answer = server.get(f"/catalog/datasets/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def number_columns(server, name):
    """Columns whose sum any engine can compare exactly."""
    return [column["name"] for column in describe(server, name)["schema"] if column["type"] in ("BIGINT", "INTEGER")]


def fingerprint(server, name):
    """Rows, and the exact sum of every integer column, by Tarn itself."""
    sums = number_columns(server, name)
    text = ", ".join(["count(*) AS n"] + [f'sum("{c}")::VARCHAR AS "{c}"' for c in sums])
    row = server.sql(f"SELECT {text} FROM {name}")[0]
    return {key: None if value is None else int(value) for key, value in row.items()}


