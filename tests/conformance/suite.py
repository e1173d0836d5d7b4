"""What the conformance tests of writes do, whichever clients are there."""
import json

from tests.conformance import engines, kinds, lives, values
from tests.support import tarn


class Lake:
    """One server, its catalog, and a client of each kind for it (made when first wanted)."""

    def __init__(self, server):
        self.server = server
        self.catalog = engines.Catalog.of(server)
        self.tarn = engines.Tarn(server)
        self.clients = {"tarn": self.tarn}

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = engines.ENGINES[name](self.catalog)
        return self.clients[name]

    def metadata(self, table):
        answer = self.server.get(f"/iceberg/v1/namespaces/{engines.NAMESPACE}/tables/{table}")
        assert answer.status_code == 200, answer.text
        return answer.json()["metadata"]

    def snapshot(self, table):
        return self.metadata(table).get("current-snapshot-id")

    def has_route(self, method, path):
        return method in self.server.get("/openapi.json").json()["paths"].get(path, {})


def doctor(lake):
    """The strict validator finds nothing that is wrong in any table."""
    done = tarn.run("--json", "doctor", "--deep", "--lake", lake.server.lake, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found, done.stderr
    wrong = [f"{item['check']}: {item['finding']}" for item in found if item["level"] == "error"]
    assert not wrong, "\n".join(wrong)


# ClickHouse has no NULL list, map or struct: it reads an empty one.
HOLLOW = {"clickhouse"}


def all_read(lake, readers, table, columns, want, snapshot=None):
    """Every reader has these rows; all that differ are named."""
    wrong = []
    for name in readers:
        got, held = lake.client(name).rows(table, columns, snapshot), want
        if name in HOLLOW:
            held = sorted(([values.hollow(kind, value) for (_, kind), value in zip(columns, row)] for row in want),
                          key=values.order)
        if got != held:
            wrong.append(f"{name}: has {[row for row in got if row not in held]} and lacks "
                         f"{[row for row in held if row not in got]}")
    assert not wrong, f"{table}, snapshot {snapshot}: " + "\n".join(wrong)


# DuckDB marks INT32 columns as such in Parquet, and Spark's vectorised reader
# then fails on a column that became a long. With that reader off it is right.
WIDENED_BY_DUCKDB = {"duckdb"}


def prepare_readers(lake, writer, readers, table):
    if writer in WIDENED_BY_DUCKDB and "spark" in readers:
        spark = lake.client("spark")
        spark.sql(f"ALTER TABLE {spark.table(table)} SET TBLPROPERTIES ('read.parquet.vectorization.enabled' = 'false')")


def live(lake, writer, readers):
    """One client leads a table through its life; Tarn looks after every step, the
    others in the end, and at the past as it was."""
    table, client, expected = f"life_{writer}", lake.client(writer), lives.expected()
    past = {}
    for step in lives.STEPS:
        lives.step(client, table, step)
        columns, want = expected[step]
        all_read(lake, ["tarn", writer], table, columns, want)
        past[step] = lake.snapshot(table)
    prepare_readers(lake, writer, readers, table)
    columns, want = expected["append again"]
    all_read(lake, readers, table, columns, want)
    for step in ("append", "delete"):
        then = [[row[0], row[3]] for row in expected[step][1]]
        all_read(lake, readers, table, lives.STILL, then, past[step])
    return table, columns, want


def divide(lake, writer, readers):
    """A table partitioned after its first rows, so that two specs are in use, with
    deletes in both. Tarn reads it, and refuses to write it."""
    table, client, expected = f"divided_{writer}", lake.client(writer), lives.expected()
    for step in ("create", "append", "divide", "delete", "upsert"):
        lives.step(client, table, step)
    columns, want = expected["upsert"]
    all_read(lake, ["tarn", *readers], table, columns, want)
    answer = lake.server.request("PUT", f"/datasets/{table}/rows", params={"key": "id"}, json=[{"id": 1}])
    assert answer.status_code == 422 and "partitioned" in answer.json()["detail"], answer.text
    all_read(lake, ["tarn", *readers], table, columns, want)


TARN_ROWS = [{"id": 1, "title": "ada2", "n": 11, "amount": "1.75", "day": "2024-01-31", "note": "by tarn"},
             {"id": 8, "title": "hal", "n": -8, "amount": None, "day": None, "note": None}]


def upsert_by_tarn(lake, table, columns, want):
    """Tarn's own change to a foreign table; the rows that are there then."""
    key = {"key": "id"} if not lake.server.get(f"/catalog/datasets/{table}").json().get("key") else {}
    answer = lake.server.request("PUT", f"/datasets/{table}/rows", params=key, json=TARN_ROWS)
    assert answer.status_code == 200, answer.text
    rows = {row[0]: row for row in want}
    for row in values.normal_rows(columns, TARN_ROWS):
        rows[row[0]] = row
    return sorted(rows.values(), key=values.order)


def change_by_tarn(lake, readers, table, columns, want):
    """Tarn upserts into a foreign table and compacts it; everybody has the rows."""
    want = upsert_by_tarn(lake, table, columns, want)
    all_read(lake, ["tarn", *readers], table, columns, want)
    compact(lake, table)
    all_read(lake, ["tarn", *readers], table, columns, want)


def compact(lake, table):
    answer = lake.server.post(f"/datasets/{table}/compact")
    assert answer.status_code == 200, answer.text


# Spark refuses a table with a column of times of day, which it has no type for;
# ClickHouse 26.9 reads them as whole seconds.
WITHOUT_TIME = {"spark", "clickhouse"}
TIMELESS = [place for place, (name, _) in enumerate(kinds.COLUMNS) if name != "clock"]


def read_kinds(lake, readers):
    """Two tables by PyIceberg: of all types, and of those that Spark knows too."""
    client = lake.client("pyiceberg")
    want = kinds.write(client, "kinds", kinds.COLUMNS, kinds.ROWS)
    all_read(lake, ["tarn", *(name for name in readers if name not in WITHOUT_TIME)], "kinds", kinds.COLUMNS, want)
    columns = [kinds.COLUMNS[place] for place in TIMELESS]
    want = kinds.write(client, "kinds_timeless", columns, [[row[place] for place in TIMELESS] for row in kinds.ROWS])
    all_read(lake, ["tarn", *readers], "kinds_timeless", columns, want)
    return columns, want


def copy_kinds(lake, writer, readers):
    """The same rows through a client's own CREATE TABLE AS SELECT."""
    columns = [kinds.COLUMNS[place] for place in TIMELESS]
    want = values.normal_rows(columns, [[row[place] for place in TIMELESS] for row in kinds.ROWS])
    client, table = lake.client(writer), f"kinds_by_{writer}"
    place = {"spark": "USING iceberg ", "trino": f"WITH (location = 'file://{client.tables / table}') "}.get(writer, "")
    client.sql(f"CREATE TABLE {client.table(table)} {place}"
               f"AS SELECT * FROM {client.table('kinds_timeless')}")
    all_read(lake, ["tarn", *readers], table, columns, want)


def read_spread(lake, writer, readers, transform):
    """All rows, and those that a condition on the partitioned column wants: a
    transform misread would leave out files that matter."""
    table = "spread_" + "".join(letter for letter in transform if letter.isalnum())
    want = kinds.write_spread(lake.client(writer), table, transform)
    all_read(lake, ["tarn", *readers], table, kinds.SPREAD, want)
    _, condition, holds = kinds.TRANSFORMS[transform]
    some = lake.tarn.sql(f"SELECT id FROM {table} WHERE {condition}").to_pylist()
    assert sorted(row["id"] for row in some) == sorted(row[0] for row in kinds.SPREAD_ROWS if holds(row)), condition
