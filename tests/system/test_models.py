"""Models: the built-in one for real, and providers over their real protocols.

The providers are a stand-in (tests/support/model_server.py) that records what
it is asked and fails as it is told. With TARN_TEST_OLLAMA=URL the tests that
need no faults run against that server too; it must have an embedding model and
a language model (TARN_TEST_OLLAMA_EMBED, TARN_TEST_OLLAMA_CHAT; all-minilm and
qwen2.5:0.5b).
"""
import base64
import json
import math
import os
import struct

import pytest

from tests.support import tarn
from tests.support.model_server import WORDS, ModelServer

ANSWER = "".join(WORDS)
has_builtin = pytest.mark.skipif(not (tarn.BINARY.parent / "all-MiniLM-L6-v2.tarn-model").is_file(),
                                 reason="the build has no embedding model (tools/fetch_model.sh)")


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def embed(server, *texts, status=200, **more):
    answer = server.post("/ai/embed", json={"texts": list(texts), **more})
    assert answer.status_code == status, answer.text
    return answer.json()


def events(answer):
    return [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]


# ---- the built-in model ---------------------------------------------------------------


@has_builtin
def test_a_fresh_lake_embeds_without_a_network(server):
    made = embed(server, "A tarn is a lake in the mountains.", "Water between peaks.", "Quarterly tax forms.")
    assert made["model"] == "builtin/all-MiniLM-L6-v2" and made["dimension"] == 384 and made["normalised"]
    assert len(made["version"]) == 64 and made["truncated"] == 0
    lake, water, tax = made["vectors"]
    assert abs(cosine(lake, lake) - 1) < 1e-6 and abs(sum(x * x for x in lake) - 1) < 1e-4
    assert cosine(lake, water) > cosine(lake, tax) + 0.1


@has_builtin
def test_a_batch_gives_what_its_texts_give_alone(server):
    texts = [f"sentence number {i} " + "word " * (i % 40) for i in range(150)]
    together = embed(server, *texts)["vectors"]
    for i in (0, 1, 39, 63, 64, 149):
        assert embed(server, texts[i])["vectors"][0] == together[i]


@has_builtin
def test_long_texts_are_cut_and_counted(server):
    assert embed(server, "word " * 3000, "short")["truncated"] == 1


@has_builtin
def test_openai_embeddings(server):
    asked = {"model": "all-MiniLM-L6-v2", "input": ["one", "two"]}
    plain = server.post("/v1/embeddings", json=asked).json()
    assert plain["object"] == "list" and plain["model"] == "builtin/all-MiniLM-L6-v2"
    assert [d["index"] for d in plain["data"]] == [0, 1] and plain["usage"]["prompt_tokens"] == 6
    packed = server.post("/v1/embeddings", json={**asked, "encoding_format": "base64", "dimensions": 384}).json()
    for a, b in zip(plain["data"], packed["data"]):
        assert list(struct.unpack("<384f", base64.b64decode(b["embedding"]))) == pytest.approx(a["embedding"], rel=1e-6)
    single = server.post("/v1/embeddings", json={"input": "one"}).json()
    assert single["data"][0]["embedding"] == plain["data"][0]["embedding"]


@has_builtin
@pytest.mark.parametrize("more,status,word", [
    ({"input": [[1, 2, 3]]}, 422, "token ids"), ({"input": []}, 400, "1 to 2048"), ({"input": 5}, 400, "input"),
    ({"input": "x", "dimensions": 100}, 422, "384"), ({"input": "x", "encoding_format": "int8"}, 400, "base64"),
    ({"input": "x", "model": "nobody"}, 404, "nobody"), ({"input": "x", "model": "ollama/x"}, 404, "ai.ollama.url")])
def test_openai_errors_have_openais_shape(server, more, status, word):
    answer = server.post("/v1/embeddings", json=more)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert word in error["message"] and error["type"] == "invalid_request_error" and error["code"]


def test_without_a_language_model_it_says_how_to_get_one(server):
    answer = server.post("/ai/generate", json={"prompt": "hello"})
    assert answer.status_code == 404 and "ai.chat.model" in answer.json()["hint"]
    streamed = server.post("/ai/generate", json={"prompt": "hello", "stream": True})
    assert streamed.status_code == 404 and "ai.chat.model" in streamed.json()["hint"]


@has_builtin
def test_the_command_line(server):
    lines = server.cli("embed", "one", "two").stdout.splitlines()
    assert [len(json.loads(line)) for line in lines] == [384, 384]
    listed = server.cli("--json", "model", "list").stdout
    assert "builtin/all-MiniLM-L6-v2" in listed
    assert "builtin" in server.cli("model", "providers").stdout
    assert json.loads(tarn.run("embed", stdin="one\n", cwd="/").stdout) == json.loads(lines[0])


def test_without_any_model_it_says_how_to_get_one(tmp_path):
    with tarn.Server(tmp_path / "lake", env={"TARN_MODEL": str(tmp_path / "none.tarn-model")}) as server:
        answer = server.post("/ai/embed", json={"texts": ["x"]})
        assert answer.status_code in (404, 500) and "tarn model import" in answer.json()["hint"]


@has_builtin
def test_a_built_in_model_that_changed_is_refused(tmp_path):
    """Another asset under a name whose vectors are in use."""
    with tarn.Server(tmp_path / "lake") as server:
        embed(server, "x")
    registry = tmp_path / "lake/models/registry.json"
    known = json.loads(registry.read_text())
    assert oct(registry.stat().st_mode)[-3:] == "600"
    known["models"][0]["version"] = "0" * 64
    registry.write_text(json.dumps(known))
    with tarn.Server(tmp_path / "lake") as server:
        refused = embed(server, "x", status=409)
        assert "tarn model accept" in refused["hint"]
        server.cli("model", "accept", "builtin/all-MiniLM-L6-v2")
        now = embed(server, "x")["version"]
        assert now != "0" * 64
        embed(server, "x", version=now)
        embed(server, "x", version="0" * 64, status=409)


def test_a_damaged_registry_stops_the_start(tmp_path):
    with tarn.Server(tmp_path / "lake"):
        pass
    (tmp_path / "lake/models").mkdir(exist_ok=True)
    (tmp_path / "lake/models/registry.json").write_text('{"format": 1, "models": [')
    done = tarn.run("serve", "--lake", tmp_path / "lake", "--port", "0", check=False)
    assert done.returncode != 0 and "registry.json" in done.stderr


# ---- providers ---------------------------------------------------------------------------

REAL = os.environ.get("TARN_TEST_OLLAMA")
OLLAMA_MODELS = (os.environ.get("TARN_TEST_OLLAMA_EMBED", "all-minilm"), os.environ.get("TARN_TEST_OLLAMA_CHAT", "qwen2.5:0.5b"))


@pytest.fixture(scope="module")
def models():
    with ModelServer() as stand_in:
        yield stand_in


@pytest.fixture
def ollama(models, tmp_path):
    models.forget()
    models.digest, models.salt, models.dimension, models.key = "sha256:" + "1" * 64, "", 8, None
    with tarn.Server(tmp_path / "lake", "--set", f"ai.ollama.url={models.url}", "--set", "ai.verify=0ms", "--set",
                     "ai.embed.model=ollama/nomic-embed-text", "--set", "ai.chat.model=ollama/tiny-chat", "--set",
                     "ai.batch=4") as server:
        yield server


@pytest.fixture
def openai(models, tmp_path):
    models.forget()
    models.digest, models.salt, models.dimension, models.key = "", "", 8, "sk-Geheim-1234"
    key = tmp_path / "key"
    key.write_text("sk-Geheim-1234\n")
    key.chmod(0o600)
    with tarn.Server(tmp_path / "lake", "--set", f"ai.openai.url={models.url}/v1", "--set", f"ai.openai.key_file={key}",
                     "--set", "ai.verify=0ms", "--set", "ai.batch=4", "--set", "ai.embed.model=openai/emb",
                     "--set", "ai.chat.model=openai/tiny-chat") as server:
        server.key_file = key
        yield server


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.skipif(not REAL, reason="TARN_TEST_OLLAMA is not set"))])
def any_ollama(request, models, tmp_path):
    models.forget()
    url, (embedding, chat) = (models.url, ("nomic-embed-text", "tiny-chat")) if request.param == "stand-in" else (REAL, OLLAMA_MODELS)
    with tarn.Server(tmp_path / "lake", "--set", f"ai.ollama.url={url}", "--set", f"ai.embed.model=ollama/{embedding}",
                     "--set", f"ai.chat.model=ollama/{chat}") as server:
        yield server


def test_ollama_embeds(any_ollama):
    made = embed(any_ollama, *[f"text {i}" for i in range(10)])
    assert made["model"].startswith("ollama/") and len(made["vectors"]) == 10
    assert all(len(v) == made["dimension"] for v in made["vectors"])
    assert made["vectors"] != made["vectors"][::-1]
    again = embed(any_ollama, "text 3")
    assert cosine(again["vectors"][0], made["vectors"][3]) > 0.999 and again["version"] == made["version"]


def test_ollama_answers(any_ollama):
    asked = {"prompt": "Say hello.", "max_tokens": 20}
    whole = any_ollama.post("/ai/generate", json=asked).json()
    assert whole["text"] and whole["usage"]["answer_tokens"] > 0 and not whole["usage"]["estimated"]
    streamed = [json.loads(e) for e in events(any_ollama.post("/ai/generate", json={**asked, "stream": True}))]
    assert "".join(e["text"] for e in streamed[:-1]) and streamed[-1]["done"] and streamed[-1]["usage"]


def test_ollama_is_asked_in_batches_with_prefixes(ollama, models):
    texts = [f"text {i}" for i in range(10)]
    made = embed(ollama, *texts, use="document")
    asked = [body["input"] for body in models.asked("/api/embed")]
    assert [len(batch) for batch in asked] == [1, 4, 4, 2]  # the first is the probe
    assert asked[1][0] == "search_document: text 0"
    for text, vector in zip(texts, made["vectors"]):
        assert vector == pytest.approx(models.vector("search_document: " + text), abs=1e-6)
    embed(ollama, "q", use="query")
    assert models.asked("/api/embed")[-1]["input"] == ["search_query: q"]
    assert models.asked("/api/embed")[-1]["keep_alive"] == 300 and models.asked("/api/embed")[-1]["truncate"]
    listed = {m["name"]: m for m in ollama.get("/ai/models").json()["items"]}
    entry = listed["ollama/nomic-embed-text"]
    assert entry["dimension"] == 8 and entry["max_tokens"] == 512 and entry["version"] == models.digest
    assert listed["ollama/tiny-chat"]["state"] == "offered"


@pytest.mark.parametrize("fault", ["500", "503", "reset", "truncated", "429"])
def test_what_may_pass_is_tried_again(ollama, models, fault):
    embed(ollama, "warm")
    models.fail_next("/api/embed", fault)
    assert embed(ollama, "x")["vectors"][0] == pytest.approx(models.vector("x"), abs=1e-6)
    assert len(models.asked("/api/embed")) == 4  # probe, warm, the one that failed, the one that did not
    listed = {p["name"]: p for p in ollama.get("/ai/providers").json()["items"]}["ollama"]
    assert listed["state"] == "ready"
    if fault != "reset":  # one that meets a kept connection is made anew below us
        assert listed["failures"] == (0 if fault == "429" else 1)


@pytest.mark.parametrize("fault,status,word", [
    ("count", 502, "vectors for"), ("nan", 503, "no JSON"), ("null", 502, "finite"), ("dimension", 409, "9 dimensions"),
    ("400", 422, "as the test wished"), ("401", 502, "does not let us in"), ("429", 503, "slow down")])
def test_answers_that_make_no_sense_are_refused(ollama, models, fault, status, word):
    embed(ollama, "warm")
    models.fail_next("/api/embed", *[fault] * 8)
    answer = ollama.post("/ai/embed", json={"texts": ["x", "y"]})
    assert answer.status_code == status and word in answer.text, answer.text
    assert (answer.json()["code"] == "upstream_failed") == (status == 502)
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_a_slow_provider_costs_its_time_out(ollama, models):
    embed(ollama, "warm")
    models.hold_next("/api/generate")
    answer = ollama.post("/ai/generate", json={"prompt": "x", "timeout_ms": 300})
    models.release()
    assert answer.status_code == 504


def test_a_model_that_changed_behind_its_name_is_refused(ollama, models):
    before = embed(ollama, "x")
    models.digest = "sha256:" + "2" * 64
    refused = embed(ollama, "x", status=409)
    assert "digest" in refused["detail"] and "tarn model accept" in refused["hint"]
    models.digest = "sha256:" + "1" * 64
    assert embed(ollama, "x") == before
    models.digest, models.salt = "sha256:" + "2" * 64, "other"
    ollama.cli("model", "accept", "ollama/nomic-embed-text")
    after = embed(ollama, "x")
    assert after["version"] == models.digest != before["version"] and after["vectors"] != before["vectors"]
    assert embed(ollama, "x", version=before["version"], status=409)["code"] == "conflict"


def test_a_change_is_found_in_the_middle_of_a_call(ollama, models):
    embed(ollama, "warm")
    seen = len(models.requests)
    real, count = models.note, [0]

    def note(path, headers, body):
        count[0] += path == "/api/embed"
        if count[0] == 2:
            models.digest = "sha256:" + "3" * 64
        return real(path, headers, body)

    models.note = note
    try:
        embed(ollama, *[f"t{i}" for i in range(16)], status=409)
    finally:
        del models.note
    assert len(models.requests) > seen


def test_it_is_remembered_over_a_restart(ollama, models):
    embed(ollama, "x")
    ollama.stop()
    models.digest = "sha256:" + "4" * 64
    ollama.start()
    assert embed(ollama, "x", status=409)["code"] == "conflict"


def test_a_provider_that_is_away_is_left_alone_and_comes_back(ollama, models):
    embed(ollama, "warm")
    models.fail_next("/api/tags", *["503"] * 10000)
    before = len(models.asked("/api/tags"))
    assert embed(ollama, "x", status=503)["code"] == "unavailable"  # four attempts
    assert embed(ollama, "x", status=503)["code"] == "unavailable"  # the fifth opens the breaker
    assert len(models.asked("/api/tags")) >= before + 5

    def left_alone():  # for two seconds, then it is asked once more, and left alone for four
        asked = len(models.requests)
        away = embed(ollama, "x", status=503)
        return "left alone" in away["detail"] and len(models.requests) == asked

    tarn.wait_for("it is left alone", left_alone)
    shown = {p["name"]: p for p in ollama.get("/ai/providers").json()["items"]}["ollama"]
    assert shown["breaker"] != "closed" and shown["state"] == "away" and "503" in shown["problem"]
    models.forget()
    tarn.wait_for("it is asked again", lambda: ollama.post("/ai/embed", json={"texts": ["x"]}).status_code == 200)
    shown = {p["name"]: p for p in ollama.get("/ai/providers").json()["items"]}["ollama"]
    assert shown["breaker"] == "closed" and shown["state"] == "ready"


def test_a_list_does_not_fail_with_a_provider(tmp_path):
    with tarn.Server(tmp_path / "lake", "--set", "ai.ollama.url=http://127.0.0.1:1") as server:
        away = [m for m in server.get("/ai/models").json()["items"] if m["state"] == "away"]
        assert len(away) == 1 and away[0]["provider"] == "ollama" and away[0]["problem"]


# ---- answers ---------------------------------------------------------------------------------


def test_generate(ollama, models):
    whole = ollama.post("/ai/generate", json={"prompt": "what?", "system": "be brief", "json": True}).json()
    assert whole["text"] == ANSWER and whole["model"] == "ollama/tiny-chat" and whole["version"] == models.digest
    assert whole["usage"]["prompt_tokens"] == 11 and whole["usage"]["answer_tokens"] == len(WORDS)
    asked = models.asked("/api/generate")[-1]
    assert asked["prompt"] == "what?" and asked["system"] == "be brief" and asked["format"] == "json"
    assert asked["options"]["temperature"] == 0
    streamed = [json.loads(e) for e in events(ollama.post("/ai/generate", json={"prompt": "what?", "stream": True}))]
    assert [e["text"] for e in streamed[:-1]] == WORDS
    assert streamed[-1]["done"] and streamed[-1]["usage"]["answer_tokens"] == len(WORDS)


@pytest.mark.parametrize("fault", ["truncated", "error in stream"])
def test_an_answer_that_breaks_off_says_so(ollama, models, fault):
    """What was shown cannot be taken back, so it is not begun anew."""
    embed(ollama, "warm")
    models.fail_next("/api/generate", fault)
    whole = ollama.post("/ai/generate", json={"prompt": "what?"})
    assert whole.status_code == 200 and whole.json()["text"] == ANSWER  # tried again, from the start
    models.fail_next("/api/generate", fault)
    got = b""
    with ollama.post("/ai/generate", json={"prompt": "what?", "stream": True}, stream=True) as answer:
        try:
            for piece in answer.iter_content(None):
                got += piece
        except Exception:  # the transfer is cut, so that nobody takes it for complete
            pass
    told = [json.loads(line[6:]) for line in got.decode().split("\n") if line.startswith("data: ")]
    assert told[0] == {"text": WORDS[0]} and "error" in told[-1] and told[-1]["error"]["code"] == "unavailable"


def test_a_client_that_leaves_ends_the_call(ollama, models):
    models.slow_seconds, models.script = 0.1, lambda _: "It goes on and on. " * 100000  # for hours, were it for the model
    models.fail_next("/api/generate", "slow pieces")
    try:
        with ollama.post("/ai/generate", json={"prompt": "x", "stream": True}, stream=True) as answer:
            next(answer.iter_content(1))
        tarn.wait_for("the call ends", lambda: next(
            p for p in ollama.get("/ai/providers").json()["items"] if p["name"] == "ollama")["running"] == 0)
    finally:
        models.slow_seconds, models.script = 3, None


def test_chat_in_openais_form(ollama, models):
    asked = {"model": "ollama/tiny-chat", "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "text", "text": "one"}]},
        {"role": "assistant", "content": "1"}, {"role": "user", "content": "two"}], "max_tokens": 7}
    whole = ollama.post("/v1/chat/completions", json=asked).json()
    assert whole["object"] == "chat.completion" and whole["choices"][0]["message"]["content"] == ANSWER
    assert whole["usage"]["total_tokens"] == 11 + len(WORDS)
    sent = models.asked("/api/chat")[-1]
    assert [m["content"] for m in sent["messages"]] == ["be brief", "one", "1", "two"]
    assert sent["options"]["num_predict"] == 7
    told = events(ollama.post("/v1/chat/completions", json={**asked, "stream": True, "stream_options": {"include_usage": True}}))
    assert told[-1] == "[DONE]"
    chunks = [json.loads(e) for e in told[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1]) == ANSWER
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop" and chunks[-1]["usage"]["completion_tokens"] == len(WORDS)


@pytest.mark.parametrize("more,status", [
    ({"messages": []}, 400), ({"tools": [{"type": "function"}]}, 422), ({"n": 2}, 422), ({"model": "builtin/all-MiniLM-L6-v2"}, 422),
    ({"messages": [{"role": "tool", "content": "x"}]}, 400), ({"temperature": 9}, 400)])
def test_chat_refusals(ollama, more, status):
    if more.get("model") and not (tarn.BINARY.parent / "all-MiniLM-L6-v2.tarn-model").is_file():
        pytest.skip("the build has no embedding model")
    answer = ollama.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}], **more})
    assert answer.status_code == status and answer.json()["error"]["message"], answer.text


# ---- OpenAI's protocol as a client ------------------------------------------------------------


def test_openai_embeds_and_answers(openai, models):
    made = embed(openai, "a", "b", "c")
    for text, vector in zip("abc", made["vectors"]):
        assert vector == pytest.approx(models.vector(text), abs=1e-6)
    assert made["version"].startswith("probe-")
    assert openai.post("/ai/generate", json={"prompt": "x"}).json()["text"] == ANSWER
    listed = [m["id"] for m in openai.get("/v1/models").json()["data"]]
    assert "openai/emb" in listed and "openai/tiny-chat" in listed


def test_openai_texts_are_cut_to_what_the_model_reads(openai, models):
    assert embed(openai, "word " * 5000)["truncated"] == 1
    assert len(models.asked("/v1/embeddings")[-1]["input"][0]) < 4000


def test_openai_a_silent_change_is_found_by_the_probe(openai, models):
    embed(openai, "x")
    models.salt = "another model"
    refused = embed(openai, "x", status=409)
    assert "cosine" in refused["detail"]
    models.salt, models.dimension = "", 16
    assert "16" in embed(openai, "x", status=409)["detail"]


def test_the_key_stays_a_secret(openai, models):
    embed(openai, "x")
    assert all(h.get("Authorization") == "Bearer sk-Geheim-1234" for _, h, _ in models.requests)
    shown = openai.get("/ai/providers").text + openai.get("/ai/models").text + openai.log_text()
    assert "Geheim" not in shown
    openai.key_file.chmod(0o644)
    refused = openai.post("/ai/embed", json={"texts": ["y"]})
    assert refused.status_code == 500 and "chmod 600" in refused.json()["hint"] and "Geheim" not in refused.text
    openai.key_file.chmod(0o600)
    openai.key_file.write_text("sk-wrong")
    assert "let us in" in openai.post("/ai/embed", json={"texts": ["z"]}).json()["detail"]


# ---- defaults and imports ------------------------------------------------------------------------


@has_builtin
def test_the_default_can_be_chosen(models, tmp_path):
    models.forget()
    models.digest, models.salt, models.dimension, models.key = "sha256:" + "1" * 64, "", 8, None
    lake = tmp_path / "lake"
    with tarn.Server(lake, "--set", f"ai.ollama.url={models.url}") as server:
        assert embed(server, "x")["model"] == "builtin/all-MiniLM-L6-v2"
        server.cli("model", "default", "ollama/nomic-embed-text")
        server.cli("model", "default", "ollama/tiny-chat", "--chat")
        assert embed(server, "x")["model"] == "ollama/nomic-embed-text"
        assert server.post("/ai/generate", json={"prompt": "x"}).json()["model"] == "ollama/tiny-chat"
    with tarn.Server(lake, "--set", f"ai.ollama.url={models.url}", "--set", "ai.embed.model=builtin/all-MiniLM-L6-v2") as server:
        assert embed(server, "x")["model"] == "builtin/all-MiniLM-L6-v2"
        done = server.cli("model", "default", "ollama/nomic-embed-text", check=False)
        assert done.returncode == 1 and "ai.embed.model" in done.stderr


def test_import_says_what_it_does_not_support(server, tmp_path):
    folder = tmp_path / "strange"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    done = server.cli("model", "import", folder, check=False)
    assert done.returncode == 1 and "llama" in done.stderr and "bert" in done.stderr
    assert not list((server.lake / "models").glob("*.tarn-model*")) if (server.lake / "models").exists() else True
    assert server.post("/ai/models/import", json={"folder": "relative"}).status_code == 400


@has_builtin
def test_import_of_the_published_model(tmp_path):
    from pathlib import Path
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tarn/model/all-MiniLM-L6-v2"
    if not (cache / "model.safetensors").is_file():
        pytest.skip("the published model is not in the cache")
    with tarn.Server(tmp_path / "lake") as server:
        first = embed(server, "x")
        server.cli("model", "import", cache, "--name", "mine")
        mine = embed(server, "x", model="mine")
        assert mine["model"] == "builtin/mine" and mine["vectors"] == first["vectors"]
        server.cli("model", "import", cache, "--name", "mine")  # the same again changes nothing
        assert [p.name for p in (tmp_path / "lake/models").glob("*.tarn-model")] == ["mine.tarn-model"]
