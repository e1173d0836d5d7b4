"""The log of an index's texts is written anew when most of it is gone, and a crash at any moment of that loses nothing."""
import pytest
import requests

from tests.support import tarn
from tests.system.test_search import eventually

ROWS, BYTES, ROUNDS = 100, 2500, 20  # a round is a quarter of what may be gone


def text(id, round):
    return f"row{id} round{round} " + "filler " * (BYTES // 7)


def write(server, round):
    rows = [{"id": i, "text": text(i, round), "v": [1.0, float(i), 2.0, 1.0]} for i in range(ROWS)]
    answer = server.request("PUT", "/datasets/notes/rows", params={"key": "id"}, json=rows)
    assert answer.status_code == 200, answer.text


def found(server):
    answer = server.post("/search", json={"index": "notes", "query": "filler", "k": ROWS, "mode": "keyword"})
    assert answer.status_code == 200, answer.text
    return {hit["doc_id"]: hit["text"].strip() for hit in answer.json()["hits"]}


def expected(server):
    return {str(row["id"]): row["text"].strip() for row in server.sql("SELECT id, text FROM notes")}


def agrees(server):
    return found(server) == expected(server)


def make(server):
    write(server, 0)
    made = server.post("/vectors/indexes", params={"wait": 100},
                       json={"dataset": "notes", "text_columns": ["text"], "vector_column": "v"})
    assert made.status_code == 200, made.text


def logs(lake):
    return sorted(path.name for path in (lake / "state" / "indexes" / "notes").glob("chunks*"))


def log_bytes(lake):
    bytes = 0
    for path in (lake / "state" / "indexes" / "notes").glob("chunks*.log"):
        try:
            bytes += path.stat().st_size
        except FileNotFoundError:  # removed just now
            pass
    return bytes


def one_pair(lake):
    return len(logs(lake)) == 2


def test_the_log_stays_small(lake):
    with tarn.Server(lake) as server:
        make(server)
        most = 0
        for round in range(1, ROUNDS):
            write(server, round)
            eventually(lambda: agrees(server))
            most = max(most, log_bytes(lake))
        # What is there, as much again or a megabyte, a round, and for a moment the next log.
        assert most < 4 * ROWS * BYTES + (2 << 20), "and not twenty rounds of a quarter of a megabyte"
        eventually(lambda: one_pair(lake) and logs(lake) != ["chunks.log", "chunks.map"])
    with tarn.Server(lake) as server:
        eventually(lambda: agrees(server))
        assert "index.remade" not in server.log_text()


@pytest.mark.parametrize("point", ["index.log_written", "index.log_chosen"])
def test_killed_while_the_log_is_written_anew(lake, point):
    with tarn.Server(lake, env={"TARN_FAULT": point}) as server:
        make(server)
        round = 0
        try:
            for round in range(1, ROUNDS):
                write(server, round)
                eventually(lambda: agrees(server))
        except requests.exceptions.RequestException:
            pass
        server.process.wait(60)
        assert len(logs(lake)) == 4, "two pairs were there"
    with tarn.Server(lake) as server:
        eventually(lambda: agrees(server))
        eventually(lambda: one_pair(lake))  # one of them counted, and may be written anew by now
        assert "index.remade" not in server.log_text()
        # And it goes on, to the next one.
        before = logs(lake)
        for more in range(1, ROUNDS // 2):
            write(server, round + more)
            eventually(lambda: agrees(server))
        eventually(lambda: one_pair(lake) and logs(lake) != before)


def test_killed_half_way(lake):
    """One text is larger than what is written at once, so that there is a half."""
    with tarn.Server(lake, env={"TARN_FAULT": "index.log_half"}) as server:
        rows = [{"id": i, "text": text(i, 0) * 6, "v": [1.0, float(i), 2.0, 1.0]} for i in range(ROWS)]
        assert server.request("PUT", "/datasets/notes/rows", params={"key": "id"}, json=rows).status_code == 200
        made = server.post("/vectors/indexes", params={"wait": 100},
                           json={"dataset": "notes", "text_columns": ["text"], "vector_column": "v"})
        assert made.status_code == 200, made.text
        try:
            for round in range(1, ROUNDS):
                for row in rows:
                    row["text"] = text(row["id"], round) * 6
                answer = server.request("PUT", "/datasets/notes/rows", json=rows)
                assert answer.status_code == 200, answer.text
                eventually(lambda: agrees(server))
        except requests.exceptions.RequestException:
            pass
        server.process.wait(60)
        assert len(logs(lake)) == 4
    with tarn.Server(lake) as server:
        eventually(lambda: agrees(server))
        eventually(lambda: one_pair(lake))
        assert "index.remade" not in server.log_text()
