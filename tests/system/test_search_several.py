"""Several datasets in one search, the index of a model, rows with hits, names of arguments in SQL."""
import pytest

from tests.support import tarn

pytestmark = pytest.mark.skipif(not (tarn.BINARY.parent / "all-MiniLM-L6-v2.tarn-model").is_file(),
                                reason="the build has no embedding model (tools/fetch_model.sh)")

PEOPLE = "id,city,summary\n" + "".join(f'{i},{city},"{text}"\n' for i, (city, text) in enumerate([
    ("Chicago", "Moved forty services from virtual machines to Kubernetes clusters; Java and Go."),
    ("Boston", "Registered nurse in the emergency room of a large hospital."),
    ("Chicago", "Baker of sourdough bread and French pastries."),
    ("Denver", "Site reliability engineer: container orchestration, incident reviews."),
], 1))
JOBS = "job_id,title,description\n" + "".join(f'{i},{title},"{text}"\n' for i, (title, text) in enumerate([
    ("Platform engineer", "We want somebody who runs our Kubernetes clusters and their migration to the cloud."),
    ("Pastry chef", "Bread, croissants and cakes for a hotel kitchen."),
], 1))
WIKI = "page,body\n1,\"The holidays of the office are listed by the front desk every January.\"\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with tarn.Server(tmp_path_factory.mktemp("several") / "lake") as server:
        for name, key, data, column in (("people", "id", PEOPLE, "summary"), ("jobs", "job_id", JOBS, "description"),
                                        ("wiki", "page", WIKI, "body")):
            server.ingest(name, data, key=key)
            made = server.post("/vectors/indexes", json={"dataset": name, "text_columns": [column]}, params={"wait": 120})
            assert made.status_code == 200, made.text
        yield server


def search(server, status=200, params=None, **body):
    answer = server.post("/search", json=body, params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_one_list_of_several_datasets(library, mode):
    answer = search(library, query="kubernetes migration", datasets=["people", "jobs", "wiki"], k=3, mode=mode)
    hits = [(hit["dataset"], hit["doc_id"]) for hit in answer["hits"]]
    assert set(hits[:2]) == {("people", "1"), ("jobs", "1")}, hits
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert [s["dataset"] for s in answer["searched"]] == ["people", "jobs", "wiki"]
    if mode != "keyword":
        assert len(hits) == 3 and ("wiki", "1") not in hits  # its best is far away, though the best of its index
    assert answer == {**search(library, query="kubernetes migration", datasets=["people", "jobs", "wiki"], k=3, mode=mode),
                      "elapsed_ms": answer["elapsed_ms"], "query_id": answer["query_id"], "searched": answer["searched"]}


def test_all_hits_when_k_is_larger(library):
    answer = search(library, query="anything at all", datasets=["people", "jobs", "wiki"], k=50, mode="vector")
    assert len(answer["hits"]) == 7


def test_rrf_of_several(library):
    answer = search(library, query="bread and pastries", datasets=["people", "jobs"], k=2, fusion="rrf")
    assert {(hit["dataset"], hit["doc_id"]) for hit in answer["hits"]} == {("people", "3"), ("jobs", "2")}


@pytest.mark.parametrize("body,status,word", [
    ({"datasets": ["people", "nobody"]}, 404, "nobody"), ({"datasets": ["people", "PEOPLE"]}, 400, "twice"),
    ({"datasets": ["people", 5]}, 400, "number 2"), ({"datasets": [f"d{i}" for i in range(17)]}, 400, "16"),
    ({"datasets": ["people", "jobs"], "filter": "city = 'Chicago'"}, 400, "jobs")])
def test_what_cannot_be_searched_is_named(library, body, status, word):
    answer = library.post("/search", json={"query": "x", **body})
    assert answer.status_code == status and word in answer.text, answer.text


def test_the_index_of_a_model(library):
    for model in ("all-MiniLM-L6-v2", "builtin/all-MiniLM-L6-v2"):
        assert search(library, params={"model": model}, query="bread", datasets=["jobs"])["index"] == "jobs"
    several = search(library, params={"model": "all-MiniLM-L6-v2"}, query="bread", datasets=["jobs", "people"])
    assert [s["index"] for s in several["searched"]] == ["jobs", "people"]
    missing = library.post("/search", json={"query": "x", "datasets": ["jobs"]}, params={"model": "nomic"})
    assert missing.status_code == 404 and "all-MiniLM-L6-v2" in missing.json()["hint"]


def test_rows_come_with_hits(library):
    hit = search(library, query="nurse", datasets=["people"], k=1, rows=True)["hits"][0]
    assert hit["row"]["id"] == 2 and hit["row"]["city"] == "Boston" and set(hit["row"]) == {"id", "city", "summary"}
    both = search(library, query="pastry", datasets=["people", "jobs"], k=2, rows=True)["hits"]
    assert {tuple(hit["row"]) for hit in both} == {("id", "city", "summary"), ("job_id", "title", "description")}
    assert search(library, query="nurse", datasets=["people"], k=1)["hits"][0]["row"] is None
    told = library.cli("search", "nurse", "--dataset", "people", "-n", "1", "--rows").stdout
    assert "city: Boston" in told and "id: 2" in told
    many = library.cli("search", "pastry", "--dataset", "people,jobs", "-n", "2").stdout
    assert "people 3" in many and "jobs 2" in many


def test_arguments_by_name(library):
    by_place = library.query("SELECT * FROM hybrid_search('people', 'kubernetes', 2, 'city = ''Chicago''')")["rows"]
    by_name = library.query("SELECT * FROM hybrid_search('people', 'kubernetes', k := 2, filter := 'city = ''Chicago''')")
    swapped = library.query("SELECT * FROM hybrid_search('people', 'kubernetes', FILTER := 'city = ''Chicago''', k := 2)")
    assert by_place == by_name["rows"] == swapped["rows"] and len(by_place) == 2
    weighed = library.query("SELECT * FROM hybrid_search('people', 'bread', k := 1, weight := 0.0)")["rows"]
    assert weighed[0][0] == "3"
    assert len(library.query("SELECT * FROM vector_search('people', 'x', k := 4, recall := 0.9)")["rows"]) == 4
    both = library.query("SELECT a.doc_id, b.doc_id FROM keyword_search('people', 'bread', k := 1) a, "
                         "keyword_search('people', 'nurse', k := 1) b")["rows"]
    assert both == [["3", "2"]]  # two calls of one function are two


@pytest.mark.parametrize("call,status", [
    ("hybrid_search('people', 'x', j := 2)", 400), ("hybrid_search('people', 'x', 5, k := 2)", 400),
    ("hybrid_search('people', 'x', k := 0)", 400), ("hybrid_search('people', 'x', weight := 2)", 400),
    ("hybrid_search('people', 'x', fusion := 'none')", 400), ("hybrid_search('people', k := 2)", 400),
    ("hybrid_search('people', 'x', k := 1 + 1)", 422), ("hybrid_search('people', 'x', k := (SELECT 2))", 422),
    ("changes('people', since := 0)", 400), ("read_csv(path := '/etc/passwd')", 422)])
def test_wrong_arguments(library, call, status):
    answer = library.post("/query/sql", json={"sql": f"SELECT * FROM {call}"})
    assert answer.status_code == status, answer.text
