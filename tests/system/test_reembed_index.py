"""`tarn reembed --index`: an index by another model, compared, switched, switched back."""
import csv
import io
import json

import pytest

from tests.support import tarn
from tests.support.reembed import model_server, wait_for

ROWS = 40


def as_csv(rows):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "body"])
    writer.writerows(rows)
    return out.getvalue()


@pytest.fixture
def models():
    with model_server(32) as running:
        running.names.append("other-embed")
        yield running


@pytest.fixture
def notes(models, lake):
    env = {"TARN_AI_OLLAMA_URL": models.url}
    with tarn.Server(lake, env=env) as server:
        server.ingest("notes", as_csv([i, f"note number {i} is about subject {i % 7}"] for i in range(ROWS)), key="id")
        made = server.post("/vectors/indexes", json={"dataset": "notes", "text_columns": ["body"],
                                                     "model": "ollama/plain-embed"}, params={"wait": 120})
        assert made.status_code == 200, made.text
        yield server


def model_of(server, index="notes"):
    answer = server.post("/search", json={"index": index, "query": "note number 3", "mode": "vector"})
    assert answer.status_code == 200, answer.text
    return answer.json()["model"]


def versions(server):
    return server.get("/vectors/indexes/notes/versions").json()


def test_built_beside_compared_switched_and_back(notes, models, lake, tmp_path):
    assert versions(notes)["serving"] == "notes" and model_of(notes) == "ollama/plain-embed"
    done = notes.cli("reembed", "--index", "notes", "--model", "ollama/other-embed")
    assert "notes__v2: 40 chunks, 40 embedded by ollama/other-embed" in done.stderr, done.stderr
    assert model_of(notes) == "ollama/plain-embed" and model_of(notes, "notes__v2") == "ollama/other-embed"
    # A search by the dataset does not take the newer index for another one.
    by_dataset = notes.post("/search", json={"datasets": ["notes"], "query": "x"}).json()
    assert by_dataset["model"] == "ollama/plain-embed"

    told = json.loads(notes.cli("--json", "reembed", "--index", "notes", "--compare", "--k", "5").stdout)
    # The stand-in's models give the same vectors.
    assert told["overlap"] == 1 and told["rank_correlation"] == 1 and told["queries"] == 20
    assert told["old"] == "notes__v1" and told["new"] == "notes__v2" and len(told["hits"]) == 20

    notes.cli("reembed", "--index", "notes", "--switch")
    assert model_of(notes) == "ollama/other-embed" and model_of(notes, "notes__v1") == "ollama/plain-embed"
    found = notes.sql("SELECT count(*) AS n FROM vector_search('notes', 'note number 3', 5)")
    assert found[0]["n"] == 5
    by_model = notes.post("/search", params={"model": "plain-embed"}, json={"datasets": ["notes"], "query": "x"}).json()
    assert by_model["model"] == "ollama/plain-embed"
    notes.cli("reembed", "--index", "notes", "--rollback")
    assert model_of(notes) == "ollama/plain-embed"
    notes.cli("reembed", "--index", "notes", "--switch=notes__v2")
    assert versions(notes)["previous"] == "notes"


def test_judged_questions(notes, models, tmp_path):
    models.salt = "worse"  # from here on the model's vectors are others
    notes.cli("reembed", "--index", "notes", "--model", "ollama/other-embed")
    models.salt = ""
    questions = tmp_path / "questions.ndjson"
    questions.write_text("".join(json.dumps({"query": f"note number {i} is about subject {i % 7}", "relevant": [str(i)]}) + "\n"
                                 for i in range(10)) + "a question without a judgement\n")
    told = json.loads(notes.cli("--json", "reembed", "--index", "notes", "--compare", "--queries", questions).stdout)
    assert told["queries"] == 11 and told["judged"] == 10
    assert told["ndcg_old"] == pytest.approx(1) and told["ndcg_new"] < 0.9 and told["overlap"] < 1
    shown = notes.cli("reembed", "--index", "notes", "--compare", "--queries", questions).stdout
    assert "nDCG" in shown and "overlap" in shown and "note number 0" in shown


def ask(server, question, status=200):
    """The answer to a question, from texts."""
    answer = server.post("/rag", json={"question": question, "index": "notes"})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_recorded_questions(notes, models):
    """What was asked is what is compared by; what was called good is judged."""
    asked = [f"note number {number} is about subject {number % 7}" for number in range(6)]
    answers = [ask(notes, question) for question in [*asked, asked[0]]]
    judged = next(answer for answer in answers if answer["citations"])
    notes.cli("answer", judged["answer_id"], "--good")
    bad = next(answer for answer in answers if answer["answer_id"] != judged["answer_id"])
    notes.cli("answer", bad["answer_id"], "--bad")
    notes.cli("ask", "How many notes are there?", check=False)  # of tables: no index is asked
    models.salt = "worse"
    notes.cli("reembed", "--index", "notes", "--model", "ollama/other-embed")
    models.salt = ""
    told = json.loads(notes.cli("--json", "reembed", "--index", "notes", "--compare").stdout)
    assert told["queries_from"] == "recorded questions" and told["queries"] == 6 and told["judged"] == 1
    assert {side["query"] for side in told["hits"]} == set(asked)
    assert told["ndcg_old"] > 0.5 and told["overlap"] < 1
    shown = notes.cli("reembed", "--index", "notes", "--compare").stdout
    assert "6 queries (recorded questions)" in shown and "nDCG" in shown


def test_questions_to_other_indexes_are_not_ours(notes):
    notes.ingest("papers", as_csv([[1, "a paper about boats"]]), key="id")
    made = notes.post("/vectors/indexes", json={"dataset": "papers", "text_columns": ["body"],
                                                "model": "ollama/plain-embed"}, params={"wait": 120})
    assert made.status_code == 200, made.text
    notes.post("/rag", json={"question": "a paper about boats", "index": "papers"})
    notes.cli("reembed", "--index", "notes", "--model", "ollama/other-embed")
    told = json.loads(notes.cli("--json", "reembed", "--index", "notes", "--compare").stdout)
    assert told["queries_from"] == "first words of documents" and told["queries"] == 20


def test_the_pointer_outlives_the_server(notes, lake, models):
    notes.cli("reembed", "--index", "notes", "--model", "ollama/other-embed")
    notes.cli("reembed", "--index", "notes", "--switch")
    notes.kill()
    notes.start()
    assert model_of(notes) == "ollama/other-embed" and versions(notes)["previous"] == "notes"


def test_both_follow_the_dataset(notes):
    notes.cli("reembed", "--index", "notes", "--model", "ollama/other-embed")
    notes.ingest("notes", as_csv([[100, "a note that came later"]]), key="id", mode="upsert")

    def first(name):
        asked = {"index": name, "query": "a note that came later", "mode": "vector", "k": 1}
        answer = notes.post("/search", json=asked).json()
        return None if answer["behind"] else answer["hits"][0]["doc_id"]

    for name in ("notes__v1", "notes__v2"):
        wait_for(lambda name=name: first(name) == "100")


def test_dropped_together(notes):
    notes.cli("reembed", "--index", "notes", "--model", "ollama/other-embed")
    notes.cli("reembed", "--index", "notes", "--switch")
    refused = notes.delete("/vectors/indexes/notes__v2")
    assert refused.status_code == 409 and "serves" in refused.text
    assert notes.delete("/vectors/indexes/notes").status_code < 300
    listed = notes.get("/vectors/indexes").json()["items"]
    assert listed == []
    assert "notes__v2__vectors" not in [d["name"] for d in notes.get("/catalog/datasets").json()["items"]]


@pytest.mark.parametrize("words,told", [
    (["--model", "ollama/plain-embed"], "of model ollama/plain-embed at this version already"),
    (["--model", "nobody"], "no model is called nobody"),
    (["--compare"], "nothing to compare"), (["--switch"], "one version"), (["--rollback"], "no versions"),
    ([], "--index goes with one of"), (["--compare", "--rollback"], "--index goes with one of")])
def test_refused(notes, words, told):
    done = notes.cli("reembed", "--index", "notes", *words, check=False)
    assert done.returncode != 0 and told in done.stderr, done.stderr


def test_an_index_that_is_not_there(notes):
    done = notes.cli("reembed", "--index", "nothing", "--model", "ollama/other-embed", check=False)
    assert done.returncode != 0 and "there is no index \"nothing\"" in done.stderr
