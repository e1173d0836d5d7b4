"""Searches of an index whose first walk has not ended: what was deleted or changed meanwhile is not found."""
import pytest

from tests.support.tarn import Server, wait_for


@pytest.fixture
def half_built(lake, shim):
    """2,000 texts, and an index job that is held while it writes down the second 512 of them."""
    lines = [f"{i},Number {i} of the pages about the lakes of the mountains" for i in range(2000)]
    with Server(lake, env=shim.env) as server:
        server.ingest("pages", "id,body\n" + "\n".join(lines) + "\n", key="id")
        shim.set("write HOLD chunks.log 3")  # behind the file's head and the first of them
        try:
            job = server.post("/vectors/indexes", json={"dataset": "pages", "text_columns": ["body"]}).json()["job_id"]
            wait_for("the second texts", shim.hits)
            assert server.get(f"/jobs/{job}").json()["progress"]["done"] > 0
            assert server.post(f"/jobs/{job}/pause").status_code == 200
        finally:
            shim.clear()
        wait_for("the job to rest", lambda: server.get(f"/jobs/{job}").json()["state"] == "paused")
        yield server, job


def ids(server, mode, **more):
    answer = server.post("/search", json={"query": "lakes of the mountains", "index": "pages", "k": 1000, "mode": mode,
                                          **more})
    assert answer.status_code == 200, answer.text
    assert answer.json()["behind"]
    return {hit["doc_id"] for hit in answer.json()["hits"]}


def test_what_went_or_changed_since_the_first_walk_began_is_not_found(half_built):
    server, job = half_built
    gone, changed, kept = sorted(ids(server, "vector"))[:3]
    assert server.request("DELETE", f"/datasets/pages/rows/{gone}").json()["deleted"] == 1
    assert server.request("PATCH", f"/datasets/pages/rows/{changed}", json={"body": "Tax law"}).json()["updated"] == 1
    for mode in ("vector", "keyword", "hybrid"):
        for filtered in ({}, {"filter": "id >= 0"}):
            found = ids(server, mode, **filtered)
            assert gone not in found and changed not in found and kept in found, (mode, filtered)
    server.post(f"/jobs/{job}/resume")
    wait_for("the index", lambda: server.get("/vectors/indexes/pages").json()["state"] == "ready")
    hits = server.post("/search", json={"query": "Tax law", "index": "pages", "k": 1}).json()["hits"]
    assert [hit["doc_id"] for hit in hits] == [changed]


def test_an_index_that_stays_behind_says_why(server):
    answer = server.ingest("points", '{"id": 1, "v": [1.5, 0, 1]}\n{"id": 2, "v": [0, 1.5, 1]}\n', key="id", format="json")
    assert answer["rows"] == 2
    server.post("/vectors/indexes?wait=100", json={"dataset": "points", "vector_column": "v"})
    assert server.get("/vectors/indexes/points").json()["problem"] is None
    assert server.request("PUT", "/datasets/points/rows", json=[{"id": 3, "v": [1, 2]}]).status_code == 200
    problem = wait_for("the problem", lambda: server.get("/vectors/indexes/points").json()["problem"])
    assert 'row "3"' in problem
    assert server.request("DELETE", "/datasets/points/rows/3").status_code == 200
    wait_for("the index", lambda: server.get("/vectors/indexes/points").json()["state"] == "ready")
    wait_for("no problem", lambda: server.get("/vectors/indexes/points").json()["problem"] is None)
