"""A changed row is searchable soon, whatever happens on the way."""
import pytest

from tests.support import tarn
from tests.support.faults import gone
from tests.system.test_search import as_csv, eventually, ids, index, rows, search


def counter(server, name):
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(f"tarn_index_{name}_total "):
            return int(float(line.split()[1]))
    raise AssertionError(f"no metric {name}")


def put(server, id, words):
    return server.request("PUT", "/datasets/people/rows",
                          json=[{"id": id, "city": "Rome", "trade": "baker", "summary": f"Bakes bread {words}."}])


def change(server, id, words):
    answer = put(server, id, words)
    assert answer.status_code in (200, 201), answer.text


def test_commits_wake_the_follower_and_tell_it_what_changed(server):
    """Neither a look every so often nor a SELECT stands between a commit and the index."""
    server.ingest("people", as_csv(rows(200)), key="id")
    index(server)
    names = ("catch_ups", "woken", "from_memory", "embedded")
    before = {name: counter(server, name) for name in names}
    for i in range(20):
        change(server, 3 * i, f"zebra{i}")
        eventually(lambda: ids(search(server, f"zebra{i}", mode="keyword")) == [str(3 * i)])
    # It is counted when it is in the table too, a little after searches find it.
    eventually(lambda: counter(server, "catch_ups") - before["catch_ups"] >= 20)
    done = {name: counter(server, name) - before[name] for name in names}
    assert done["embedded"] == 20, "each changed chunk once"
    assert done["from_memory"] == done["catch_ups"]
    # The follower looks up twice a second by itself too, and on a busy machine a commit may meet that moment now
    # and then. One that nothing woke would have none but these.
    assert done["woken"] > done["catch_ups"] / 2


@pytest.mark.parametrize("point", ["index.before_table", "index.between", "index.before_files"])
def test_killed_between_shown_and_kept(lake, point):
    """A small change is searchable before its vectors are in the table; a crash
    in between makes it again, once. The first visit is the building's."""
    with tarn.Server(lake, env={"TARN_FAULT": f"{point}:2"}) as server:
        server.ingest("people", as_csv(rows(100)), key="id")
        index(server)
        answer = gone(put, server, 7, "zebra")  # it may die before it has answered: what it dies of follows the commit
        assert answer is None or answer.status_code in (200, 201), answer.text
        assert server.process.wait(tarn.PATIENCE) == -9
    with tarn.Server(lake) as server:
        eventually(lambda: server.get("/vectors/indexes/people").json()["state"] == "ready", 2 * tarn.PATIENCE)
        assert ids(search(server, "zebra", mode="keyword")) == ["7"]
        assert ids(search(server, "number7", mode="keyword")) == []
        assert len(search(server, "somebody", mode="vector", k=1000)["hits"]) == 100
        # "ready" is what searches see; the table follows.
        eventually(lambda: server.query("select count(*), count(distinct doc_id), count(distinct chunk_id) "
                                        "from people__vectors")["rows"] == [[100, 100, 100]])
