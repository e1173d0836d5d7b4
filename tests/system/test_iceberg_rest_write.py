"""/iceberg/v1, the write half: namespaces, tables, commits, transactions, renames."""
import json

import pytest

from tests.support.tarn import Server

CSV = "id,name\n1,a\n2,b\n"
REST = "/iceberg/v1"
SCHEMA = {"type": "struct", "schema-id": 0, "fields": [
    {"id": 7, "name": "id", "required": True, "type": "long"}, {"id": 9, "name": "word", "required": False, "type": "string"}]}


def error(answer, status, kind):
    assert answer.status_code == status, answer.text
    body = answer.json()["error"]
    assert (body["code"], body["type"]) == (status, kind), body
    return body["message"]


def namespace(server, *parts, **properties):
    answer = server.post(f"{REST}/namespaces", json={"namespace": list(parts), "properties": properties})
    assert answer.status_code == 200, answer.text


def create(server, name, space="ns", **more):
    answer = server.post(f"{REST}/namespaces/{space}/tables", json={"name": name, "schema": SCHEMA, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def table(name, space="ns"):
    return f"{REST}/namespaces/{space}/tables/{name}"


def load(server, name, space="ns"):
    answer = server.get(table(name, space))
    assert answer.status_code == 200, answer.text
    return answer.json()["metadata"]


def commit(server, name, *updates, requirements=(), space="ns"):
    return server.post(table(name, space), json={"requirements": list(requirements), "updates": list(updates)})


def set_property(key, value):
    return {"action": "set-properties", "updates": {key: value}}


def next_snapshot(metadata, **changes):
    """A snapshot on top of the current one, over the same manifests."""
    current = next(s for s in metadata["snapshots"] if s["snapshot-id"] == metadata["current-snapshot-id"])
    return {**current, "snapshot-id": current["snapshot-id"] // 2 + 1, "parent-snapshot-id": current["snapshot-id"],
            "sequence-number": metadata["last-sequence-number"] + 1, "timestamp-ms": metadata["last-updated-ms"] + 1, **changes}


def folder_of(server):
    return server.lake / "buckets" / "primary"


# ---- namespaces ---------------------------------------------------------------------------


def test_namespaces(server):
    namespace(server, "ns", owner="me")
    assert server.get(f"{REST}/namespaces/ns").json() == {"namespace": ["ns"], "properties": {"owner": "me"}}
    assert error(server.post(f"{REST}/namespaces", json={"namespace": ["ns"]}), 409,
                 "AlreadyExistsException") == "Namespace already exists: ns"
    error(server.post(f"{REST}/namespaces", json={"namespace": ["no", "child"]}), 404, "NoSuchNamespaceException")
    namespace(server, "ns", "in.ner/x")
    assert server.get(f"{REST}/namespaces?parent=ns").json() == {"namespaces": [["ns", "in.ner/x"]]}
    assert server.get(f"{REST}/namespaces?pageSize=1").json() == {"namespaces": [["default"]], "next-page-token": "default"}
    update = {"removals": ["owner", "gone"], "updates": {"k": "v"}}
    assert server.post(f"{REST}/namespaces/ns/properties", json=update).json() == {
        "updated": ["k"], "removed": ["owner"], "missing": ["gone"]}
    both = {"removals": ["k"], "updates": {"k": "v"}}
    error(server.post(f"{REST}/namespaces/ns/properties", json=both), 422, "UnprocessableEntityException")
    text = error(server.delete(f"{REST}/namespaces/ns"), 409, "NamespaceNotEmptyException")
    assert text.startswith("Namespace ns is not empty.")
    assert server.delete(f"{REST}/namespaces/ns%1Fin.ner%2Fx").status_code == 204
    create(server, "t")
    error(server.delete(f"{REST}/namespaces/ns"), 409, "NamespaceNotEmptyException")
    assert server.delete(table("t")).status_code == 204
    assert server.delete(f"{REST}/namespaces/ns").status_code == 204
    error(server.delete(f"{REST}/namespaces/ns"), 404, "NoSuchNamespaceException")
    error(server.delete(f"{REST}/namespaces/default"), 409, "NamespaceNotEmptyException")


# ---- creating -----------------------------------------------------------------------------


def test_created_table_is_a_dataset(server):
    namespace(server, "ns")
    metadata = create(server, "t", properties={"k": "v", "format-version": "2"})["metadata"]
    assert [field["id"] for field in metadata["schemas"][0]["fields"]] == [1, 2], "ids are assigned afresh"
    assert metadata["properties"] == {"k": "v"}
    assert error(server.post(f"{REST}/namespaces/ns/tables", json={"name": "t", "schema": SCHEMA}), 409,
                 "AlreadyExistsException") == "Table already exists: ns.t"
    error(server.post(f"{REST}/namespaces/no/tables", json={"name": "t", "schema": SCHEMA}), 404, "NoSuchNamespaceException")
    assert server.sql("SELECT * FROM ns__t") == []
    rows = server.request("PUT", "/datasets/ns__t/rows?key=id", json=[{"id": 1, "word": "x"}])
    assert rows.status_code == 200, rows.text
    assert load(server, "t")["current-snapshot-id"]
    names = [item["name"] for item in server.get("/catalog/datasets").json()["items"]]
    assert names == ["ns__t"]


@pytest.mark.parametrize("space, name, dataset", [
    ("default", "Mixed Case", "mixed_case"), ("default", "select", "t_select"), ("ns", "a.b", "ns__a_b"),
    ("ns", "ünï/cödé%1", "ns____n___c__d___1"), ("default", "9lives", "t_9lives")])
def test_names(server, space, name, dataset):
    namespace(server, "ns")
    create(server, name, space=space)
    listed = server.get(f"{REST}/namespaces/{space}/tables").json()["identifiers"]
    assert listed == [{"namespace": [space], "name": name}]
    names = [item["name"] for item in server.get("/catalog/datasets").json()["items"]]
    assert names == [dataset]
    assert server.sql(f"SELECT count(*) AS n FROM {dataset}") == [{"n": 0}]


def test_names_that_differ_in_case_are_two_tables(server):
    namespace(server, "ns")
    uuids = {create(server, name)["metadata"]["table-uuid"] for name in ("T", "t")}
    assert uuids == {load(server, "T")["table-uuid"], load(server, "t")["table-uuid"]} and len(uuids) == 2


def test_staged_create(server):
    namespace(server, "ns")
    staged = create(server, "t", **{"stage-create": True})
    assert "metadata-location" not in staged
    location = staged["metadata"]["location"]
    assert (folder_of(server) / "datasets" / "ns__t" / "metadata").is_dir() and location.endswith("/datasets/ns__t")
    error(server.get(table("t")), 404, "NoSuchTableException")
    schema = staged["metadata"]["schemas"][0]
    updates = [{"action": "assign-uuid", "uuid": staged["metadata"]["table-uuid"]},
               {"action": "upgrade-format-version", "format-version": 2},
               {"action": "add-schema", "schema": schema}, {"action": "set-current-schema", "schema-id": -1},
               {"action": "add-spec", "spec": {"spec-id": 0, "fields": []}}, {"action": "set-default-spec", "spec-id": -1},
               {"action": "add-sort-order", "sort-order": {"order-id": 0, "fields": []}},
               {"action": "set-default-sort-order", "sort-order-id": -1}, {"action": "set-location", "location": location}]
    answer = commit(server, "t", *updates, requirements=[{"type": "assert-create"}])
    assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"]["table-uuid"] == staged["metadata"]["table-uuid"]
    message = error(commit(server, "t", requirements=[{"type": "assert-create"}]), 409, "CommitFailedException")
    assert message == "Requirement failed: table already exists"


@pytest.mark.parametrize("version", ["1", "3"])
def test_other_formats_are_held_and_harm_nothing(server, version):
    namespace(server, "ns")
    server.ingest("calls", CSV)
    create(server, "t", properties={"format-version": version})
    assert commit(server, "t", set_property("a", "b")).status_code == 200
    assert load(server, "t")["format-version"] == int(version)
    assert server.sql("SELECT count(*) AS n FROM calls") == [{"n": 2}]
    assert server.get("/catalog/datasets").status_code == 200
    if version == "3":
        answer = server.post("/query/sql", json={"sql": "SELECT * FROM ns__t"})
        assert answer.status_code == 200 or "format" in answer.json()["detail"], answer.text
    upgrade = commit(server, "t", {"action": "upgrade-format-version", "format-version": 2})
    assert upgrade.status_code == (200 if version == "1" else 400), upgrade.text


def test_locations(server, tmp_path):
    namespace(server, "ns")
    server.ingest("calls", CSV)
    root = folder_of(server)
    for inside in (root, root / "datasets", root / "datasets" / "calls", root / "datasets" / "calls" / "x", root / "names"):
        answer = server.post(f"{REST}/namespaces/ns/tables", json={"name": "t", "schema": SCHEMA, "location": f"file://{inside}"})
        assert "own folders" in error(answer, 400, "BadRequestException")
    elsewhere = f"file://{tmp_path}/elsewhere"
    assert create(server, "t", location=elsewhere + "/")["metadata"]["location"] == elsewhere
    move = {"action": "set-location", "location": f"file://{root}/datasets/calls"}
    error(commit(server, "t", move), 400, "BadRequestException")


def test_data_outside_of_the_lake_is_held_and_not_read(server, tmp_path):
    namespace(server, "ns")
    server.ingest("calls", CSV)
    current = next_snapshot(load(server, "calls", "default"))
    outside = tmp_path / "elsewhere"
    (outside / "metadata").mkdir(parents=True)
    copied = outside / "metadata" / "list.avro"
    copied.write_bytes(open(current["manifest-list"].removeprefix("file://"), "rb").read())
    create(server, "t", location=f"file://{outside}")
    snapshot = {**current, "manifest-list": f"file://{copied}", "sequence-number": 1, "timestamp-ms": current["timestamp-ms"] + 60000}
    snapshot.pop("parent-snapshot-id")
    main = {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": snapshot["snapshot-id"]}
    assert commit(server, "t", {"action": "add-snapshot", "snapshot": snapshot}, main).status_code == 200
    answer = server.post("/query/sql", json={"sql": "SELECT * FROM ns__t"})
    assert answer.status_code == 422 and "outside of the lake" in answer.json()["detail"], answer.text
    assert server.sql("SELECT count(*) AS n FROM calls") == [{"n": 2}]


def test_register(server):
    namespace(server, "ns")
    create(server, "t", properties={"k": "v"})
    where = server.get(table("t")).json()["metadata-location"]
    register = f"{REST}/namespaces/ns/register"
    error(server.post(register, json={"name": "t", "metadata-location": where}), 409, "AlreadyExistsException")
    error(server.post(register, json={"name": "u", "metadata-location": where}), 400, "BadRequestException")
    assert server.delete(table("t")).status_code == 204
    answer = server.post(register, json={"name": "u", "metadata-location": where})
    assert answer.status_code == 200 and answer.json()["metadata-location"] == where, answer.text
    path = where.removeprefix("file://")
    with open(path, encoding="utf-8") as file:
        metadata = json.load(file)
    strange = path.replace(".metadata.json", "-strange.metadata.json")
    with open(strange, "w", encoding="utf-8") as file:
        json.dump({**metadata, "x-unknown": {"kept": [1.50, None]}}, file)
    assert server.delete(table("u")).status_code == 204
    assert server.post(register, json={"name": "u", "metadata-location": f"file://{strange}"}).status_code == 200
    answer = commit(server, "u", set_property("a", "b"))
    assert answer.json()["metadata"]["x-unknown"] == {"kept": [1.50, None]}, "unknown members stay"
    create(server, "t")
    error(server.post(register, json={"name": "w", "metadata-location": "file:///etc/passwd"}), 400, "BadRequestException")


# ---- committing ---------------------------------------------------------------------------


def test_requirements_say_what_failed(server):
    namespace(server, "ns")
    uuid = create(server, "t")["metadata"]["table-uuid"]
    other = "00000000-0000-4000-8000-000000000000"
    cases = {
        "UUID does not match: expected " + uuid + " != " + other: {"type": "assert-table-uuid", "uuid": other},
        "current schema changed: expected id 5 != 0": {"type": "assert-current-schema-id", "current-schema-id": 5},
        "last assigned field id changed: expected id 5 != 2": {"type": "assert-last-assigned-field-id", "last-assigned-field-id": 5},
        "last assigned partition id changed: expected id 5 != 999":
            {"type": "assert-last-assigned-partition-id", "last-assigned-partition-id": 5},
        "default partition spec changed: expected id 5 != 0": {"type": "assert-default-spec-id", "default-spec-id": 5},
        "default sort order changed: expected id 5 != 0": {"type": "assert-default-sort-order-id", "default-sort-order-id": 5},
        "branch or tag main is missing, expected 5": {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": 5},
    }
    for text, requirement in cases.items():
        answer = commit(server, "t", set_property("a", "b"), requirements=[requirement])
        assert error(answer, 409, "CommitFailedException") == "Requirement failed: " + text
    assert "a" not in load(server, "t")["properties"]
    null = {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": None}
    assert commit(server, "t", set_property("a", "b"), requirements=[null]).status_code == 200


@pytest.mark.parametrize("update", [
    {"action": "no-such-thing"}, {}, [], {"action": "set-properties", "updates": {"k": 1}},
    {"action": "add-encryption-key", "encryption-key": {}}, {"action": "set-current-schema", "schema-id": 77},
    {"action": "set-default-spec", "spec-id": -1}, {"action": "upgrade-format-version", "format-version": 9},
    {"action": "assign-uuid", "uuid": "00000000-0000-4000-8000-000000000000"},
    {"action": "add-schema", "schema": {"type": "struct", "fields": [{"id": 1, "name": "x"}]}},
    {"action": "add-spec", "spec": {"fields": [{"name": "p", "transform": "day", "source-id": 99}]}},
    {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 1},
    {"action": "remove-schemas", "schema-ids": [0]}, {"action": "set-location", "location": ""}])
def test_what_cannot_be_is_refused_as_a_bad_request(server, update):
    namespace(server, "ns")
    before = create(server, "t")["metadata"]
    error(commit(server, "t", set_property("a", "b"), update), 400, "BadRequestException")
    assert load(server, "t") == before, "all of a commit or nothing"


def test_snapshots_branches_and_tags(server):
    server.ingest("calls", CSV)
    base = load(server, "calls", "default")
    snapshot = next_snapshot(base)
    main = {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": snapshot["snapshot-id"]}
    tag = {"action": "set-snapshot-ref", "ref-name": "v1", "type": "tag", "snapshot-id": base["current-snapshot-id"]}
    held = {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": base["current-snapshot-id"]}
    answer = commit(server, "calls", {"action": "add-snapshot", "snapshot": snapshot}, main, tag, requirements=[held], space="default")
    after = answer.json()["metadata"]
    assert snapshot in after["snapshots"], "a client's snapshot is never altered"
    assert after["current-snapshot-id"] == snapshot["snapshot-id"] and after["refs"]["v1"]["type"] == "tag"
    assert [entry["snapshot-id"] for entry in after["snapshot-log"]][-1] == snapshot["snapshot-id"]
    assert server.sql("SELECT count(*) AS n FROM calls") == [{"n": 2}]
    answer = commit(server, "calls", set_property("a", "b"), requirements=[held], space="default")
    assert "has changed" in error(answer, 409, "CommitFailedException")
    refs = server.get(table("calls", "default") + "?snapshots=refs")
    assert len(refs.json()["metadata"]["snapshots"]) == 2
    assert commit(server, "calls", {"action": "remove-snapshot-ref", "ref-name": "v1"}, space="default").status_code == 200
    refs = server.get(table("calls", "default") + "?snapshots=refs")
    assert [s["snapshot-id"] for s in refs.json()["metadata"]["snapshots"]] == [snapshot["snapshot-id"]]
    gone = {"action": "remove-snapshots", "snapshot-ids": [base["current-snapshot-id"]]}
    after = commit(server, "calls", gone, space="default").json()["metadata"]
    assert [s["snapshot-id"] for s in after["snapshots"]] == [snapshot["snapshot-id"]]
    server.ingest("calls", "id,name\n3,c\n")
    assert server.sql("SELECT count(*) AS n FROM calls") == [{"n": 3}], "Tarn goes on from there"


@pytest.mark.parametrize("change, status", [
    ({"sequence-number": 1}, 409), ({"schema-id": 44}, 400), ({"timestamp-ms": 1000}, 400), ({"manifest-list": None}, 400),
    ({"manifest-list": "GONE"}, 400), ({"manifest-list": "NOT A LIST"}, 400), ({"summary": {"operation": 1}}, 400)])
def test_a_commit_cannot_make_a_table_unreadable(server, change, status):
    server.ingest("calls", CSV)
    base = load(server, "calls", "default")
    snapshot = next_snapshot(base, **change)
    if snapshot["manifest-list"] == "GONE":
        snapshot["manifest-list"] = f"{base['location']}/metadata/gone.avro"
    if snapshot["manifest-list"] == "NOT A LIST":
        snapshot["manifest-list"] = server.get(table("calls", "default")).json()["metadata-location"]
    main = {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": snapshot["snapshot-id"]}
    answer = commit(server, "calls", {"action": "add-snapshot", "snapshot": snapshot}, main, space="default")
    error(answer, status, "CommitFailedException" if status == 409 else "BadRequestException")
    assert load(server, "calls", "default") == base
    assert server.sql("SELECT count(*) AS n FROM calls") == [{"n": 2}]


def test_metadata_log_obeys_its_property(server):
    namespace(server, "ns")
    create(server, "t", properties={"write.metadata.previous-versions-max": "3"})
    for i in range(6):
        last = commit(server, "t", set_property("i", str(i))).json()
    assert len(last["metadata"]["metadata-log"]) == 3


def test_statistics(server):
    server.ingest("calls", CSV)
    current = load(server, "calls", "default")["current-snapshot-id"]
    file = {"snapshot-id": current, "statistics-path": "file:///x.puffin", "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1,
            "blob-metadata": []}
    partition = {"snapshot-id": current, "statistics-path": "file:///y.parquet", "file-size-in-bytes": 1}
    after = commit(server, "calls", {"action": "set-statistics", "snapshot-id": current, "statistics": file},
                   {"action": "set-partition-statistics", "partition-statistics": partition}, space="default").json()["metadata"]
    assert after["statistics"] == [file] and after["partition-statistics"] == [partition]
    server.ingest("calls", "id,name\n3,c\n")
    assert load(server, "calls", "default")["statistics"] == [file], "Tarn's own commits keep them"
    after = commit(server, "calls", {"action": "remove-statistics", "snapshot-id": current},
                   {"action": "remove-partition-statistics", "snapshot-id": current}, space="default").json()["metadata"]
    assert not after.get("statistics") and not after.get("partition-statistics")


def test_who_committed_stands_in_the_pointer(server):
    server.ingest("calls", CSV)
    base = load(server, "calls", "default")
    snapshot = next_snapshot(base)
    body = {"requirements": [], "updates": [{"action": "add-snapshot", "snapshot": snapshot}]}
    answer = server.post(table("calls", "default"), json=body, headers={"User-Agent": "Engine/1.2", "X-Request-Id": "req-7"})
    assert answer.status_code == 200, answer.text
    newest = max((folder_of(server) / "datasets/calls/commits").iterdir(), key=lambda path: int(path.name))
    origin = json.loads(newest.read_text())["origin"]
    assert origin.pop("at-ms") > 0
    assert origin == {"actor": "first", "agent": "Engine/1.2", "request-id": "req-7", "snapshots": [snapshot["snapshot-id"]]}


def test_chunked_bodies_metrics_and_views(server):
    namespace(server, "ns")
    create(server, "t")
    body = json.dumps({"requirements": [], "updates": [set_property("chunked", "yes")]}).encode()
    answer = server.post(table("t"), data=iter([body[:20], body[20:]]), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200 and load(server, "t")["properties"] == {"chunked": "yes"}
    assert server.post(table("t") + "/metrics", json={"report-type": "scan-report"}).status_code == 204
    assert server.get(f"{REST}/namespaces/ns/views").json() == {"identifiers": []}
    assert error(server.get(f"{REST}/namespaces/ns/views/v"), 404, "NoSuchViewException") == "View does not exist: ns.v"
    assert server.request("HEAD", f"{REST}/namespaces/ns/views/v").status_code == 404
    error(server.post(f"{REST}/namespaces/ns/views", json={}), 406, "UnsupportedOperationException")


def test_a_lost_metadata_file_is_told(server):
    namespace(server, "ns")
    create(server, "t")
    where = server.get(table("t")).json()["metadata-location"]
    path = folder_of(server) / where.split("/buckets/primary/")[1]
    path.rename(path.with_suffix(".away"))
    assert error(server.get(table("t")), 404, "NotFoundException") == f"Failed to open input stream for file: {where}"
    path.with_suffix(".away").rename(path)
    assert server.get(table("t")).status_code == 200


# ---- dropping and renaming ----------------------------------------------------------------


def test_drop_and_purge(server):
    namespace(server, "ns")
    for name in ("kept", "purged"):
        create(server, name)
    assert server.delete(table("kept") + "?purgeRequested=False").status_code == 204
    assert server.delete(table("purged") + "?purgeRequested=true").status_code == 204
    error(server.delete(table("purged")), 404, "NoSuchTableException")
    datasets = folder_of(server) / "datasets"
    assert list((datasets / "ns__kept" / "metadata").glob("*.json"))
    assert not [path for path in (datasets / "ns__purged").rglob("*") if path.is_file()]
    create(server, "purged")
    assert server.sql("SELECT * FROM ns__purged") == []


def rename(server, source, destination):
    ids = [{"namespace": [space], "name": name} for space, name in (source, destination)]
    return server.post(f"{REST}/tables/rename", json={"source": ids[0], "destination": ids[1]})


def test_rename(server):
    namespace(server, "ns")
    server.ingest("calls", CSV)
    uuid = load(server, "calls", "default")["table-uuid"]
    error(rename(server, ("default", "calls"), ("no", "x")), 404, "NoSuchNamespaceException")
    error(rename(server, ("default", "nosuch"), ("ns", "x")), 404, "NoSuchTableException")
    assert rename(server, ("default", "calls"), ("ns", "phones")).status_code == 204
    error(server.get(table("calls", "default")), 404, "NoSuchTableException")
    assert load(server, "phones")["table-uuid"] == uuid
    assert server.sql("SELECT count(*) AS n FROM ns__phones") == [{"n": 2}]
    server.ingest("calls", "id,name\n9,z\n")
    assert server.sql("SELECT count(*) AS n FROM calls") == [{"n": 1}], "the old name is another table now"
    error(rename(server, ("default", "calls"), ("ns", "phones")), 409, "AlreadyExistsException")
    server.stop()
    server.start()
    assert server.sql("SELECT (SELECT count(*) FROM ns__phones) AS a, (SELECT count(*) FROM calls) AS b") == [{"a": 2, "b": 1}]
    assert rename(server, ("ns", "phones"), ("default", "phones")).status_code == 204
    assert server.sql("SELECT count(*) AS n FROM phones") == [{"n": 2}]


@pytest.mark.parametrize("fault, moved", [("names.before_document", False), ("names.after_document", True)])
def test_a_rename_is_one_step_across_a_crash(tmp_path, fault, moved):
    with Server(tmp_path / "lake") as server:
        server.ingest("calls", CSV)
    with Server(tmp_path / "lake", env={"TARN_FAULT": fault}) as server:
        with pytest.raises(Exception):
            rename(server, ("default", "calls"), ("default", "phones"))
        server.process.wait(30)
    with Server(tmp_path / "lake") as server:
        names = [item["name"] for item in server.get("/catalog/datasets").json()["items"]]
        assert names == (["phones"] if moved else ["calls"])
        assert server.sql(f"SELECT count(*) AS n FROM {names[0]}") == [{"n": 2}]


# ---- transactions -------------------------------------------------------------------------


def transaction(server, *names, value="1", requirements=()):
    changes = [{"identifier": {"namespace": ["ns"], "name": name}, "requirements": list(requirements),
                "updates": [set_property("value", value)]} for name in names]
    return server.post(f"{REST}/transactions/commit", json={"table-changes": changes})


def values(server):
    return [load(server, name)["properties"].get("value") for name in ("a", "b", "c")]


def prepare(server):
    namespace(server, "ns")
    for name in ("a", "b", "c"):
        create(server, name)


def test_transactions_are_all_or_nothing(server):
    prepare(server)
    assert transaction(server, "c", "a", "b").status_code == 204
    assert values(server) == ["1", "1", "1"]
    error(transaction(server, "a", "nosuch", value="2"), 404, "NoSuchTableException")
    error(transaction(server, "a", "a", value="2"), 400, "BadRequestException")
    wrong = [{"type": "assert-current-schema-id", "current-schema-id": 9}]
    error(transaction(server, "a", "b", value="2", requirements=wrong), 409, "CommitFailedException")
    error(server.post(f"{REST}/transactions/commit", json={"table-changes": []}), 400, "BadRequestException")
    assert values(server) == ["1", "1", "1"]
    assert not list((folder_of(server)).glob("transactions/*")), "no record stays"


@pytest.mark.parametrize("fault, done", [
    ("transaction.before_record", False), ("transaction.after_record", True), ("transaction.between_pointers", True),
    ("transaction.between_pointers:2", True), ("transaction.before_forget", True)])
def test_transactions_across_a_crash(tmp_path, fault, done):
    with Server(tmp_path / "lake") as server:
        prepare(server)
    with Server(tmp_path / "lake", env={"TARN_FAULT": fault}) as server:
        with pytest.raises(Exception):
            transaction(server, "a", "b", "c", value="crash")
        server.process.wait(30)
    for _ in range(2):
        with Server(tmp_path / "lake") as server:
            assert values(server) == ["crash" if done else None] * 3
            assert not list((folder_of(server)).glob("transactions/*"))
            if done:
                assert commit(server, "a", set_property("after", "1")).status_code == 200
