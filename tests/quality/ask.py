"""Asks a server the question set.

    with library(folder) as (server, corpus):
        questions = quality.questions(corpus)
        found(server, questions, mode="vector")     [[id, ...] of each question]
"""
import contextlib
import json

from tests.quality import quality
from tests.support import tarn


@contextlib.contextmanager
def library(folder):
    """A server whose index holds every passage, one chunk each, and the passages."""
    tarn.run("demo", "staffing", "--scale", quality.SCALE, "--seed", quality.SEED, "--write-files", folder / "demo")
    corpus = quality.passages(folder / "demo" / "candidates.csv")
    assert len(corpus) == len(quality.WRITTEN) + quality.RESUMES
    with tarn.Server(folder / "lake") as server:
        lines = "".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in corpus.items())
        server.ingest("passages", lines, key="id", source="passages.ndjson")
        made = server.post("/vectors/indexes", json={"dataset": "passages", "text_columns": ["text"]}, params={"wait": 300}, timeout=320)
        assert made.status_code == 200, made.text
        shown = server.get("/vectors/indexes/passages").json()
        assert (shown["documents"], shown["chunks"]) == (len(corpus), len(corpus)), shown
        yield server, corpus


def found(server, questions, **fields):
    lists = []
    for question in questions:
        answer = server.post("/search", json={"query": question.text, "k": quality.DEPTH, "index": "passages", **fields})
        assert answer.status_code == 200, answer.text
        lists.append([hit["doc_id"] for hit in answer.json()["hits"]])
    return lists
