"""Every moment answers exactly, also when its snapshot was thinned: random histories
against a model, by AT, as_of, changes() and restore, over HTTP and from the command line."""
import os
import random

import pytest

from tests.support import tarn
from tests.support.history import FLAGS, History, as_bag, changed, told_changes

@pytest.mark.parametrize("key", [True, False], ids=["key", "no key"])
def test_random_histories(lake, key):
    seed = int(os.environ.get("TARN_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"TARN_TEST_SEED={seed}")
    chance = random.Random(seed)
    with tarn.Server(lake, *FLAGS) as server:
        history = History(server, chance, key)
        while len(history.order) < 90:
            history.step()
        gone = history.thinned()
        for snapshot in chance.sample(gone, min(len(gone), 36)):  # more than are remembered at a time
            assert history.at(as_of=snapshot) == history.states[snapshot], snapshot
        for moment, snapshot in chance.sample(sorted(history.times.items()), 20):
            assert history.at(as_of=moment) == history.states[snapshot], moment
        some = chance.sample(gone, 2) + chance.sample(history.order, 2)
        for start in some:
            for end in some:
                assert told_changes(history, start, end) == changed(history, start, end), (start, end)
        one = chance.choice(gone)
        both = server.query(f"select count(*) from t at (version => {one})", memory_bytes=64 << 20)
        assert both["rows"] == [[len(history.states[one])]]
        for snapshot in chance.sample(gone, 3):
            answer = server.post("/datasets/t/restore", json={"as_of": snapshot}).json()
            assert answer["status"] == "restored", answer
            assert answer["rows"] == len(history.states[snapshot])
            assert as_bag(history.at(), history.columns) == as_bag(history.states[snapshot], history.columns)
            history.look()
        moment = chance.choice([m for m, s in sorted(history.times.items()) if s in gone])
        done = server.cli("--lake", lake, "restore", "t", "--as-of", moment, "--reason", "by hand")
        assert done.returncode == 0, done.stderr
        assert as_bag(history.at(), history.columns) == as_bag(history.states[history.times[moment]], history.columns)
        found = server.cli("--lake", lake, "doctor", "--deep")  # what thinning left is not swept yet
        assert "0 errors" in found.stderr or "All is well" in found.stderr, found.stdout


def test_moments_that_are_expired_are_refused_and_say_so(server):
    server.ingest("t", "id,name\n1,a\n", key="id")
    first = server.query("select 1 from t")["snapshots"]["t"]
    server.ingest("t", "id,name\n2,b\n")
    moment = server.get("/catalog/datasets/t/snapshots").json()["items"][0]["committed_at"]
    old = server.get("/catalog/datasets/t/snapshots").json()["items"][1]["committed_at"]
    for n in range(3):
        server.request("PUT", "/datasets/t/rows", json=[{"id": 1, "name": f"v{n}"}])
    middle = server.get("/catalog/datasets/t/snapshots").json()["items"][1]["snapshot_id"]
    assert server.post("/datasets/t/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 1}).status_code == 200
    for as_of in (first, old, moment, middle):
        for answer in (server.post("/query/sql", json={"sql": "select * from t", "as_of": as_of}),
                       server.post("/datasets/t/restore", json={"as_of": as_of})):
            assert answer.status_code == 404 and answer.json()["code"] == "snapshot_not_found"
            assert "not kept any more" in answer.json()["detail"], answer.text
            assert "oldest state" in answer.json()["hint"]
    never = server.post("/query/sql", json={"sql": "select * from t", "as_of": "2001-01-01T00:00:00Z"}).json()
    assert "did not exist yet" in never["detail"] or "not kept" in never["detail"]


def test_memory_of_ones_own_sees_the_journal(server):
    server.ingest("t", "id,name\n1,a\n", key="id")
    server.request("PUT", "/datasets/t/rows", json=[{"id": 1, "name": "b"}])
    sql = "select operation, new_value from journal order by ts, ordinal"
    assert server.query(sql, memory_bytes=64 << 20)["rows"] == server.query(sql)["rows"]
    joined = server.query("select j.old_value from journal j join t on j.entity = t.id::varchar where j.field = 'name'",
                          memory_bytes=64 << 20)
    assert joined["rows"] == [['"a"']]
