"""Tags made here are read by PyIceberg, and its tags and branches are moments here."""
from urllib.parse import quote

import pytest

from tests.support import tarn

pytestmark = pytest.mark.light


def load(server):
    from pyiceberg.catalog import load_catalog
    return load_catalog("tarn", type="rest", uri=server.url + "/iceberg", token=server.token).load_table("default.people")


def theirs(server, name):
    return sorted(load(server).scan().use_ref(name).to_arrow().to_pylist(), key=lambda row: row["id"])


def ours(server, name):
    return server.sql("select * from people order by id", as_of=name)


def put(server, *rows):
    assert server.request("PUT", "/datasets/people/rows", json=list(rows)).status_code == 200


@pytest.fixture
def people(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", "id,name\n1,Ann\n2,Bob\n", key="id")
        yield server


def test_ours_is_theirs(people):
    for name in ("q3", "it's \"ü\" 日本"):
        made = people.request("PUT", "/datasets/people/tags/" + quote(name, safe=""))
        assert made.status_code == 200, made.text
        put(people, {"id": 1, "name": f"after {name}"})
    for name, first in (("q3", "Ann"), ("it's \"ü\" 日本", "after q3")):
        want = [{"id": 1, "name": first}, {"id": 2, "name": "Bob"}]
        assert theirs(people, name) == ours(people, name) == want
    assert set(load(people).refs()) == {"main", "q3", "it's \"ü\" 日本"}


def test_theirs_is_ours(people):
    table = load(people)
    first = table.current_snapshot().snapshot_id
    put(people, {"id": 1, "name": "Anna"})
    table.refresh()
    table.manage_snapshots().create_tag(first, "start").create_branch(first, "side").commit()
    people.ingest("people", "id,name,city\n3,Cy,Ulm\n")
    want = [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]
    assert theirs(people, "start") == ours(people, "start") == want
    assert ours(people, "side") == [{**row, "city": None} for row in want]
    load(people).manage_snapshots().remove_tag("start").commit()
    assert people.post("/query/sql", json={"sql": "select * from people", "as_of": "start"}).status_code == 404
    made = people.request("PUT", "/datasets/people/tags/start", json={"as_of": "side"})
    assert int(made.json()["snapshot_id"]) == first and theirs(people, "start") == want
