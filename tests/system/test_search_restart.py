"""Indexes survive restarts, kills and the loss of their working files."""
import shutil

import pytest

from tests.support import tarn
from tests.system.test_search import as_csv, eventually, ids, index, opened, rows, search


def test_after_a_restart_and_without_working_files(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", as_csv(rows(100)), key="id")
        index(server)
        before = search(server, "drives dangerous goods", k=20)["hits"]
    with tarn.Server(lake) as server:
        opened(server)
        assert search(server, "drives dangerous goods", k=20)["hits"] == before
    shutil.rmtree(lake / "state" / "indexes")
    with tarn.Server(lake) as server:
        # Answered meanwhile with what is there, and flagged so; then with all of it.
        opened(server)
        eventually(lambda: not search(server, "drives dangerous goods", k=20)["behind"])
        assert ids(search(server, "drives dangerous goods", k=20)) == [hit["doc_id"] for hit in before]
        assert ids(search(server, "number42", mode="keyword")) == ["42"]


@pytest.mark.parametrize("point", ["index.before_table", "index.between", "index.before_files"])
def test_killed_while_building(lake, point):
    """Every chunk once, whatever was under way when the process died."""
    with tarn.Server(lake, env={"TARN_FAULT": f"{point}:2"}) as server:
        server.ingest("people", as_csv(rows(1200)), key="id")
        try:
            server.post("/vectors/indexes", json={"dataset": "people", "text_columns": ["summary"]})
        except Exception:  # the connection breaks off
            pass
        server.process.wait(2 * tarn.PATIENCE)
    with tarn.Server(lake) as server:
        eventually(lambda: server.get("/vectors/indexes/people").json()["state"] == "ready")
        counts = server.query("select count(*), count(distinct doc_id), count(distinct chunk_id) from people__vectors")
        assert counts["rows"] == [[1200, 1200, 1200]]
        assert ids(search(server, "number1199", mode="keyword")) == ["1199"]
        assert len(search(server, "welder", mode="vector", k=1000)["hits"]) == 1000


def test_datasets_are_indexed_by_themselves(lake):
    with tarn.Server(lake, "--set", "index.auto_embed=true") as server:
        server.ingest("people", as_csv(rows(20)), key="id")
        server.ingest("codes", "id,code\n1,AB\n2,CD\n", key="id")
        eventually(lambda: [item["state"] for item in server.get("/vectors/indexes").json()["items"]] == ["ready"])
        shown = server.get("/vectors/indexes/people").json()
        assert (shown["dataset"], shown["text_columns"], shown["chunks"]) == ("people", ["summary"], 20)
        assert ids(search(server, "number7", mode="keyword")) == ["7"]
        server.delete("/vectors/indexes/people")
    with tarn.Server(lake, "--set", "index.auto_embed=true") as server:
        server.ingest("codes", "id,code\n3,EF\n")
        assert server.get("/vectors/indexes").json()["items"] == []
