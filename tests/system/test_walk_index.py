"""Indexes whose ground moves: what is taken from under them comes back, or is refused."""
import time

import pytest

TEXTS = ["Led the move of forty services to Kubernetes and Go; a cloud migration.",
         "Java developer of billing systems who is never on call at night.",
         "Forklift operator with a night shift certificate and much patience."]


def notes_csv(first, last):
    return "id,txt\n" + "".join(f'{i},"{TEXTS[i % 3]} Number {i}."\n' for i in range(first, last))


@pytest.fixture
def notes(server):
    server.ingest("notes", notes_csv(0, 30), key="id")
    made = server.post("/vectors/indexes?wait=100", json={"dataset": "notes", "name": "nx"})
    assert made.status_code == 200, made.text
    return server


def wait_for(condition):
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_vectors_of_an_index_are_its_own(notes):
    refusals = [notes.delete("/catalog/datasets/nx__vectors"),
                notes.post("/datasets/nx__vectors/delete", json={"where": "true"}),
                notes.delete("/datasets/nx__vectors/rows/1"),
                notes.request("PUT", "/datasets/nx__vectors/rows", json=[{"chunk_id": 1}]),
                notes.post("/datasets/nx__vectors/restore", json={"as_of": "2020-01-01"}),
                notes.delete("/iceberg/v1/namespaces/default/tables/nx__vectors"),
                notes.post("/iceberg/v1/tables/rename", json={
                    "source": {"namespace": ["default"], "name": "nx__vectors"},
                    "destination": {"namespace": ["default"], "name": "mine"}})]
    for answer in refusals:
        assert answer.status_code == 422 and 'index \\"nx\\"' in answer.text, answer.text
    assert notes.delete("/vectors/indexes/nx").status_code == 200
    wait_for(lambda: notes.get("/catalog/datasets/nx__vectors").status_code == 404)  # when no work on it is left


def test_vectors_that_were_taken_away_are_made_again(notes):
    """Another engine emptied the table, which is its right; the dataset's documents are still there."""
    table = "/iceberg/v1/namespaces/default/tables/nx__vectors"
    first = notes.get(table).json()["metadata"]
    emptied = notes.post(table, json={"requirements": [], "updates": [
        {"action": "remove-snapshot-ref", "ref-name": "main"}]})
    assert emptied.status_code == 200 and first["current-snapshot-id"], emptied.text
    assert notes.request("PUT", "/datasets/notes/rows", json=[{"id": 99, "txt": "A keeper of zebras."}]).status_code == 200
    wait_for(lambda: notes.get("/vectors/indexes/nx").json()["state"] == "ready"
             and notes.get("/vectors/indexes/nx").json()["documents"] == 31)
    hits = notes.post("/search", json={"query": "java", "k": 40}).json()["hits"]
    assert len(hits) == 31
    assert notes.query("select count(*) from nx__vectors")["rows"] == [[31]]


def test_a_dataset_that_went_away_is_named(notes):
    assert notes.delete("/catalog/datasets/notes").status_code == 200
    answer = notes.post("/search", json={"query": "java", "index": "nx"})
    assert answer.status_code == 404 and 'index "nx" is of dataset "notes"' in answer.json()["detail"], answer.text
    assert "tarn index drop nx" in answer.json()["hint"]


def test_a_column_that_went_away_is_named(notes):
    table = "/iceberg/v1/namespaces/default/tables/notes"
    metadata = notes.get(table).json()["metadata"]
    schema = next(s for s in metadata["schemas"] if s["schema-id"] == metadata["current-schema-id"])
    fields = [{**field, "name": "prose" if field["name"] == "txt" else field["name"]} for field in schema["fields"]]
    renamed = notes.post(table, json={"requirements": [], "updates": [
        {"action": "add-schema", "schema": {**schema, "schema-id": 9, "fields": fields}, "last-column-id": metadata["last-column-id"]},
        {"action": "set-current-schema", "schema-id": -1}]})
    assert renamed.status_code == 200, renamed.text
    assert notes.request("PUT", "/datasets/notes/rows", json=[{"id": 99, "prose": "A keeper of zebras."}]).status_code == 200
    wait_for(lambda: notes.get("/vectors/indexes/nx").json()["problem"])
    shown = notes.get("/vectors/indexes/nx").json()
    assert shown["state"] == "behind" and 'no column "txt" any more' in shown["problem"], shown
    found = notes.post("/search", json={"query": "java", "k": 3}).json()
    assert found["behind"] and len(found["hits"]) == 3
