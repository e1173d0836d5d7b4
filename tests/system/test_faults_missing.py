"""Files of a lake that are gone or cut: some of each kind in turn. An error that says
damage, or the right answer; never fewer rows, never "no such thing", and never
another moment than the one that was asked for.
"""
import re

import pytest

from tests.support.tarn import Server

ROWS = "SELECT count(*) AS c, sum(v) AS s FROM p"
JOURNAL = "SELECT count(*) AS c FROM journal WHERE entity IS NOT NULL"


def put(server, rows):
    answer = server.request("PUT", "/datasets/p/rows", params={"key": "id"}, json=rows)
    assert answer.status_code == 200, answer.text


def fill(server):
    """Data files, position deletes, batches of events, and events that were rolled."""
    put(server, [{"id": "made", "v": 0}])
    for value in (1, 2, 3):
        put(server, [{"id": f"{value}-{i}", "v": value} for i in range(20)] + [{"id": "made", "v": value}])
    done = server.post("/datasets/p/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 2})
    assert done.status_code == 200, done.text
    put(server, [{"id": "1-1", "v": 7}, {"id": "new", "v": 8}])
    put(server, [{"id": "2-1", "v": 9}])


def questions(server):
    """What is asked, and right: today, evidence, and each moment, also those that snapshots were expired of."""
    told = server.sql("SELECT DISTINCT ts, sequence FROM journal WHERE dataset = 'p' ORDER BY sequence")
    asked = [ROWS, JOURNAL, "SELECT v AS c, id AS s FROM p WHERE id = '1-1'"]
    asked += [f"SELECT count(*) AS c, sum(v) AS s FROM p AT (TIMESTAMP => TIMESTAMPTZ '{row['ts']}')" for row in told]
    right = {}
    for sql in asked:
        answer = server.post("/query/sql", json={"sql": sql})
        if answer.status_code == 200:
            right[sql] = answer.json()["rows"]
    assert len(right) > 4, right
    return right


def assert_right_or_damaged(server, right, path):
    refused = 0
    for sql, rows in right.items():
        answer = server.post("/query/sql", json={"sql": sql})
        if answer.status_code == 200:
            assert answer.json()["rows"] == rows, f"{path}: {sql}: {answer.text}, right is {rows}"
            continue
        told = answer.json()
        assert answer.status_code == 500 and told["code"] in ("corrupt", "io_error"), f"{path}: {sql}: {answer.text}"
        assert told["detail"] and told.get("hint"), (path, told)
        refused += 1
    return refused


def files_of(lake):
    """Not what is its own proof: without the newest pointer the state before it is the newest there is, and of a
    note of what is no commit (a compaction, an expiry) nothing else tells."""
    files = sorted(path for path in (lake / "buckets" / "primary").rglob("*") if path.is_file()
                   and path.parent.name != "commits" and path.parent.parent.name != "foreign")
    kinds = {}
    for path in files:
        kinds.setdefault((path.parent, re.sub(r"[0-9a-f-]{8,}|\d+", "", path.name)), []).append(path)
    return [path for kind in kinds.values() for path in {kind[0], kind[-1]}]


@pytest.mark.parametrize("how", ["gone", "cut", "empty"])
def test_files_in_turn(lake, how):
    with Server(lake) as server:
        fill(server)
    with Server(lake) as server: # what was deleted behind an answer is gone by now
        right = questions(server)
    refused = {}
    for path in files_of(lake):
        was = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(was[:len(was) // 2] if how == "cut" else b"")
        with Server(lake) as server:
            refused[path.suffix] = refused.get(path.suffix, 0) + assert_right_or_damaged(server, right, path)
            server.kill()
        path.write_bytes(was)
    assert refused.get(".parquet") and refused.get(".avro"), refused
    with Server(lake) as server:
        assert assert_right_or_damaged(server, right, "all are back") == 0


def test_a_file_that_goes_while_the_server_runs(lake):
    """What is in memory may still be told; the rest is refused, and a write that would need it too."""
    with Server(lake) as server:
        fill(server)
        right = questions(server)
        for path in files_of(lake):
            if path.suffix == ".parquet":
                path.rename(path.with_suffix(".aside"))
                assert_right_or_damaged(server, right, path)
                done = server.post("/datasets/p/compact", json={})
                assert done.status_code == 200 or done.json()["code"] in ("corrupt", "io_error"), done.text
                path.with_suffix(".aside").rename(path)
        assert assert_right_or_damaged(server, right, "all are back") == 0
