"""ClickHouse reads what Tarn wrote: by path and through the REST catalog."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance import lakes

pytest.importorskip("chdb", reason="the client ClickHouse (chdb) is not installed here")
pytestmark = pytest.mark.heavy

RUN = Path(__file__).with_name("clickhouse_run.py")
SETTINGS = "SETTINGS output_format_json_quote_64bit_integers = 1, output_format_json_quote_decimals = 1"


def clickhouse(server, *statements):
    done = subprocess.run([sys.executable, str(RUN)], input=json.dumps(statements), cwd=server.lake.parent,
                          capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def attach(server):
    return [
        "SET allow_experimental_database_iceberg = 1",
        f"CREATE DATABASE ice ENGINE = DataLakeCatalog('{server.url}/iceberg/v1') SETTINGS catalog_type = 'rest', "
        f"warehouse = 'tarn', vended_credentials = 0, auth_header = 'Authorization: Bearer {server.token}'",
    ]


def by_path(server, name):
    folder = lakes.describe(server, name)["location"].removeprefix("file://")
    return f"icebergLocal('{folder}')"


def fingerprint_sql(expected, source):
    parts = ["count() AS n"] + [f'sum("{c}") AS "{c}"' for c in expected if c != "n"]
    return f"SELECT {', '.join(parts)} FROM {source} {SETTINGS}"


@pytest.mark.parametrize("name", lakes.STAFFING)
def test_staffing_by_path(staffing, name):
    expected = lakes.fingerprint(staffing, name)
    row = clickhouse(staffing, fingerprint_sql(expected, by_path(staffing, name)))[0]
    assert {key: int(value) for key, value in row.items()} == expected


@pytest.mark.parametrize("name", lakes.STAFFING)
def test_staffing_through_the_catalog(staffing, name):
    expected = lakes.fingerprint(staffing, name)
    row = clickhouse(staffing, *attach(staffing), fingerprint_sql(expected, f"ice.`default.{name}`"))[0]
    assert {key: int(value) for key, value in row.items()} == expected


def test_every_type(server):
    lakes.add_every_type(server)
    rows = clickhouse(server, f"SELECT * EXCEPT (blob, nested), hex(blob) AS blob FROM {by_path(server, 'every_type')} {SETTINGS}")
    first, second, third = rows
    assert first["flag"] is True and first["small"] == 1 and first["big"] == str(2**53 + 1)
    assert (first["real"], first["wide"], first["money"]) == (0.5, 0.1, "12.34")
    assert first["huge"] == str(10**37) and first["day"] == "2024-02-29" and first["words"] == "grüße"
    assert first["moment"] == "2024-02-29 01:02:03.000004" and first["instant"] == "2024-02-29 01:02:03.000004"
    assert first["blob"] == "00FF" and first["list"] == ["1", None, "3"]
    assert second["big"] == str(-(2**63)) and second["day"] == "1969-12-31" and second["list"] == []
    assert all(third[name] is None for name in ("flag", "small", "big", "money", "day", "moment", "words"))


def test_columns_that_came_later(server):
    expected = lakes.add_growing(server)
    rows = clickhouse(server, f"SELECT id, n, note FROM {by_path(server, 'growing')} ORDER BY id {SETTINGS}")
    assert [(int(r["id"]), int(r["n"]), r["note"]) for r in rows] == expected


def test_bare_count_uses_totals_that_are_right(server):
    lakes.add_growing(server)
    assert clickhouse(server, f"SELECT count() AS n FROM {by_path(server, 'growing')} {SETTINGS}") == [{"n": "4"}]
