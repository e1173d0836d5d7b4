"""What a search refuses, and with which words."""
import pytest

from tests.support import tarn

ROWS = "id,city,note\n1,Oslo,java and kotlin\n2,Bergen,bread and cakes\n3,Oslo,ratio 3 to 1\n"


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    with tarn.Server(tmp_path_factory.mktemp("notes") / "lake") as server:
        if not (tarn.BINARY.parent / "all-MiniLM-L6-v2.tarn-model").is_file():
            pytest.skip("the build has no embedding model (tools/fetch_model.sh)")
        server.ingest("notes", ROWS, key="id")
        made = server.post("/vectors/indexes", json={"dataset": "notes", "text_columns": ["note"]}, params={"wait": 100})
        assert made.status_code == 200, made.text
        yield server


def refused(answer, words):
    assert answer.status_code in (400, 422), answer.text
    assert words in answer.json()["detail"] and answer.json()["hint"], answer.text


@pytest.mark.parametrize("query", ["", "  \t\n"])
def test_an_empty_query(notes, query):
    for mode in ("hybrid", "vector", "keyword"):
        refused(notes.post("/search", json={"query": query, "mode": mode}), "empty")
    refused(notes.post("/vectors/search", json={"index": "notes", "query": query}), "empty")
    refused(notes.post("/query/sql", json={"sql": f"select * from hybrid_search('notes', '{query}')"}), "empty")
    assert notes.post("/search", json={"query": " java "}).json()["hits"][0]["doc_id"] == "1"


@pytest.mark.parametrize("query,found", [("title:java", ["1"]), ("city:bread NOT note:java", ["2"])])
def test_a_columns_name_before_a_word_is_a_word(notes, query, found):
    answer = notes.post("/search", json={"query": query, "mode": "keyword"}).json()
    assert [hit["doc_id"] for hit in answer["hits"]] == found


def test_what_would_be_ignored(notes):
    for more in ({"mode": "keyword"}, {"mode": "vector"}, {"fusion": "rrf"}):
        refused(notes.post("/search", json={"query": "java", "weight": 0.3, **more}), "weight")
    assert notes.post("/search", json={"query": "java", "weight": 0.3}).status_code == 200
    refused(notes.post("/search", json={"query": "java", "recall_target": 0}), "recall_target")
    refused(notes.post("/vectors/search", json={"index": "notes", "query": "java", "recall_target": 0}), "recall_target")
    refused(notes.post("/vectors/indexes", json={"dataset": "notes", "name": "n", "recall_target": 0}), "recall_target")
    for call in ("keyword_search('notes', 'java', weight := 0.3)",
                 "hybrid_search('notes', 'java', weight := 0.3, fusion := 'rrf')"):
        refused(notes.post("/query/sql", json={"sql": f"select * from {call}"}), "weight")


def test_an_index_over_the_vectors_of_an_index(notes):
    refused(notes.post("/vectors/indexes", json={"dataset": "notes__vectors"}), "vectors of an index")


def test_a_failed_first_build_is_told(notes):
    notes.ingest("uneven", '{"id":1,"v":[0.5,0,0]}\n{"id":2,"v":[0.5,0]}\n', format="ndjson", key="id")
    made = notes.post("/vectors/indexes", json={"dataset": "uneven", "vector_column": "v"}, params={"wait": 100})
    assert made.status_code != 200, made.text
    shown = notes.get("/vectors/indexes/uneven")
    assert shown.json()["problem"], shown.text
