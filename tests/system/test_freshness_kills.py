"""kill -9 in the middle of an embedding job: every chunk once, and at most one
batch embedded again. The provider is a stand-in that records each text."""
import collections
import os
import random
import time

import pytest

from tests.support import tarn
from tests.support.model_server import ModelServer
from tests.system.test_search import eventually

KILLS = int(os.environ.get("TARN_EMBED_KILLS", "3"))
CHUNKS = 10_000 if KILLS > 3 else 3_000
BATCH = 512  # chunks that are committed together


@pytest.fixture
def models():
    with ModelServer() as server:
        yield server


def embedded(models):
    """How often each document's text was asked for. Pieces of texts are asked
    for as questions too: a generation is calibrated with them."""
    texts = collections.Counter()
    for path, _, body in list(models.requests):
        if path == "/api/embed":
            texts.update(text for text in body["input"] if "person" in text and not text.startswith("search_query: "))
    return texts


@pytest.fixture
def start(lake, models):
    """Starts the server anew; whatever happens, none is left running."""
    started = []

    def once_more():
        started.append(tarn.Server(lake, "--set", f"ai.ollama.url={models.url}", "--set",
                                   "ai.embed.model=ollama/nomic-embed-text"))
        return started[-1]

    yield once_more
    for server in started:
        server.kill()


def state(server):
    return server.get("/vectors/indexes/people").json()


def test_killed_again_and_again(start, models):
    lines = "".join(f"{i},This is person{i} who knows subject{i % 97}.\n" for i in range(CHUNKS))
    server = start()
    server.ingest("people", f"id,about\n{lines}", key="id")
    answer = server.post("/vectors/indexes", json={"dataset": "people", "text_columns": ["about"]})
    assert answer.status_code == 202, answer.text
    dice = random.Random(1)
    for kill in range(KILLS):
        # A piece of the way further than what was embedded when it died the last time.
        target = min(sum(embedded(models).values()) + dice.randrange(1, 2 * CHUNKS // KILLS), CHUNKS - 1)
        until = time.monotonic() + 120
        while sum(embedded(models).values()) < target and state(server)["state"] != "ready":
            assert time.monotonic() < until, "it does not get on"
            time.sleep(0.005)
        server.kill()
        server = start()
    eventually(lambda: state(server)["state"] == "ready", 300)
    counts = server.query("select count(*), count(distinct doc_id), count(distinct chunk_id) from people__vectors")
    assert counts["rows"] == [[CHUNKS, CHUNKS, CHUNKS]]
    texts = embedded(models)
    assert len(texts) == CHUNKS
    again = sum(texts.values()) - CHUNKS
    print(f"\n{KILLS} kills, {CHUNKS} chunks: {again} embedded again, at most {KILLS * BATCH} may be")
    assert again <= KILLS * BATCH
