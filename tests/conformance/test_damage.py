"""Four rules that clients turn into damage when a catalog breaks them.

1. Paths come back byte for byte. A client that finds another manifest list in
   the answer than it wrote believes that its own is garbage, and deletes it.
2. Clients go by the code in the body of an error, not by the HTTP status.
3. What was refused was not applied: after a 4xx clients delete their files.
4. A conflict is 409 as often as it is asked, costs nothing, and ends.
"""
import copy
import json
import random
from pathlib import Path

import pytest

pytest.importorskip("pyiceberg", reason="the client pyiceberg is not installed here")
from tests.conformance import engines, lives, suite, values  # noqa: E402
from tests.support import tarn  # noqa: E402

pytestmark = pytest.mark.light
TABLES = f"/iceberg/v1/namespaces/{engines.NAMESPACE}/tables"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with tarn.Server(tmp_path_factory.mktemp("damage") / "lake") as server:
        yield suite.Lake(server)


@pytest.fixture
def table(lake, request):
    """A table with two snapshots, by PyIceberg."""
    name = request.node.name.split("[")[0].removeprefix("test_")
    client = lake.client("pyiceberg")
    if not client.catalog.table_exists((engines.NAMESPACE, name)):
        lives.step(client, name, "create")
        client.load(name).append(lives.arrow(lives.FIRST, lives.BEFORE))
        client.load(name).append(lives.arrow(lives.CHANGED[1:], lives.BEFORE))
    yield name
    suite.doctor(lake)


def next_snapshot(metadata, **changes):
    """A snapshot with the content of the newest one, as a client would send it."""
    newest = next(s for s in metadata["snapshots"] if s["snapshot-id"] == metadata["current-snapshot-id"])
    made = copy.deepcopy(newest)
    made |= {"snapshot-id": random.getrandbits(62), "parent-snapshot-id": newest["snapshot-id"],
             "sequence-number": metadata["last-sequence-number"] + 1,
             "timestamp-ms": max(metadata["last-updated-ms"], newest["timestamp-ms"]) + 1}
    totals = {key: value for key, value in newest["summary"].items() if key.startswith("total-")}
    made["summary"] = {"operation": "append", **totals}
    return made | changes


def commit(lake, name, metadata, snapshot, *more, requirements=None):
    held = {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": metadata["current-snapshot-id"]}
    body = {"identifier": {"namespace": [engines.NAMESPACE], "name": name},
            "requirements": [{"type": "assert-table-uuid", "uuid": metadata["table-uuid"]},
                             *([held] if requirements is None else requirements)],
            "updates": [{"action": "add-snapshot", "snapshot": snapshot},
                        {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
                         "snapshot-id": snapshot["snapshot-id"]}, *more]}
    return lake.server.post(f"{TABLES}/{name}", json=body)


def error(answer):
    """The body's error; its code is the status, whatever it is."""
    told = answer.json()["error"]
    assert told["code"] == answer.status_code and told["type"] and told["message"], answer.text
    return told


def files(lake, name):
    folder = Path("/" + lake.metadata(name)["location"].split(":", 1)[1].lstrip("/"))
    return sorted(str(path) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("scheme", ["file:/", "file:///"])
def test_paths_come_back_byte_for_byte(lake, table, scheme):
    metadata = lake.metadata(table)
    snapshot = next_snapshot(metadata)
    path = scheme + snapshot["manifest-list"].split(":", 1)[1].lstrip("/")
    answer = commit(lake, table, metadata, snapshot | {"manifest-list": path})
    assert answer.status_code == 200, answer.text
    quoted = json.dumps(path)
    assert quoted in answer.text, "the commit's answer"
    loaded = lake.server.get(f"{TABLES}/{table}")
    assert quoted in loaded.text, "the table as loaded"
    location = answer.json()["metadata-location"]
    with open("/" + location.split(":", 1)[1].lstrip("/"), encoding="utf-8") as file:
        assert quoted in file.read(), "the metadata file"
    want = values.normal_rows(lives.BEFORE, [*lives.FIRST, lives.CHANGED[1]])
    suite.all_read(lake, ["tarn", "pyiceberg"], table, lives.BEFORE, want)


def test_codes_stand_in_the_body(lake, table):
    server, metadata = lake.server, lake.metadata(table)
    missing = f"{TABLES}/nobody"
    for answer, status, kind in [
        (server.get(missing), 404, "NoSuchTableException"),
        (server.get("/iceberg/v1/namespaces/nowhere"), 404, "NoSuchNamespaceException"),
        (server.get("/iceberg/v1/namespaces/nowhere/tables"), 404, "NoSuchNamespaceException"),
        (server.delete(missing), 404, "NoSuchTableException"),
        (server.post(missing, json={"requirements": [], "updates": []}), 404, "NoSuchTableException"),
        (server.post(TABLES, json={"name": table, "schema": metadata["schemas"][0]}), 409, "AlreadyExistsException"),
        (server.post("/iceberg/v1/namespaces", json={"namespace": [engines.NAMESPACE]}), 409, "AlreadyExistsException"),
        (commit(lake, table, metadata | {"table-uuid": "00000000-0000-0000-0000-000000000000"},
                next_snapshot(metadata)), 409, "CommitFailedException"),
        (server.post(f"{TABLES}/{table}", json={"requirements": [], "updates": [{"action": "dance"}]}), 400, None),
        (server.post(f"{TABLES}/{table}", json={"requirements": [{"type": "assert-luck"}], "updates": []}), 400, None),
        (server.post(f"{TABLES}/{table}", data=b"{", headers={"Content-Type": "application/json"}), 400, None),
    ]:
        told = error(answer)
        assert told["code"] == status, answer.text
        assert kind is None or told["type"] == kind, answer.text
    bare = server.session.request("GET", f"{server.url}{TABLES}", headers={"Authorization": "Bearer nonsense"})
    assert error(bare)["code"] == 401


def test_what_is_refused_is_not_applied(lake, table):
    before, metadata = lake.server.get(f"{TABLES}/{table}").json(), lake.metadata(table)
    good = next_snapshot(metadata)
    bad_ref = {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 12345}
    old = next_snapshot(metadata, **{"sequence-number": metadata["last-sequence-number"]})
    refused = [
        commit(lake, table, metadata, good, {"action": "dance"}),
        commit(lake, table, metadata, good, bad_ref),
        commit(lake, table, metadata, good, {"action": "set-current-schema", "schema-id": 77}),
        commit(lake, table, metadata, good, {"action": "set-default-spec", "spec-id": 77}),
        commit(lake, table, metadata, good, {"action": "upgrade-format-version", "format-version": 1}),
        commit(lake, table, metadata, old),
        commit(lake, table, metadata, good, requirements=[{"type": "assert-current-schema-id", "current-schema-id": 77}]),
        commit(lake, table, metadata, good,
               requirements=[{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": None}]),
    ]
    for answer in refused:
        assert error(answer)["code"] in (400, 409), answer.text
        now = lake.server.get(f"{TABLES}/{table}").json()
        assert now == before, answer.text
    assert commit(lake, table, metadata, good).status_code == 200
    # The same again, as a client does that did not hear the answer.
    assert error(commit(lake, table, metadata, good))["type"] == "CommitFailedException"


def test_two_tables_or_none(lake, table):
    client = lake.client("pyiceberg")
    lives.step(client, "second", "create")
    lives.step(client, "second", "append")
    metadata, other = lake.metadata(table), lake.metadata("second")

    def change(name, held, uuid):
        snapshot = next_snapshot(held)
        return {"identifier": {"namespace": [engines.NAMESPACE], "name": name},
                "requirements": [{"type": "assert-table-uuid", "uuid": uuid}],
                "updates": [{"action": "add-snapshot", "snapshot": snapshot},
                            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
                             "snapshot-id": snapshot["snapshot-id"]}]}

    lost = lake.server.post("/iceberg/v1/transactions/commit", json={"table-changes": [
        change(table, metadata, metadata["table-uuid"]), change("second", other, metadata["table-uuid"])]})
    assert error(lost)["type"] == "CommitFailedException"
    assert (lake.metadata(table), lake.metadata("second")) == (metadata, other)
    won = lake.server.post("/iceberg/v1/transactions/commit", json={"table-changes": [
        change(table, metadata, metadata["table-uuid"]), change("second", other, other["table-uuid"])]})
    assert won.status_code in (200, 204), won.text
    assert lake.snapshot(table) != metadata["current-snapshot-id"]
    assert lake.snapshot("second") != other["current-snapshot-id"]


def test_a_lasting_conflict_costs_nothing_and_ends(lake, table):
    client, stale = lake.client("pyiceberg"), lake.metadata(table)
    slow = client.load(table)
    client.load(table).append(lives.arrow([(20, "quick", 1, None, None)], lives.BEFORE))
    before = files(lake, table)
    for _ in range(100):
        assert error(commit(lake, table, stale, next_snapshot(stale)))["type"] == "CommitFailedException"
    assert files(lake, table) == before, "a refused commit left something behind"
    slow.append(lives.arrow([(21, "slow", 2, None, None)], lives.BEFORE))  # it retries by itself
    ids = [row[0] for row in client.rows(table, [("id", "long")])]
    assert sorted(ids) == [1, 2, 3, 4, 5, 6, 20, 21]
