"""Indexes and searches over HTTP and by the command line, with the built-in model."""
import csv
import io
import time

import pytest

SUBJECTS = {
    "kubernetes": "Led the move of forty services from virtual machines to container orchestration on Kubernetes.",
    "nurse": "Registered nurse with ten years in intensive care and emergency rooms.",
    "welder": "Certified welder of pipelines and pressure vessels, ready to travel.",
    "teacher": "Primary school teacher who loves mathematics and puppets.",
    "driver": "Truck driver with a clean record and a licence for dangerous goods.",
}


def rows(count):
    subjects = list(SUBJECTS.items())
    for i in range(count):
        name, text = subjects[i % len(subjects)]
        yield [i, "Chicago" if i % 10 < 5 else "Boston", name, f"{text} Candidate number{i}."]


def as_csv(items):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "city", "trade", "summary"])
    writer.writerows(items)
    return out.getvalue()


def index(server, **fields):
    body = {"dataset": "people", "text_columns": ["summary"], **fields}
    answer = server.post("/vectors/indexes", json=body, params={"wait": 120})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def people(server):
    server.ingest("people", as_csv(rows(100)), key="id")
    index(server)
    return server


def search(server, query, status=200, **fields):
    answer = server.post("/search", json={"query": query, **fields})
    assert answer.status_code == status, answer.text
    return answer.json()


def ids(answer):
    return [hit["doc_id"] for hit in answer["hits"]]


def eventually(check, seconds=120):
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)


def opened(server, name="people"):
    """Behind a start an index's files are being opened, for which a search waits a second and no longer."""
    eventually(lambda: server.get(f"/vectors/indexes/{name}").json()["state"] != "opening")


def test_meaning_words_and_both(people):
    answer = search(people, "somebody to run our cloud containers", mode="vector", k=20)
    assert all(int(id) % 5 == 0 for id in ids(answer)), "the ones who know Kubernetes, in other words"
    assert answer["plan"]["strategy"] != "none"
    assert ids(search(people, "number42", mode="keyword")) == ["42"]
    assert ids(search(people, "who is number42", mode="hybrid"))[0] == "42"
    assert ids(search(people, "number42 NOT teacher", mode="keyword")) == ["42"]
    assert ids(search(people, "welder AND number42", mode="keyword")) == ["42"]
    assert ids(search(people, "nurse AND number42", mode="keyword")) == []
    assert search(people, '"" ( AND NOT *', mode="keyword")["hits"] == []


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_exactly_k_under_a_filter(people, mode):
    for k in (1, 7, 10, 30):
        answer = search(people, "welder of pipelines", mode=mode, k=k, filter="trade = 'welder' and city = 'Chicago'")
        assert len(answer["hits"]) == min(k, 10)
        assert len(set(ids(answer))) == len(answer["hits"])
        assert all(int(id) % 5 == 2 and int(id) % 10 < 5 for id in ids(answer))


def test_a_filter_is_judged(people):
    assert search(people, "x", status=400, filter="nosuch = 1")["code"] == "sql_error"
    refused = search(people, "x", status=422, filter="id in (select id from people)")
    assert refused["code"] == "sql_refused"


def test_vectors_by_hand(people):
    one = people.post("/ai/embed", json={"texts": ["a nurse"], "use": "query"}).json()["vectors"][0]
    by_vector = people.post("/vectors/search", json={"index": "people", "vector": one, "k": 5}).json()
    by_text = people.post("/vectors/search", json={"index": "people", "query": "a nurse", "k": 5}).json()
    assert ids(by_vector) == ids(by_text)
    short = people.post("/vectors/search", json={"index": "people", "vector": one[:3]})
    assert (short.status_code, short.json()["code"]) == (400, "bad_request")
    other = people.post("/vectors/search", json={"index": "people", "vector": one, "model_version": "another"})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


def test_rows_and_explanations(people):
    hit = search(people, "number7", mode="keyword", rows=True)["hits"][0]
    assert hit["row"] == {"id": 7, "city": "Boston", "trade": "welder", "summary": hit["text"]}
    explained = search(people, "number7", explain=True, filter="id < 50")
    assert explained["plan"]["passing"] == 50
    assert explained["hits"][0]["keyword_rank"] == 1
    assert set(explained["plan"]["microseconds"]) == {"embed", "filter", "vector", "keyword", "fetch"}


def test_the_same_question_has_the_same_answer(people):
    first, second = (search(people, "drives dangerous goods", k=20) for _ in range(2))
    assert first["hits"] == second["hits"]


def test_a_deleted_row_is_never_returned(people):
    for id in (2, 7, 12):
        assert people.request("DELETE", f"/datasets/people/rows/{id}").status_code == 200
        for mode in ("hybrid", "vector", "keyword"):
            assert str(id) not in ids(search(people, f"welder number{id}", mode=mode, k=100))


def test_changes_become_searchable(people):
    people.request("PUT", "/datasets/people/rows",
                   json=[{"id": 3, "city": "Rome", "trade": "baker", "summary": "Bakes sourdough bread at night."}])
    assert "3" not in ids(search(people, "teacher number3", mode="keyword"))
    eventually(lambda: ids(search(people, "sourdough", mode="keyword")) == ["3"])
    people.ingest("people", as_csv([[500, "Oslo", "diver", "Deep sea diver and photographer."]]))
    eventually(lambda: ids(search(people, "diver", mode="keyword")) == ["500"])
    eventually(lambda: not search(people, "diver")["behind"])
    assert ids(search(people, "takes pictures under water"))[0] == "500"


def test_vectors_are_an_ordinary_table(people):
    answer = people.query("select count(*), count(distinct chunk_id), min(len(embedding)), max(len(embedding)) "
                          "from people__vectors")
    assert answer["rows"] == [[100, 100, 384, 384]]


def test_a_second_index_embeds_nothing_again(people):
    report = index(people, name="again")
    assert (report["chunks"], report["embedded"], report["reused"]) == (100, 0, 100)
    several = people.post("/search", json={"query": "x"})
    assert (several.status_code, several.json()["code"]) == (400, "bad_request")
    assert people.post("/vectors/indexes", json={"dataset": "people", "name": "again"}).status_code == 409
    assert people.request("DELETE", "/vectors/indexes/again").json()["status"] == "dropped"
    names = [item["name"] for item in people.get("/vectors/indexes").json()["items"]]
    assert names == ["people"]


def test_evaluate_fold_and_roll_back(people):
    measured = people.post("/vectors/evaluate/people", json={"samples": 20, "k": 5}).json()
    assert measured["recall"] >= 0.9
    before = people.get("/vectors/indexes/people").json()["generation"]
    assert people.post("/vectors/indexes/people/fold").json()["status"] == "folded"
    assert people.get("/vectors/indexes/people").json()["generation"] != before
    assert people.post("/hnsw/rollback/people").json()["status"] == "rolled_back"
    assert people.get("/vectors/indexes/people").json()["generation"] == before
    assert ids(search(people, "number42", mode="keyword")) == ["42"]


def test_columns_are_chosen_and_mistakes_named(server):
    server.ingest("people", as_csv(rows(10)), key="id")
    wrong = server.post("/vectors/indexes", json={"dataset": "people", "text_columns": ["sumary"]})
    assert wrong.status_code == 400 and "summary" in wrong.json()["hint"]
    assert server.post("/vectors/indexes", json={"dataset": "peple"}).status_code == 404
    created = server.post("/vectors/indexes", json={"dataset": "people"}, params={"wait": 120})
    assert created.status_code == 200, created.text
    assert server.get("/vectors/indexes/people").json()["text_columns"] == ["summary"]
    assert server.post("/search", json={"query": "x", "index": "peeple"}).json()["hint"] == 'did you mean "people"?'


def test_searches_in_sql(people):
    answer = people.query("select id, p.city, h.rank, h.score > 0 from hybrid_search('people', "
                          "'run our cloud containers', 5, 'city = ''Chicago''') h join people p using (id) "
                          "order by h.rank")
    assert len(answer["rows"]) == 5
    assert all(row[0] % 5 == 0 and row[1] == "Chicago" and row[3] for row in answer["rows"])
    assert people.query("select doc_id from keyword_search('people', 'number42')")["rows"] == [["42"]]
    assert people.query("select count(*) from keyword_search('people', 'nobodysaysthis')")["rows"] == [[0]]
    assert people.query("select count(*) from vector_search('people', 'a nurse', 7)")["rows"] == [[7]]
    wrong = people.post("/query/sql", json={"sql": "select * from vector_search('people')"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "sql_error")
    assert people.post("/query/sql", json={"sql": "select * from vector_search('nosuch', 'x')"}).status_code == 404
