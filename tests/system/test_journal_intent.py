"""What is no commit of rows is announced before and noted after: a crash between loses no note."""
import json

import pytest

from tests.support import faults
from tests.support.tarn import Server

CSV = "id,name\n1,Ann\n2,Bob\n"


def notes(server):
    return server.query("SELECT operation, field, old_value, new_value, reason FROM journal "
                        "WHERE operation IN ('drop', 'describe', 'rename') ORDER BY ts, field")["rows"]


def folder(lake):
    return [path for path in (lake / "buckets" / "primary" / "journal" / "intended").rglob("*.parquet")]


def crash(lake, point, method, path, announced=True, **options):
    """Dies at the point; what the next server finds."""
    with Server(lake) as server:
        server.ingest("t", CSV, key="id")
    server = Server(lake, env={"TARN_FAULT": point})
    faults.gone(server.request, method, path, **options)
    server.kill()
    assert not announced or folder(lake), "nothing was announced"
    return Server(lake)


@pytest.mark.parametrize("point", ["catalog.dropped", "journal.note_put"])
def test_a_drop(tmp_path, point):
    lake = tmp_path / "lake"
    with crash(lake, point, "DELETE", "/catalog/datasets/t", params={"reason": "old"}) as server:
        assert server.get("/catalog/datasets/t").status_code == 404
        assert notes(server) == [["drop", None, None, None, "old"]]
        assert not folder(lake)
    with Server(lake) as server:
        assert notes(server) == [["drop", None, None, None, "old"]]


@pytest.mark.parametrize("point", ["catalog.described", "journal.note_put"])
def test_a_description(tmp_path, point):
    lake = tmp_path / "lake"
    body = {"description": "people", "owner": "ann", "reason": "tidy"}
    with crash(lake, point, "PATCH", "/catalog/datasets/t", json=body) as server:
        assert server.get("/catalog/datasets/t").json()["description"] == "people"
        want = [["describe", "description", "null", '"people"', "tidy"], ["describe", "owner", "null", '"ann"', "tidy"]]
        assert notes(server) == want
        assert not folder(lake)
        assert server.request("PATCH", "/catalog/datasets/t", json={"description": "people"}).status_code == 200
        assert notes(server) == want and not folder(lake)


@pytest.mark.parametrize("point", ["commit.before_pointer", "commit.after_pointer"])
def test_another_key(tmp_path, point):
    """A commit of its own, with its event in it."""
    lake, body = tmp_path / "lake", {"key": ["name"], "reason": "names are unique"}
    with crash(lake, point, "PATCH", "/catalog/datasets/t", announced=False, json=body) as server:
        want = [["schema", {"old_key": ["id"], "key": ["name"]}, "names are unique"]]

        def told():
            events = server.sql("SELECT operation, new_value, reason FROM journal WHERE operation = 'schema'")
            return [[event["operation"], json.loads(event["new_value"]), event["reason"]] for event in events]

        key = server.get("/catalog/datasets/t").json()["key"]
        assert key == (["id"] if point == "commit.before_pointer" else ["name"])
        assert told() == want[:key == ["name"]]
        assert server.request("PATCH", "/catalog/datasets/t", json=body).status_code == 200
        assert told() == want
        answer = server.request("PUT", "/datasets/t/rows", json=[{"id": 3, "name": "Ann"}])
        assert answer.status_code == 200 and answer.json()["updated"] == 1, answer.text


@pytest.mark.parametrize("point", ["catalog.renamed", "journal.note_put"])
def test_a_rename(tmp_path, point):
    lake = tmp_path / "lake"
    names = [{"namespace": ["default"], "name": name} for name in ("t", "u")]
    body = dict(zip(("source", "destination"), names))
    with crash(lake, point, "POST", "/iceberg/v1/tables/rename", json=body) as server:
        assert server.get("/catalog/datasets/u").status_code == 200
        [[operation, _, before, after, _]] = notes(server)
        assert operation == "rename" and [json.loads(value)["name"] for value in (before, after)] == ["t", "u"]
        assert not folder(lake)


def test_what_was_not_done_is_not_noted(tmp_path):
    """Announced, and then the process died before the change: at the commit's first step."""
    lake = tmp_path / "lake"
    with crash(lake, "commit.before_pointer", "PATCH", "/catalog/datasets/t", json={"description": "people"}) as server:
        assert server.get("/catalog/datasets/t").json().get("description") is None
        assert notes(server) == [] and not folder(lake)
        assert server.request("PATCH", "/catalog/datasets/t", json={"nonsense": 1}).status_code == 400
        assert notes(server) == [] and not folder(lake)
        assert server.request("PATCH", "/catalog/datasets/t", json={"description": "people"}).status_code == 200
        assert notes(server) == [["describe", "description", "null", '"people"', None]] and not folder(lake)
