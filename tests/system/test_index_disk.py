"""An index that is searched in its files: the answers of one in memory, from less of it."""
import json
import random

import pytest

from tests.support import tarn
from tests.support.tarn import wait_for

ROWS, DIMENSION = 3000, 32


def some(dice):
    return [round(dice.gauss(0, 1), 3) for _ in range(DIMENSION)]


def rows(first, last, seed):
    dice = random.Random(seed)
    words = ["north", "lake", "pine", "stone", "river", "cloud", "field"]
    return [{"id": i, "kind": i % 7, "note": " ".join(dice.choices(words, k=5)) + f" n{i}", "v": some(dice)}
            for i in range(first, last)]


def create(server, name, backend):
    made = server.post("/vectors/indexes?wait=120", json={"dataset": "points", "name": name, "vector_column": "v",
                                                          "text_columns": ["note"], "backend": backend})
    assert made.status_code == 200, made.text


def hits(server, index, **query):
    mode = query.pop("mode", "vector")
    path, body = ("/vectors/search", query) if mode == "vector" else ("/search", {"mode": mode, **query})
    answer = server.post(path, json={"index": index, **body})
    assert answer.status_code == 200 and not answer.json()["behind"], answer.text
    return [(hit["doc_id"], round(hit["score"], 5)) for hit in answer.json()["hits"]]


def answers(server):
    dice, found = random.Random(11), []
    for at in range(20):
        vector = some(dice)
        for more in ({}, {"filter": f"kind = {at % 7}"}, {"filter": "id % 100 = 3"}):
            found.append(hits(server, "points", vector=vector, k=10, **more))
            assert len(found[-1]) == 10
    for words in ("north lake", "pine OR stone", "n77"):
        found.append(hits(server, "points", query=words, mode="keyword", k=20))
    return found


def ready(server):
    return all(item["state"] == "ready" for item in server.get("/vectors/indexes").json()["items"])


def test_the_same_answers_as_in_memory(tmp_path):
    """One set of files, searched both ways: the definition is changed between two starts."""
    lake = tmp_path / "lake"
    with tarn.Server(lake) as server:
        server.ingest("points", "".join(json.dumps(row) + "\n" for row in rows(0, ROWS, 1)), key="id", format="ndjson")
        create(server, "points", "hnsw")
        assert server.request("PUT", "/datasets/points/rows", json=rows(ROWS, ROWS + 50, 2)).status_code == 200
        for gone in (3, 103, 77):
            assert server.delete(f"/datasets/points/rows/{gone}").status_code == 200
        wait_for("the changes", lambda: ready(server))
        assert server.get("/vectors/indexes/points").json()["backend"] == "hnsw"
        in_memory = answers(server)
    definition = next((lake / "buckets").rglob("vectors/points/index.json"))
    definition.write_text(definition.read_text().replace('"backend":"hnsw"', '"backend":"disk"'))
    with tarn.Server(lake) as server:
        wait_for("the index", lambda: ready(server))
        assert server.get("/vectors/indexes/points").json()["backend"] == "disk"
        assert answers(server) == in_memory
        shown = server.get("/vectors/indexes/points").json()
        assert 0 < shown["bytes_resident"] <= shown["bytes_on_disk"]
        assert server.get("/system").json()["memory"]["index_bytes"] > 0


def test_made_on_disk_changed_folded_and_opened_again(tmp_path):
    data = rows(0, ROWS, 1)
    with tarn.Server(tmp_path / "lake") as server:
        server.ingest("points", "".join(json.dumps(row) + "\n" for row in data), key="id", format="ndjson")
        create(server, "points", "disk")
        assert hits(server, "points", vector=data[5]["v"], k=1) == [("5", 1.0)]
        assert server.request("PUT", "/datasets/points/rows", json=rows(ROWS, ROWS + 50, 2)).status_code == 200
        wait_for("the changes", lambda: ready(server))
        before = answers(server)
        assert server.post("/vectors/indexes/points/fold").status_code == 200
        assert hits(server, "points", vector=rows(ROWS, ROWS + 1, 2)[0]["v"], k=1) == [(str(ROWS), 1.0)]
        evaluated = server.post("/vectors/evaluate/points", json={"samples": 50, "k": 10}).json()
        assert evaluated["recall"] >= 0.9, evaluated
        after = answers(server)
        assert sum(x == y for x, y in zip(before, after)) > len(before) / 2
    with tarn.Server(tmp_path / "lake") as server:
        wait_for("the index", lambda: ready(server))
        assert server.get("/vectors/indexes/points").json()["backend"] == "disk"
        again = answers(server)
        assert sum(x[0] == y[0] for x, y in zip(again, after)) > len(after) * 0.9


def test_a_backend_that_is_not_known(server):
    server.ingest("notes", "id,note\n1,java\n", key="id")
    answer = server.post("/vectors/indexes", json={"dataset": "notes", "backend": "tape"})
    assert answer.status_code in (400, 422) and "disk" in answer.json()["hint"], answer.text


@pytest.mark.parametrize("of", ["BIGINT", "INTEGER", "DECIMAL(9,2)", "DOUBLE", "FLOAT"])
def test_vectors_of_any_numbers(server, of):
    server.ingest("raw", '{"id":1,"v":[1,0,7]}\n{"id":2,"v":[0,5,1]}\n{"id":3,"v":[-3,0,1]}\n', format="ndjson", key="id")
    made = server.post("/query/sql", json={"sql": f"select id, cast(v as {of}[]) as v from raw"},
                       headers={"Accept": "application/vnd.apache.parquet"})
    assert made.status_code == 200, made.text
    server.ingest("typed", made.content, key="id", format="parquet")
    made = server.post("/vectors/indexes?wait=100", json={"dataset": "typed", "vector_column": "v"})
    assert made.status_code == 200, made.text
    found = hits(server, "typed", vector=[1, 0, 7], k=3)
    assert [doc for doc, _ in found] == ["1", "2", "3"] and abs(found[0][1] - 1) < 1e-5


def test_a_column_that_is_no_vector_is_named_with_its_type(server):
    server.ingest("odd", '{"id":1,"tags":["a","b"],"text":"java","n":5}\n', format="ndjson", key="id")
    for column, of in (("tags", "VARCHAR[]"), ("text", "VARCHAR"), ("n", "BIGINT")):
        answer = server.post("/vectors/indexes", json={"dataset": "odd", "vector_column": column})
        assert answer.status_code in (400, 422), answer.text
        assert f'"{column}" holds {of}' in answer.json()["detail"] and answer.json()["hint"], answer.text
