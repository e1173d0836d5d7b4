"""`tarn reembed --with-service`: the lake's server does not search rows of the table meanwhile."""
import re

import pytest

from tests.support import postgres, tarn
from tests.support.reembed import Table, model_server, outcome, wait_for

EMBED = "/api/embed"


@pytest.fixture
def models():
    with model_server() as running:
        yield running


@pytest.fixture
def served(models, lake):
    """A table, and a server with an index of its rows and one of others."""
    table = Table(postgres.shared("16"), rows=300)
    with tarn.Server(lake, env={"TARN_AI_OLLAMA_URL": models.url, "TARN_LOG_LEVEL": "debug"}) as server:
        server.cli("ingest", "postgres", table.url, "--table", "knowledge_nodes")
        server.ingest("others", "id,body\n1,something else altogether\n", key="id")
        for dataset, column in (("knowledge_nodes", "content"), ("others", "body")):
            made = server.post("/vectors/indexes", params={"wait": 120},
                               json={"dataset": dataset, "text_columns": [column], "model": "ollama/plain-embed"})
            assert made.status_code == 200, made.text
        yield table, server


def search(server, index):
    return server.post("/search", json={"index": index, "query": "memory number 5", "k": 3})


def test_searches_are_held_back(served, models, lake):
    table, server = served
    assert search(server, "knowledge_nodes").status_code == 200
    models.requests.clear()
    models.hold_next(EMBED, after=1)
    process = table.begin(models, "--lake", lake, "--with-service", "--mode", "in-place", "--batch-size", "100")
    wait_for(lambda: len(models.asked(EMBED)) >= 2)
    refused = search(server, "knowledge_nodes")
    assert refused.status_code == 503
    assert "public.knowledge_nodes" in refused.json()["detail"] and "made anew" in refused.json()["detail"]
    in_sql = server.post("/query/sql", json={"sql": "SELECT * FROM vector_search('knowledge_nodes', 'x', 3)"})
    assert in_sql.status_code == 503
    assert search(server, "others").status_code == 200
    # It is said again while the model takes its time: half a minute is soon over.
    wait_for(lambda: len(re.findall(r"http\.request .*route=/vectors/hold", server.log_text())) >= 2)
    models.release()
    status, told = outcome(process)
    assert status == 0 and "held back until the end" in told, told
    assert search(server, "knowledge_nodes").status_code == 200
    table.check(models)


def test_a_client_that_dies_does_not_hold_them_for_ever(served, models, lake):
    table, server = served
    assert table.killed_at(models, "reembed.stage_full", "--lake", lake, "--with-service")
    assert search(server, "knowledge_nodes").status_code == 503
    wait_for(lambda: search(server, "knowledge_nodes").status_code == 200, seconds=90)


def test_without_a_server_or_without_such_an_index(models, lake, tmp_path):
    table = Table(postgres.shared("16"), rows=20)
    tarn.run("--lake", lake, "init")
    done = table.call(models, "--lake", lake, "--with-service")
    assert done.returncode == 0 and "no searches to hold back" in done.stderr, done.stderr
    with tarn.Server(tmp_path / "other") as server:
        other = Table(postgres.shared("16"), rows=20)
        done = other.call(models, "--lake", server.lake, "--with-service")
        assert done.returncode == 0 and "no index of this lake" in done.stderr, done.stderr


def test_the_door_itself(served):
    _, server = served
    asked = {"datasets": ["OTHERS"], "reason": "a test", "seconds": 60}
    assert server.post("/vectors/hold", json=asked).json() == {"held": 1}
    assert "a test" in search(server, "others").json()["detail"]
    server.post("/vectors/hold", json={**asked, "seconds": 0})
    assert search(server, "others").status_code == 200
    assert server.post("/vectors/hold", json={**asked, "datasets": [1]}).status_code == 400
    assert server.post("/vectors/hold", json={**asked, "seconds": 3601}).status_code == 400
