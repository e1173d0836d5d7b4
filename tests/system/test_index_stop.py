"""A server that is asked to stop while it folds an index: it gives up, loses nothing, and goes on at the next start."""
import json
import random
import signal

import pytest

from tests.support import tarn
from tests.support.tarn import wait_for

ROWS, DIMENSION = 12_000, 64


def vectors():
    dice = random.Random(7)
    return [[round(dice.gauss(0, 1), 3) for _ in range(DIMENSION)] for _ in range(ROWS)]


def folds_begun(server, job):
    return server.get(f"/jobs/{job}/log").text.count("folding")


def files(lake):
    """The generations of the index, and which of them serves."""
    folder = lake / "state" / "indexes" / "points" / "vectors"
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".log")), (folder / "active").read_bytes()


@pytest.fixture(scope="module", name="rows")
def made_rows():
    return vectors()


def test_stop_while_a_fold_runs(tmp_path, rows):
    lake = tmp_path / "lake"
    with tarn.Server(lake) as server:
        lines = "".join(json.dumps({"id": i, "v": row}) + "\n" for i, row in enumerate(rows))
        server.ingest("points", lines, key="id", format="ndjson")
        made = server.post("/vectors/indexes", json={"dataset": "points", "vector_column": "v"})
        assert made.status_code == 202, made.text
        job = made.json()["job_id"]
        wait_for("the fold", lambda: folds_begun(server, job))
        server.process.send_signal(signal.SIGSTOP)  # or it might come to its end while the files are looked at
        before = files(lake)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        assert server.process.wait(tarn.PATIENCE) == 0
        assert server.stop() == 0
        assert "server.cancelling" not in server.log_text()
        assert files(lake) == before, "the fold went on to its end, or left something behind"

        server.start()
        wait_for("the fold, begun again", lambda: folds_begun(server, job) >= 2)
        shown = server.get("/vectors/indexes/points").json()
        assert (shown["state"], shown["documents"], shown["chunks"]) == ("ready", ROWS, ROWS)
        for at in range(0, ROWS, ROWS // 20):
            hits = server.post("/vectors/search", json={"index": "points", "vector": rows[at], "k": 3}).json()["hits"]
            assert hits[0]["doc_id"] == str(at)
        few = server.post("/vectors/search", json={"index": "points", "vector": rows[0], "k": 1000,
                                                   "filter": "id % 100 = 7"}).json()["hits"]
        assert sorted(int(hit["doc_id"]) for hit in few) == list(range(7, ROWS, 100))

        wait_for("the end of the fold", lambda: server.get(f"/jobs/{job}").json()["state"] == "done")
        assert server.get("/vectors/indexes/points").json()["generation_rows"] == ROWS
        assert server.stop() == 0
