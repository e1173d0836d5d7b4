"""Lists of frequent words are made behind a start: nobody asks, nothing else is answered, and a kill in the middle harms nothing."""
import json
import re
import time

import pytest

from tests.support import tarn
from tests.system.test_search import eventually, opened

ROWS = 1_400
QUESTIONS = ["years of work", "engineer", "engineers and welders", "trade7 years", "\"years of\" weld*"]


def text(number):
    trade = "engineering" if number % 3 else "welder"
    return f"{number % 40} years of work as {trade} in town{number % 50} at trade{number % 11}" + " years" * (number % 4)


@pytest.fixture(scope="module", name="lake")
def made_lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ahead") / "lake"
    lines = "".join(json.dumps({"id": i, "v": [i % 7 + 1, i % 5, 1, 2], "text": text(i)}) + "\n" for i in range(ROWS))
    with tarn.Server(folder) as server:
        server.ingest("people", lines, key="id", format="ndjson")
        made = server.post("/vectors/indexes", json={"dataset": "people", "text_columns": ["text"], "vector_column": "v"},
                           params={"wait": 120})
        assert made.status_code == 200, made.text
    return folder


def ask(server, question):
    answer = server.post("/search", json={"query": question, "index": "people", "mode": "keyword", "k": 30})
    assert answer.status_code == 200, answer.text
    return [(hit["doc_id"], hit["score"]) for hit in answer.json()["hits"]]


def lists_made(server, since):
    """Of the log's lines behind `since`: how many lists were made ahead, or None."""
    found = re.search(r"index\.ahead index=people lists=(\d+)", server.log_text()[since:])
    return int(found[1]) if found else None


def logged(lake):
    path = lake.with_name(f"{lake.name}.log")
    return len(path.read_text(errors="replace")) if path.exists() else 0


def test_made_without_a_question(lake):
    since = logged(lake)
    with tarn.Server(lake, "--set", "log.level=debug") as server:
        eventually(lambda: lists_made(server, since) is not None, 240)
        assert lists_made(server, since) >= 4  # year, work, engineer, welder at least
        ahead = [ask(server, question) for question in QUESTIONS]
        assert all(len(hits) == 30 for hits in ahead)
    with tarn.Server(lake) as server:  # asked at once: lists of its own, or none yet
        opened(server)
        assert [ask(server, question) for question in QUESTIONS] == ahead


def test_a_kill_harms_nothing(lake):
    with tarn.Server(lake) as server:
        opened(server)
        before = [ask(server, question) for question in QUESTIONS]
    for pause in (0, 0.005, 0.01, 0.02, 0.05):
        server = tarn.Server(lake)
        time.sleep(pause)
        server.kill()
    with tarn.Server(lake) as server:
        opened(server)
        assert [ask(server, question) for question in QUESTIONS] == before


def test_what_is_written_meanwhile_counts(lake):
    since = logged(lake)
    with tarn.Server(lake, "--set", "log.level=debug") as server:
        eventually(lambda: lists_made(server, since) is not None, 240)
        gone = ask(server, "engineers")[0][0]
        put = server.request("PUT", "/datasets/people/rows",
                             json={"id": int(gone), "v": [1, 1, 1, 1], "text": "a baker, and nothing but a baker"})
        assert put.status_code == 200, put.text
        eventually(lambda: ask(server, "baker")[:1] and ask(server, "baker")[0][0] == gone)
        assert gone not in [doc for doc, _ in ask(server, "engineers")]
