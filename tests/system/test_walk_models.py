"""The model routes off the common road: what would change an answer is passed on or refused."""
import pytest

from tests.support import tarn
from tests.support.model_server import ModelServer

HELLO = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def models():
    with ModelServer() as running:
        yield running


@pytest.fixture(scope="module")
def server(models, tmp_path_factory, binary):
    lake = tmp_path_factory.mktemp("models") / "lake"
    with tarn.Server(lake, "--set", f"ai.ollama.url={models.url}", "--set", f"ai.openai.url={models.url}/v1") as running:
        yield running


def test_texts_that_end_an_answer_reach_the_model(server, models):
    models.forget()
    for model, path in (("ollama/tiny-chat", "/api/generate"), ("openai/tiny-chat", "/v1/chat/completions")):
        for stop, sent in (("\n\n", ["\n\n"]), (["a", "b"], ["a", "b"])):
            answer = server.post("/v1/chat/completions", json={**HELLO, "model": model, "stop": stop})
            assert answer.status_code == 200, answer.text
            asked = models.asked(path)[-1]
            assert asked.get("options", asked)["stop"] == sent
        server.post("/v1/chat/completions", json={**HELLO, "model": model, "stop": None})
        asked = models.asked(path)[-1]
        assert "stop" not in asked.get("options", asked)


@pytest.mark.parametrize("fields", [
    {"stop": 5}, {"stop": [5]}, {"stop": ["a"] * 5}, {"temperature": "hot"}, {"max_tokens": "many"}, {"max_completion_tokens": 1.5}])
def test_what_cannot_be_read_is_refused(server, fields):
    answer = server.post("/v1/chat/completions", json={**HELLO, "model": "ollama/tiny-chat", **fields})
    assert answer.status_code == 400 and next(iter(fields)) in answer.json()["error"]["message"], answer.text


def test_another_bucket_is_not_this_one(server):
    assert server.get("/catalog/datasets", headers={"X-Lakehouse-Bucket": "primary"}).status_code == 200
    for header in ({"X-Lakehouse-Bucket": "archive"}, {"X-Lakehouse-Profile": "recruiter"}):
        answer = server.get("/catalog/datasets", headers=header)
        assert answer.status_code == 404 and answer.json()["hint"], answer.text
        answer = server.post("/ingest/file?dataset=t", data=b"a\n1\n", headers=header)
        assert answer.status_code == 404 and answer.json()["hint"], answer.text
    assert server.get("/catalog/datasets").json()["items"] == []
