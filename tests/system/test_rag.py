"""Answers from texts: with a stand-in for a language model, and without one."""
import json
import re
import shutil

import pytest

from tests.support import papers as papers_support
from tests.support import tarn
from tests.support.model_server import ModelServer

pytestmark = pytest.mark.skipif(not (tarn.BINARY.parent / "all-MiniLM-L6-v2.tarn-model").is_file(),
                                reason="the build has no embedding model (tools/fetch_model.sh)")

TEXTS = {
    "contract": "The notice period is six weeks to the end of a quarter. It must be given in writing to the office.",
    "kubernetes": "Anna led the move of forty services to Kubernetes in 2024. Her team wrote the runbooks for it.",
    "nurse": "Bea is a registered nurse with ten years in intensive care. She prefers night shifts.",
    "welder": "Cem is a certified welder of pipelines. His D1.1 certificate was renewed in May.",
    "driver": "Dana drives trucks with dangerous goods. She has had no accident in twelve years.",
}
NOTICE = "How long is the notice period?"
CHAT = "/api/generate"  # what Ollama is asked for a system's and a user's text


def rows(texts):
    return "".join(json.dumps({"id": name, "title": f"About {name}", "body": text}) + "\n" for name, text in texts.items())


def fill(server, texts=None, dataset="papers"):
    server.ingest(dataset, rows(texts or TEXTS), key="id", source="papers.ndjson")
    made = server.post("/vectors/indexes", json={"dataset": dataset, "text_columns": ["body"]}, params={"wait": 120})
    assert made.status_code == 200, made.text


def rag(server, question=NOTICE, status=200, **fields):
    answer = server.post("/rag", json={"question": question, **fields})
    assert answer.status_code == status, answer.text
    return answer.json()


def number_of(prompt, words):
    """The number of the source in which words stand."""
    for number, text in re.findall(r"<<<SOURCE (\d+) [0-9a-f]{16}>>>\n(.*?)\n<<<END \1 ", prompt[-1]["content"], re.S):
        if words in text:
            return number
    raise AssertionError(f"{words!r} is in no source of {prompt}")


def tells_notice(messages):
    return f"It is six weeks [{number_of(messages, 'six weeks')}]."


def outcomes(server):
    return {(row["task_type"], row["model_id"]): row for row in server.sql("SELECT * FROM model_stats")}


@pytest.fixture(scope="module")
def models():
    with ModelServer() as stand_in:
        yield stand_in


@pytest.fixture
def papers(server):
    fill(server)
    return server


@pytest.fixture
def talking(request, models, tmp_path):
    """A lake with a language model that tells the notice period, and may take as long as the test says."""
    models.forget()
    models.names, models.script = ["tiny-chat"], tells_notice
    timeout = getattr(request, "param", "2m")
    with tarn.Server(tmp_path / "lake", "--set", f"ai.ollama.url={models.url}", "--set", "ai.chat.model=ollama/tiny-chat",
                     "--set", "ai.retries=0", "--set", f"answer.timeout={timeout}", "--set",
                     "answer.prices=ollama/tiny-chat=2/10") as server:
        fill(server)
        yield server
        models.release()


# ---- without a language model ----------------------------------------------------------------


def test_without_a_model_the_sentences_that_match(papers):
    answer = rag(papers)
    assert answer["model"] is None and not answer["refused"]
    assert answer["answer"].startswith("The notice period is six weeks to the end of a quarter. [1]")
    cited = answer["citations"][0]
    assert (cited["doc_id"], cited["chunk_no"], cited["title"]) == ("contract", 0, "About contract")
    for citation in answer["citations"]:
        assert citation["quote"] in TEXTS[citation["doc_id"]], "word for word"
    assert rag(papers)["answer"] == answer["answer"], "the same question, the same answer"


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils is not installed")
def test_a_citation_names_title_and_page(server):
    body = papers_support.pdf(["Opening hours of the harbour are from five to nine.", "The crane lifts forty tons at most."],
                              title="Harbour handbook")
    made = server.post("/ingest/documents", params={"dataset": "books", "name": "harbour.pdf"}, data=body)
    assert made.status_code == 200, made.text
    made = server.post("/vectors/indexes", json={"dataset": "books__pages", "text_columns": ["text"]}, params={"wait": 120})
    assert made.status_code == 200, made.text
    cited = rag(server, "How much does the crane lift?")["citations"][0]
    assert (cited["title"], cited["page"]) == ("Harbour handbook", 2) and "forty tons" in cited["quote"]


def test_what_the_texts_do_not_hold_is_refused(papers):
    for question in ("What is the capital of Australia?", "Which wine goes with grilled salmon?"):
        answer = rag(papers, question)
        assert answer["refused"] and answer["reason"].startswith("weak_retrieval: ")
        assert answer["answer"] == "" and answer["citations"] == []
    none = rag(papers, NOTICE, filter="id = 'nobody'")
    assert none["refused"] and none["reason"].startswith("nothing_found: ")


def test_the_limit_can_be_set(tmp_path):
    with tarn.Server(tmp_path / "lake", "--set", "answer.similarity=99") as server:
        fill(server)
        assert rag(server)["refused"]
    with tarn.Server(tmp_path / "lake", "--set", "answer.similarity=0") as server:
        assert not rag(server, "What is the capital of Australia?")["refused"]


def test_a_filter_holds_in_answers_too(papers):
    answer = rag(papers, "Who works at night?", filter="id <> 'nurse'")
    assert "nurse" not in {citation["doc_id"] for citation in answer["citations"]}
    refused = papers.post("/rag", json={"question": NOTICE, "filter": "id IN (SELECT id FROM papers)"})
    assert refused.status_code == 422 and refused.json()["code"] == "sql_refused", refused.text


@pytest.mark.parametrize("body,status,word", [
    ({}, 400, "bad_request"), ({"question": "  "}, 400, "bad_request"), ({"question": "x" * 5000}, 400, "bad_request"),
    ({"question": "x", "k": 51}, 400, "bad_request"), ({"question": "x", "index": "no"}, 404, "not_found"),
    ({"question": "x", "index": "papers", "dataset": "papers"}, 400, "bad_request"),
    ({"question": "x", "kk": 1}, 400, "unknown_field"), ({"question": "x", "model": "ollama/none"}, 404, "not_found"),
])
def test_requests_that_make_no_sense(papers, body, status, word):
    answer = papers.post("/rag", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, word), answer.text


# ---- with one ----------------------------------------------------------------------------------


def test_a_model_answers_from_numbered_sources(talking, models):
    answer = rag(talking)
    assert (answer["model"], answer["refused"], answer["warnings"]) == ("ollama/tiny-chat", False, [])
    assert answer["answer"].startswith("It is six weeks [")
    assert [c["quote"] for c in answer["citations"]] == ["The notice period is six weeks to the end of a quarter."]
    assert answer["choice"]["how"] == "default" and answer["usage"]["prompt_tokens"] == 11
    assert answer["usage"]["cost_usd"] == pytest.approx((11 * 2 + answer["usage"]["answer_tokens"] * 10) / 1e6)
    asked, = models.asked(CHAT)
    system, user = models.chats()[0]
    assert (system["role"], user["role"]) == ("system", "user")
    assert "tools" not in asked and user["content"].rstrip().endswith(NOTICE)
    won = outcomes(talking)["rag", "ollama/tiny-chat"]
    assert (won["successes"], won["failures"]) == (1, 0)
    assert won["total_tokens"] == 11 + answer["usage"]["answer_tokens"]


def test_what_it_cites_is_checked(talking, models):
    models.script = lambda messages: (f'It is "six weeks to the end of a quarter" [{number_of(messages, "six weeks")}] and "two days at '
                                      f'most" [{number_of(messages, "six weeks")}], see [42] ![x](http://203.0.113.9/?q=1).')
    answer = rag(talking)
    assert [(d["source"], d["quote"]) for d in answer["dropped"] if d["reason"] != "an answer shows no images"][0] == (42, None)
    assert any(d["quote"] == "two days at most" for d in answer["dropped"])
    assert "two days" not in answer["answer"] and "42" not in answer["answer"] and "203.0.113.9" not in answer["answer"]
    assert [c["quote"] for c in answer["citations"]] == ["six weeks to the end of a quarter"]
    assert answer["warnings"]
    assert outcomes(talking)["rag", "ollama/tiny-chat"]["failures"] == 1


def test_a_model_may_refuse(talking, models):
    models.script = lambda _: "NO_ANSWER_IN_SOURCES"
    answer = rag(talking)
    assert answer["refused"] and answer["reason"].startswith("not_in_sources: ") and answer["answer"] == ""
    assert outcomes(talking)["rag", "ollama/tiny-chat"]["failures"] == 1


def test_what_stands_nowhere_is_refused(talking, models):
    models.script = lambda _: "Elephants migrate towards rivers during droughts across Botswana."
    answer = rag(talking)
    assert answer["refused"] and answer["reason"].startswith("unsupported: ")
    models.script = lambda _: "The notice period is six weeks."
    answer = rag(talking)
    assert not answer["refused"] and answer["warnings"] == ["the answer cites no source"]


def test_nobody_is_asked_about_what_is_not_there(talking, models):
    answer = rag(talking, "What is the capital of Australia?")
    assert answer["refused"] and answer["model"] is None and models.asked(CHAT) == []
    assert ("rag", "ollama/tiny-chat") not in outcomes(talking)


@pytest.mark.parametrize("talking,fault,word", [
    ("2m", "500", "unavailable"), ("2m", "truncated", "unavailable"), ("2m", "error in stream", "unavailable"),
    ("2s", "hold", "timed_out"), ("2m", "401", "upstream_failed")], indirect=["talking"])
def test_a_model_that_breaks_is_done_without_unless_it_was_named(talking, models, fault, word):
    models.fail_next(CHAT, fault)
    answer = rag(talking)
    assert answer["model"] is None and not answer["refused"] and "six weeks" in answer["answer"]
    assert answer["warnings"][0].startswith("ollama/tiny-chat did not answer (")
    lost = outcomes(talking)["rag", "ollama/tiny-chat"]
    assert (lost["successes"], lost["failures"], lost["timeouts"]) == (0, 1, int(fault == "hold"))
    models.fail_next(CHAT, fault)
    refused = talking.post("/rag", json={"question": NOTICE, "model": "ollama/tiny-chat"})
    assert refused.status_code >= 500 and refused.json()["code"] == word, refused.text
    newest = talking.get("/answers").json()["items"][0]
    assert newest["model"] == "ollama/tiny-chat" and newest["error"] == refused.json()["code"]
    assert outcomes(talking)["rag", "ollama/tiny-chat"]["failures"] == 2


def test_a_provider_that_is_away_keeps_nobody_from_the_passages(models, tmp_path):
    with tarn.Server(tmp_path / "lake", "--set", "ai.ollama.url=http://127.0.0.1:9", "--set", "ai.retries=0", "--set",
                     "ai.chat.model=ollama/tiny-chat") as server:
        fill(server)
        answer = rag(server)
        assert answer["model"] is None and "six weeks" in answer["answer"] and len(answer["warnings"]) == 1


def test_reranking(talking, models):
    def script(messages):
        if "into the order" in messages[0]["content"]:
            return json.dumps({"order": [int(number_of(messages, "Cem"))]})
        return f"Cem is a certified welder [{number_of(messages, 'Cem')}]."
    models.script = script
    answer = rag(talking, "Who has a certificate?", rerank=True)
    assert answer["citations"][0]["doc_id"] == "welder" and answer["citations"][0]["source"] == 1
    models.script = lambda messages: "what?" if "into the order" in messages[0]["content"] else "Cem is a certified welder."
    assert "gave no order" in rag(talking, "Who has a certificate?", rerank=True)["warnings"][0]


# ---- streamed ---------------------------------------------------------------------------------


def events(answer):
    assert answer.headers["Content-Type"] == "text/event-stream"
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def stream(server, question=NOTICE, **fields):
    return events(server.post("/rag", json={"question": question, "stream": True, **fields}))


def test_words_as_they_come(talking, models):
    told = stream(talking)
    assert told[0][0] == "sources" and told[-1][0] == "done" and {name for name, _ in told[1:-1]} == {"token"}
    assert {source["doc_id"] for source in told[0][1]} <= set(TEXTS) and told[0][1][0]["source"] == 1
    assert "".join(token["text"] for _, token in told[1:-1]) == told[-1][1]["answer"]
    models.script = lambda _: "NO_ANSWER_IN_SOURCES"
    told = stream(talking)
    assert [name for name, _ in told] == ["sources", "done"] and told[-1][1]["refused"], "the sentinel is not shown"
    models.script = lambda _: "NO"
    assert [data["text"] for name, data in stream(talking) if name == "token"] == ["NO"]


def test_a_stream_that_breaks_says_so(talking, models):
    models.fail_next(CHAT, "truncated")
    try:
        text = talking.post("/rag", json={"question": NOTICE, "stream": True, "model": "ollama/tiny-chat"}).text
    except tarn.requests.exceptions.ChunkedEncodingError:
        return  # cut where it broke: nobody takes it for whole
    assert "event: error" in text and "event: done" not in text


def test_streams_without_a_model(papers):
    told = stream(papers)
    assert [name for name, _ in told] == ["sources", "token", "done"]
    assert told[1][1]["text"] == told[2][1]["answer"]


# ---- which model ---------------------------------------------------------------------------------


def test_auto_picks_what_did_well_and_says_why(models, tmp_path):
    models.forget()
    models.names = ["good", "poor", "nomic-embed-text"]
    models.script = tells_notice
    with tarn.Server(tmp_path / "lake", "--set", f"ai.ollama.url={models.url}", "--set", "answer.model=auto", "--set",
                     "answer.exploration=0") as server:
        fill(server)
        past = [{"task_type": "rag", "model_id": f"ollama/{name}", "success": name == "good", "key": f"{name}{i}"}
                for name in ("good", "poor") for i in range(20)]
        assert server.post("/outcomes", json={"outcomes": past}).status_code == 200
        for _ in range(5):
            answer = rag(server)
            assert answer["model"] == "ollama/good"
        choice = answer["choice"]
        assert choice["how"] == "auto" and not choice["explored"] and choice["trials"] >= 20 and "best of 2" in choice["why"]
    with tarn.Server(tmp_path / "lake", "--set", f"ai.ollama.url={models.url}", "--set", "answer.exploration=100") as server:
        answer = rag(server, model="auto")
        assert answer["model"] == "ollama/poor" and answer["choice"]["explored"]
        assert rag(server, model="none")["model"] is None


# ---- what is kept ----------------------------------------------------------------------------------


def test_answers_are_kept_with_what_made_them(talking):
    given = rag(talking)
    kept = talking.get(f"/answers/{given['answer_id']}").json()
    assert (kept["kind"], kept["question"], kept["model"], kept["prompt_version"]) == ("rag", NOTICE, "ollama/tiny-chat", "rag-1")
    assert kept["answer"] == given["answer"] and kept["citations"] == given["citations"]
    assert kept["snapshots"] == given["snapshots"] and list(kept["snapshots"]) == ["papers"]
    assert all(len(chunk["hash"]) == 64 for chunk in kept["chunks"]) and kept["embedding_model"].startswith("builtin/")
    assert kept["actor"] and kept["feedback"] is None
    talking.kill()
    talking.start()
    assert talking.get(f"/answers/{given['answer_id']}").json() == kept, "what was acknowledged is there"
    listed = talking.get("/answers", params={"limit": 1}).json()
    assert listed["items"][0]["answer_id"] == given["answer_id"] and listed["next_cursor"] is None
    assert talking.get("/answers/nothing").status_code == 404


def test_feedback_counts_as_a_trial(talking):
    given = rag(talking)["answer_id"]
    for _ in range(2):
        said = talking.post(f"/answers/{given}/feedback", json={"good": True})
        assert said.json() == {"answer_id": given, "feedback": "good"}
    assert talking.post(f"/answers/{given}/feedback", json={"good": False}).status_code == 409
    assert talking.get(f"/answers/{given}").json()["feedback"] == "good"
    assert outcomes(talking)["rag", "ollama/tiny-chat"]["successes"] == 2


def searchable(server, word):
    asked = {"query": word, "mode": "keyword", "index": "papers"}
    tarn.wait_for(f"{word} is found", lambda: server.post("/search", json=asked).json()["hits"])


def replay(server, answer, **fields):
    made = server.post(f"/answers/{answer}/replay", json=fields)
    assert made.status_code == 200, made.text
    return made.json()


def test_a_replay_says_what_changed(talking, models):
    given = rag(talking)["answer_id"]
    same = replay(talking, given)
    assert same["changed"] == [] and same["text"]["same"] and same["then"]["answer"] == same["now"]["answer"]
    assert same["now"]["replay_of"] == given
    new = {**TEXTS, "contract": "The notice period is eleven weeks since the amendment of spring. The office wants it in writing."}
    done = talking.request("PUT", "/datasets/papers/rows",
                           json=[{"id": "contract", "title": "About contract", "body": new["contract"]}])
    assert done.status_code == 200, done.text
    searchable(talking, "amendment")
    models.script = lambda messages: f"It is eleven weeks [{number_of(messages, 'eleven weeks')}]."
    now = replay(talking, given)
    assert {"snapshots", "chunks", "text"} <= set(now["changed"]) and "model" not in now["changed"]
    assert [chunk["doc_id"] for chunk in now["chunks"]["changed"]] == ["contract"]
    assert now["snapshots"]["papers"]["then"] != now["snapshots"]["papers"]["now"]
    assert now["then"]["answer"].startswith("It is six weeks") and now["now"]["answer"].startswith("It is eleven weeks")
    models.forget()
    models.script = tells_notice
    then = replay(talking, given, data="then")
    assert then["changed"] == [] and "six weeks" in models.chats()[0][-1]["content"], "over the passages as they were"
    assert "model" in replay(talking, given, data="then", model="none")["changed"]


def test_the_command_line(talking):
    asked = talking.cli("rag", NOTICE, "--dataset", "papers", "--k", "8")
    assert asked.stdout.startswith("It is six weeks [") and "About contract" in asked.stdout
    streamed = talking.cli("rag", NOTICE, "--stream")
    assert streamed.stdout == asked.stdout
    given = json.loads(talking.cli("--json", "rag", NOTICE).stdout)
    assert given["answer_id"] in talking.cli("answers").stdout
    assert json.loads(talking.cli("answer", given["answer_id"]).stdout)["question"] == NOTICE
    assert "good" in talking.cli("answer", given["answer_id"], "--good").stderr
    assert "nothing changed" in talking.cli("replay", given["answer_id"]).stderr
    refused = talking.cli("rag", "What is the capital of Australia?")
    assert refused.stdout == "" and "refused: weak_retrieval" in refused.stderr
