"""Old pointers of a table go behind its commits: never one above one that stays, whatever is dropped, made anew or killed meanwhile."""
import pathlib

import pytest

from tests.support import faults
from tests.support.tarn import Server

KEPT = 101  # the log's 100 versions and the newest


def pointers(lake, table="t"):
    folder = pathlib.Path(lake) / "buckets" / "primary" / "datasets" / table / "commits"
    return sorted(int(path.name) for path in folder.iterdir()) if folder.is_dir() else []


def assert_run(lake, table="t"):
    there = pointers(lake, table)
    assert there == list(range(there[0], there[-1] + 1)), there
    return there


def put(server, number, dataset="t"):
    return server.request("PUT", f"/datasets/{dataset}/rows", json={"id": number % 5, "n": number})


def commits(server, count, dataset="t", first=0):
    for number in range(first, first + count):
        assert put(server, number, dataset).status_code == 200


def purged(server):
    return server.delete("/iceberg/v1/namespaces/default/tables/t", params={"purgeRequested": "true"}).status_code == 204


def filled(server, count, dataset="t"):
    server.ingest(dataset, "id,n\n1,0\n", key="id")
    commits(server, count, dataset)


def test_the_newest_stay(tmp_path):
    with Server(tmp_path / "lake", "--set", "upkeep.interval=24h") as server:  # a compaction would be a commit more
        filled(server, 130)
        server.stop()  # does what waits
        there = assert_run(tmp_path / "lake")
        assert len(there) == KEPT
        server.start()
        commits(server, 3, first=500)
        server.stop()
        assert assert_run(tmp_path / "lake") == [number + 3 for number in there]


def test_dropped_and_made_anew_at_once(tmp_path):
    """What waits for the old table must not take a pointer of the new one, whose numbers begin again."""
    with Server(tmp_path / "lake") as server:
        for round_ in range(3):
            filled(server, 112 + round_)
            assert purged(server)
            assert not pointers(tmp_path / "lake")
            filled(server, 20 + round_)
            assert assert_run(tmp_path / "lake")[0] == 1
            assert server.sql("SELECT max(n) AS n FROM t") == [{"n": 19 + round_}]
            assert purged(server)
        filled(server, 10)
        server.stop()
        assert assert_run(tmp_path / "lake")[0] == 1


def test_renamed_between_commits(tmp_path):
    with Server(tmp_path / "lake") as server:
        filled(server, 110)
        names = [{"namespace": ["default"], "name": name} for name in ("t", "u")]
        moved = server.post("/iceberg/v1/tables/rename", json=dict(zip(("source", "destination"), names)))
        assert moved.status_code in (200, 204), moved.text
        filled(server, 5)  # another t, in a folder of its own
        commits(server, 6, "u", first=700)
        server.stop()
        assert len(assert_run(tmp_path / "lake")) == KEPT
        server.start()
        assert server.sql("SELECT max(n) AS n FROM u") == [{"n": 705}]
        assert server.sql("SELECT max(n) AS n FROM t") == [{"n": 4}]


@pytest.mark.parametrize("passes", [1, 4])
def test_killed_meanwhile(tmp_path, passes):
    """What a kill leaves over goes with the next commit."""
    lake = tmp_path / "lake"
    with Server(lake) as server:
        filled(server, 95)
    server = Server(lake, env={"TARN_FAULT": f"store.trim.before_remove:{passes}"})
    said = [number for number in range(1000, 1040) if faults.gone(put, server, number) is not None]
    server.kill()
    there = assert_run(lake)
    assert there[0] == passes, "it did not die there"
    with Server(lake) as server:
        newest = server.sql("SELECT max(n) AS n FROM t")[0]["n"]
        assert newest >= max(said)
        commits(server, 1, first=2000)
        server.stop()
        assert len(assert_run(lake)) == KEPT


def test_one_that_cannot_go(tmp_path):
    """Counted and said, commits go on, and when it can go it goes."""
    lake = tmp_path / "lake"
    with Server(lake) as server:
        filled(server, 95)
    with Server(lake, env={"TARN_STORE_FAULT": "eacces@remove:datasets/t/commits/3"}) as server:
        commits(server, 12)
        server.stop()
        assert "an old object cannot be removed" in server.log_text()
    assert assert_run(lake)[0] == 3
    with Server(lake) as server:
        commits(server, 1, first=300)
        server.stop()
    assert len(assert_run(lake)) == KEPT
