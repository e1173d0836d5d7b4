"""What other engines say of their tables, and what Tarn makes of it."""
import pytest

TABLES = "/iceberg/v1/namespaces/default/tables"
SCHEMA = {"type": "struct", "fields": [{"id": 1, "name": "id", "type": "long", "required": True}]}


@pytest.mark.parametrize("below", ["datasets/other/../people", "./datasets/people", "datasets//people", "datasets/..",
                                   "journal", "journal/events"])
def test_a_location_may_not_lead_into_the_lakes_own_folders(server, below):
    server.ingest("people", "id,name\n1,Ann\n", key="id")
    bucket = server.get(f"{TABLES}/people").json()["metadata"]["location"].removesuffix("datasets/people")
    answer = server.post(TABLES, json={"name": "t", "schema": SCHEMA, "location": bucket + below})
    assert answer.status_code == 400 and "the location" in answer.json()["error"]["message"], answer.text
    update = {"action": "set-location", "location": bucket + below}
    answer = server.post(f"{TABLES}/people", json={"requirements": [], "updates": [update]})
    assert answer.status_code == 400, answer.text
    assert server.get(f"{TABLES}/people").json()["metadata"]["location"] == f"{bucket}datasets/people"


def files_size(server):
    metadata = server.get(f"{TABLES}/people").json()["metadata"]
    current = next(s for s in metadata["snapshots"] if s["snapshot-id"] == metadata["current-snapshot-id"])
    return metadata, current, int(current["summary"]["total-files-size"])


@pytest.mark.parametrize("told", ["0", "1", "-5", None])
def test_totals_that_cannot_be_right_are_counted_anew(server, told):
    """Spark's add_files counts no bytes for what it takes in; readers count by these totals."""
    server.ingest("people", "id,name\n1,Ann\n2,Bob\n", key="id")
    metadata, current, size = files_size(server)
    summary = {**current["summary"], "operation": "replace", "total-files-size": told}
    for key in list(summary):
        if key.startswith(("tarn", "added", "lakehouse")) or summary[key] is None:
            del summary[key]
    snapshot = {**current, "snapshot-id": 4711, "parent-snapshot-id": current["snapshot-id"], "summary": summary,
                "sequence-number": metadata["last-sequence-number"] + 1, "timestamp-ms": current["timestamp-ms"] + 1}
    updates = [{"action": "add-snapshot", "snapshot": snapshot},
               {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 4711}]
    answer = server.post(f"{TABLES}/people", json={"requirements": [], "updates": updates})
    assert answer.status_code == 200, answer.text
    answer = server.request("PUT", "/datasets/people/rows", json=[{"id": 2, "name": "Bea"}])
    assert answer.status_code == 200, answer.text
    assert server.post("/datasets/people/compact").json()["files_after"] == 1
    _, current, compacted = files_size(server)
    assert current["summary"]["total-data-files"] == "1" and current["summary"]["total-records"] == "2"
    debt = server.get("/catalog/datasets/people").json()["debt"]
    assert compacted == debt["bytes"] and abs(compacted - size) < size


@pytest.mark.parametrize("ids, more", [([1, 5], ""), ([1, 2], ", and so is that of another row of this request"),
                                       ([1, 2, 3], ", and so are those of 2 other rows of this request")])
def test_keys_that_are_there_are_counted_by_rows(server, ids, more):
    server.ingest("people", "id,name\n1,Ann\n2,Bob\n3,Cy\n", key="id")
    answer = server.post("/datasets/people/rows", json=[{"id": i, "name": "x"} for i in ids])
    assert answer.status_code == 422 and answer.json()["detail"] == f"the key 1 is there already{more}", answer.text
