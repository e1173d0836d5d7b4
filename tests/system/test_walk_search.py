"""Searches off the common road: nothing that was asked for is left out without a word."""
import pytest

NOTES = ("id,city,txt\n1,Chicago,Led the move of forty services to Kubernetes and Go; a cloud migration.\n"
         "2,Boston,Java developer of billing systems who is never on call at night.\n"
         "3,Erie,Forklift operator with a night shift certificate and much patience.\n")


@pytest.fixture(scope="module")
def notes(tmp_path_factory, binary):
    from tests.support.tarn import Server
    with Server(tmp_path_factory.mktemp("walk") / "lake") as server:
        server.ingest("notes", NOTES, key="id")
        made = server.post("/vectors/indexes?wait=100", json={"dataset": "notes"})
        assert made.status_code == 200, made.text
        yield server


@pytest.mark.parametrize("path, body, word", [
    ("/search", {"query": "java", "datasets": []}, "datasets"),
    ("/search", {"query": "java", "index": "notes", "datasets": ["notes"]}, "not both"),
    ("/vectors/search", {"index": "notes", "query": "java", "vector": [0.1] * 384}, "not by both"),
    ("/search", {"query": "java", "filter": "42"}, "is a value"),
    ("/search", {"query": "java", "filter": "'Chicago'"}, "is a value")])
def test_what_would_be_left_out_is_refused(notes, path, body, word):
    answer = notes.post(path, json=body)
    assert answer.status_code == 400 and word in answer.json()["detail"], answer.text


def test_a_filter_over_no_column_names_the_dataset(notes):
    answer = notes.post("/search", json={"query": "java", "filter": "score > 0"})
    assert answer.status_code == 400 and '"notes"' in answer.json()["hint"], answer.text


@pytest.mark.parametrize("call", ["vector_search", "keyword_search", "hybrid_search"])
def test_a_search_does_not_pretend_to_be_of_another_moment(notes, call):
    sql = f"select id from {call}('notes', 'java', 1)"
    assert notes.query(sql)["rows"] == [[2]]
    moment = notes.get("/catalog/datasets/notes").json()["snapshot_id"]
    answer = notes.post("/query/sql", json={"sql": sql, "as_of": moment})
    assert (answer.status_code, answer.json()["code"]) == (422, "sql_refused"), answer.text
    assert "as_of" in answer.json()["hint"]


def test_changes_until_now_keep_to_the_moment_asked_for(server):
    server.ingest("t", "id,v\n1,a\n2,b\n", key="id")
    first = server.get("/catalog/datasets/t").json()["snapshot_id"]
    second = server.request("PUT", "/datasets/t/rows", json=[{"id": 3, "v": "c"}]).json()["snapshot_id"]
    server.delete("/datasets/t/rows/1")
    sql = f"select change, id from changes('t', {first}) order by id"
    assert server.query(sql)["rows"] == [["delete", 1], ["insert", 3]]
    assert server.query(sql, as_of=second)["rows"] == [["insert", 3]]
    assert server.query(f"select change, id from changes('t', {first}, {first})", as_of=second)["rows"] == []


def test_a_filter_of_chance_or_time_is_asked_each_time(notes):
    notes.ingest("many", "id,txt\n" + "".join(f"{i},A text about number {i} that is long enough to be prose.\n" for i in range(40)), key="id")
    assert notes.post("/vectors/indexes?wait=100", json={"dataset": "many"}).status_code == 200

    def found(rule):
        hits = notes.post("/search", json={"query": "text", "index": "many", "k": 40, "filter": rule}).json()["hits"]
        return frozenset(hit["doc_id"] for hit in hits)
    assert len({found("random() < 0.5") for _ in range(4)}) > 1
    assert len({found("id < 20") for _ in range(4)}) == 1
