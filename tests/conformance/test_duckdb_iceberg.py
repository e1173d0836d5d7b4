"""DuckDB's own Iceberg extension attaches to Tarn's catalog."""
from pathlib import Path

import pytest

from tests.conformance import lakes

duckdb = pytest.importorskip("duckdb", reason="the client DuckDB is not installed here")
pytest.importorskip("duckdb_extension_iceberg", reason="DuckDB's Iceberg extension is not installed here")
pytestmark = pytest.mark.light


def load(connection, name):
    module = __import__(f"duckdb_extension_{name}")
    found = sorted(Path(module.__path__[0]).rglob(f"{name}.duckdb_extension"))
    connection.execute(f"LOAD '{found[0]}'")


def attach(server):
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    for name in ("avro", "httpfs", "iceberg"):
        load(connection, name)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE SECRET s (TYPE iceberg, TOKEN '{server.token}')")
    connection.execute(f"ATTACH 'tarn' AS ice (TYPE iceberg, ENDPOINT '{server.url}/iceberg', SECRET s)")
    return connection


@pytest.fixture(scope="module")
def connection(staffing):
    return attach(staffing)


@pytest.mark.parametrize("name", lakes.STAFFING)
def test_rows_and_sums_agree(staffing, connection, name):
    expected = lakes.fingerprint(staffing, name)
    parts = ["count(*)"] + [f'sum("{c}")' for c in expected if c != "n"]
    row = connection.execute(f'SELECT {", ".join(parts)} FROM ice."default".{name}').fetchone()
    assert [int(value) for value in row] == list(expected.values())


def test_every_type(server):
    lakes.add_every_type(server)
    rows = attach(server).execute("SELECT * EXCLUDE (instant), epoch_us(instant) AS instant FROM ice.\"default\".every_type")
    names = [column[0] for column in rows.description]
    read = [dict(zip(names, row)) for row in rows.fetchall()]
    for field in lakes.EVERY_TYPE.schema:
        if field.name != "instant":
            assert [row[field.name] for row in read] == lakes.EVERY_TYPE[field.name].to_pylist(), field.name
    assert read[1]["instant"] == 0


def test_columns_that_came_later_and_versions(server):
    expected = lakes.add_growing(server)
    connection = attach(server)
    assert connection.execute('SELECT id, n, note FROM ice."default".growing ORDER BY id').fetchall() == expected
    first = server.get("/catalog/datasets/growing/snapshots").json()["items"][-1]["snapshot_id"]
    count = connection.execute(f'SELECT count(*) FROM ice."default".growing AT (VERSION => {first})').fetchone()
    assert count == (2,)
