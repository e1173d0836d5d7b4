"""Spark and Trino read what Tarn wrote, through the catalog."""
import pytest

from tests.conformance import engines, lakes, suite, values

pytestmark = pytest.mark.heavy
CLIENTS = ["spark", "trino"]
KINDS = {"flag": "boolean", "small": "int", "big": "long", "real": "float", "wide": "double", "money": "decimal(12,2)",
         "huge": "decimal(38,0)", "day": "date", "moment": "timestamp", "instant": "timestamptz", "words": "string",
         "blob": "binary", "list": ("list", "long"), "nested": ("struct", {"a": "long", "b": "string"})}


def client(lake, name):
    try:
        return lake.client(name)
    except (engines.Missing, ImportError) as reason:
        pytest.skip(f"the client {name} is not installed here: {reason}")


@pytest.fixture(scope="module")
def workload(staffing):
    return suite.Lake(staffing)


@pytest.mark.parametrize("reader", CLIENTS)
def test_staffing(workload, reader):
    engine = client(workload, reader)
    for name in lakes.STAFFING:
        expected = lakes.fingerprint(workload.server, name)
        parts = ["count(*)"] + [f"sum({engine.named(column)})" for column in expected if column != "n"]
        row = engine.sql(f"SELECT {', '.join(parts)} FROM {engine.table(name)}")[0]
        assert [int(value) for value in row] == list(expected.values()), name


@pytest.mark.parametrize("reader", CLIENTS)
def test_every_type(server, reader):
    table = lakes.EVERY_TYPE.drop_columns(["clock"])  # Spark has no time of day
    server.ingest("every_type", lakes.parquet_bytes(table), format="parquet")
    columns = list(KINDS.items())
    want = values.normal_rows(columns, table.to_pylist())
    assert client(suite.Lake(server), reader).rows("every_type", columns) == want


@pytest.mark.parametrize("reader", CLIENTS)
def test_columns_that_came_later(server, reader):
    expected = lakes.add_growing(server)
    columns = [("id", "long"), ("n", "long"), ("note", "string")]
    lake = suite.Lake(server)
    engine = client(lake, reader)
    suite.prepare_readers(lake, "duckdb", [reader], "growing")  # Tarn's files are written by the same engine
    assert engine.rows("growing", columns) == values.normal_rows(columns, expected)
    first = server.get("/catalog/datasets/growing/snapshots").json()["items"][-1]["snapshot_id"]
    assert len(engine.rows("growing", [("id", "long")], first)) == 2
