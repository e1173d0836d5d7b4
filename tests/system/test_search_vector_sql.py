"""A vector as the query of a search in SQL, and the places of mistakes in texts inside a text."""
import pytest

from tests.support import tarn

ROWS = ('{"id":1,"city":"Oslo","text":"java and kotlin","v":[1,0,0]}\n'
        '{"id":2,"city":"Bergen","text":"bread and cakes","v":[0,1,0]}\n'
        '{"id":3,"city":"Oslo","text":"a bus driver","v":[0,-0.5,-0.25]}\n')


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    with tarn.Server(tmp_path_factory.mktemp("vectors") / "lake") as server:
        server.ingest("points", ROWS, format="ndjson", key="id")
        made = server.post("/vectors/indexes", json={"dataset": "points", "text_columns": ["text"],
                                                     "vector_column": "v"}, params={"wait": 100})
        assert made.status_code == 200, made.text
        yield server


def sql(server, call):
    return server.post("/query/sql", json={"sql": f"SELECT doc_id FROM {call}"})


@pytest.mark.parametrize("vector", [
    "[0, -0.5, -2.5e-1]", "[0, -0.5, -0.25]::FLOAT[3]", "CAST([0, -0.5, -0.25] AS DOUBLE[])",
    "array[0, -0.5, -0.25]", "array_value(0::FLOAT, -0.5, -0.25)"])
def test_a_list_of_numbers(points, vector):
    answer = sql(points, f"vector_search('points', {vector}, 1)")
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"] == [["3"]]


def test_a_named_vector_beside_a_text(points):
    assert sql(points, "vector_search('points', vector := [0, 1, 0], k := 1)").json()["rows"] == [["2"]]
    both = sql(points, "hybrid_search('points', 'java', 3, vector := [0, 1, 0], filter := 'id < 3')").json()
    assert sorted(row[0] for row in both["rows"]) == ["1", "2"]
    two = points.query("SELECT a.doc_id, b.doc_id FROM vector_search('points', [1, 0, 0], 1) a, "
                       "vector_search('points', [0, 1, 0], 1) b")
    assert two["rows"] == [["1", "2"]]


@pytest.mark.parametrize("call,status,words", [
    ("vector_search('points', [1, 0], 1)", 400, "has 2 numbers"),
    ("vector_search('points', [], 1)", 400, "has 0 numbers"),
    ("vector_search('points', [1, 'x', 0], 1)", 422, "item 2"),
    ("vector_search('points', [1, NULL, 0], 1)", 422, "item 2"),
    ("vector_search('points', [1, 1 + 1, 0], 1)", 422, "item 2"),
    ("vector_search('points', [1, 0, 1e300], 1)", 400, "number 3"),
    ("vector_search('points', [1, 0, 0]::FLOAT[384], 1)", 422, "cast to 384"),
    ("vector_search('points', [1, 0, 0], [5])", 400, "vector_search()"),
    ("vector_search([1, 0, 0], 'x')", 400, "vector_search()"),
    ("vector_search('points', vector := 'x')", 400, "list of numbers"),
    ("keyword_search('points', [1, 0, 0])", 400, "keyword_search()"),
    ("hybrid_search('points', [1, 0, 0])", 400, "needs a text"),
    ("changes('points', [1])", 422, "constants")])
def test_wrong_lists(points, call, status, words):
    answer = sql(points, call)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"], answer.text


@pytest.mark.parametrize("condition,detail,column", [
    ("id in (select 1)", "in the filter, column ", 20), ("id > > 1", "in the filter, column ", 20),
    ("nosuch = 1", "nosuch", 20)])
def test_the_place_of_a_filters_mistake(points, condition, detail, column):
    wrong = points.post("/query/sql", json={"sql": f"SELECT doc_id FROM keyword_search('points','java',3,'{condition}')"})
    assert wrong.status_code in (400, 422) and detail in wrong.json()["detail"], wrong.text
    assert (wrong.json()["line"], wrong.json()["column"]) == (1, column)


def test_the_place_of_a_conditions_mistake(points):
    wrong = points.post("/datasets/points/delete", json={"where": "nosuch = 1"})
    assert wrong.status_code == 400 and "column" not in wrong.json() and "nosuch" in wrong.json()["detail"], wrong.text
    wrong = points.post("/datasets/points/delete", json={"where": "id > > 1"})
    assert wrong.json()["column"] <= len("id > > 1")
    wrong = points.post("/search", json={"query": "java", "mode": "keyword", "filter": "nosuch = 1"})
    assert "column" not in wrong.json() and "nosuch" in wrong.json()["detail"], wrong.text
