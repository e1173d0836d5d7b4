"""What the REST catalog refuses, because other engines could not load the table afterwards."""
import pytest

from tests.system.test_iceberg_rest_write import REST, commit, create, error, load, namespace

LONG = {"id": 1, "name": "id", "required": True, "type": "long"}
CURRENT = {"action": "set-current-schema", "schema-id": -1}


def column(number, name, kind, required=False, **more):
    return {"id": number, "name": name, "required": required, "type": kind, **more}


def schema(*columns, **more):
    return {"action": "add-schema", "schema": {"type": "struct", "fields": [LONG, *columns], **more}}


def spec(transform, source):
    return {"action": "add-spec", "spec": {"fields": [{"name": "p", "transform": transform, "source-id": source}]}}


def order(transform="identity", source=1, direction="asc", nulls="nulls-first"):
    return {"action": "add-sort-order", "sort-order": {"order-id": 1, "fields": [
        {"transform": transform, "source-id": source, "direction": direction, "null-order": nulls}]}}


def statistics(**changes):
    file = {"snapshot-id": 1, "statistics-path": "file:///x.puffin", "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1,
            "blob-metadata": [{"type": "t", "snapshot-id": 1, "sequence-number": 1, "fields": [1]}]}
    return {"action": "set-statistics", "snapshot-id": 1, "statistics": {k: v for k, v in {**file, **changes}.items() if v is not None}}


REFUSED = [
    ("the name", schema(column(4, "id", "long"))),
    ("the name", schema(column(4, "s", {"type": "struct", "fields": [column(5, "a", "int"), column(6, "a", "int")]}))),
    ("not supported until v3", schema(column(4, "t", "timestamp_ns"))),
    ("not supported until v3", schema(column(4, "v", {"type": "list", "element-id": 5, "element": "variant", "element-required": False}))),
    ("not supported until v3", schema(column(4, "n", "int", **{"initial-default": 7}))),
    ("Cannot parse type", schema(column(4, "m", "money"))),
    ("Cannot parse type", schema(column(4, "m", {"type": "set"}))),
    ("not a required field", schema(column(4, "k", "long"), **{"identifier-field-ids": [4]})),
    ("not a required field", schema(column(4, "s", {"type": "struct", "fields": [column(5, "k", "int", True)]}), **{"identifier-field-ids": [5]})),
    ("its type is double", schema(column(4, "k", "double", True), **{"identifier-field-ids": [4]})),
    ("in a list or a map", schema(column(4, "l", {"type": "list", "element-id": 5, "element": "int", "element-required": True}, True),
                                  **{"identifier-field-ids": [5]})),
    ("Invalid source type long", spec("day", 1)), ("Invalid source type string", spec("hour", 2)),
    ("bucket[0]", spec("bucket[0]", 1)), ("truncate[0]", spec("truncate[0]", 2)), ("bucket[99999999999]", spec("bucket[99999999999]", 1)),
    ("Cannot find source column", spec("identity", 9)),
    ("Cannot find source column", order(source=9)), ("Invalid source type string", order("day", 2)), ("bucket[0]", order("bucket[0]")),
    ("sideways", order(direction="sideways")), ("nulls-mid", order(nulls="nulls-mid")),
    ("file-size-in-bytes", statistics(**{"file-size-in-bytes": None})), ("footer", statistics(**{"file-footer-size-in-bytes": None})),
    ("blob-metadata", statistics(**{"blob-metadata": None})), ("sequence-number", statistics(**{"blob-metadata": [{"type": "t", "snapshot-id": 1}]})),
    ("file-size-in-bytes", {"action": "set-partition-statistics", "partition-statistics": {"snapshot-id": 1, "statistics-path": "x"}}),
]


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    from tests.support.tarn import Server
    with Server(tmp_path_factory.mktemp("strict") / "lake") as server:
        namespace(server, "ns")
        create(server, "t")
        yield server


@pytest.mark.parametrize("told, update", REFUSED)
def test_what_others_could_not_load_is_refused(held, told, update):
    before = load(held, "t")
    assert told in error(commit(held, "t", update), 400, "BadRequestException")
    assert load(held, "t") == before
    # The same in a new table.
    if update["action"] == "add-schema":
        answer = held.post(f"{REST}/namespaces/ns/tables", json={"name": "n", "schema": update["schema"]})
        assert error(answer, 400, "BadRequestException")


@pytest.mark.parametrize("updates", [
    [schema(column(4, "ID2", "decimal(38,0)"), column(5, "f", "fixed[4]"), **{"identifier-field-ids": [1]}), CURRENT],
    [schema(column(4, "n", "int", **{"initial-default": None, "write-default": 4})), CURRENT],
    [{"action": "upgrade-format-version", "format-version": 3}, schema(column(4, "t", "timestamp_ns"), column(5, "n", "int", **{"initial-default": 7})), CURRENT],
    [spec("bucket[16]", 2), {"action": "set-default-spec", "spec-id": -1}], [spec("void", 2)], [spec("a_new_one[3]", 2)],
    [order("truncate[3]", 2, "desc", "nulls-last"), {"action": "set-default-sort-order", "sort-order-id": -1}], [order("void", 9)],
    [statistics()]])
def test_what_others_load_is_taken(server, updates):
    namespace(server, "ns")
    create(server, "t")
    answer = commit(server, "t", *updates)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", [".", ".."])
def test_names_that_no_path_leads_to(held, name):
    told = held.post(f"{REST}/namespaces/ns/tables", json={"name": name, "schema": {"type": "struct", "fields": [LONG]}})
    assert "no path leads to it" in error(told, 400, "BadRequestException")
    assert "no path leads to it" in error(held.post(f"{REST}/namespaces", json={"namespace": [name]}), 400, "BadRequestException")


def test_a_repeated_request_is_done_once(server):
    """A client that did not hear the answer asks again under the same key."""
    def twice(method, path, key, **body):
        first, second = (server.request(method, REST + path, headers={"Idempotency-Key": key}, **body) for _ in range(2))
        assert (first.status_code, first.text) == (second.status_code, second.text) and first.status_code < 300, second.text
        assert second.headers["Idempotency-Replayed"] == "true"

    twice("POST", "/namespaces", "1", json={"namespace": ["ns"]})
    fields = {"type": "struct", "fields": [LONG]}
    twice("POST", "/namespaces/ns/tables", "2", json={"name": "t", "schema": fields})
    once = {"requirements": [{"type": "assert-last-assigned-field-id", "last-assigned-field-id": 1}],
            "updates": [schema(column(2, "b", "int")), CURRENT]}
    twice("POST", "/namespaces/ns/tables/t", "3", json=once)
    other = server.post(f"{REST}/namespaces/ns/tables/t", json={"requirements": [], "updates": []}, headers={"Idempotency-Key": "3"})
    assert other.status_code == 422 and load(server, "t")["current-schema-id"] == 1
    twice("POST", "/transactions/commit", "4", json={"table-changes": [
        {"identifier": {"namespace": ["ns"], "name": "t"}, "requirements": [{"type": "assert-current-schema-id", "current-schema-id": 1}],
         "updates": [{"action": "set-current-schema", "schema-id": 0}]}]})
    twice("POST", "/namespaces/ns/properties", "5", json={"updates": {"k": "v"}})
    twice("POST", "/tables/rename", "6", json={"source": {"namespace": ["ns"], "name": "t"},
                                               "destination": {"namespace": ["ns"], "name": "u"}})
    twice("DELETE", "/namespaces/ns/tables/u", "7")
    twice("DELETE", "/namespaces/ns", "8")


def test_a_table_that_is_held_for_others_is_no_damage(server):
    """Its feature is named, by SQL and by the doctor, and nothing is wrong."""
    namespace(server, "ns")
    create(server, "t")
    assert commit(server, "t", {"action": "upgrade-format-version", "format-version": 3},
                  schema(column(4, "at", "timestamp_ns")), CURRENT).status_code == 200
    assert "format version 3" in server.post("/query/sql", json={"sql": "SELECT * FROM ns__t"}).json()["detail"]
    done = server.cli("doctor", "--deep", "--lake", server.lake, check=False)
    assert done.returncode == 0 and "format version 3" in done.stdout, done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith("error")]


def test_what_a_kept_snapshot_needs_is_not_removed(server):
    """The schema that it was written with, and the partition specs of its files."""
    namespace(server, "ns")
    create(server, "t")
    put = lambda key: server.request("PUT", "/datasets/ns__t/rows", params={"key": "id"}, json=[{"id": key}])  # noqa: E731
    assert put(1).status_code == 200
    first = load(server, "t")
    added = {"action": "add-schema", "schema": {"type": "struct", "identifier-field-ids": [1], "fields": [
        LONG, column(2, "word", "string"), column(3, "n", "int")]}}
    assert commit(server, "t", added, CURRENT, spec("bucket[4]", 1), {"action": "set-default-spec", "spec-id": -1}).status_code == 200
    assert put(2).status_code == 200
    schemas, specs = ({"action": f"remove-{word}s", f"{key}-ids": [number]} for word, key, number in (
        ("schema", "schema", first["current-schema-id"]), ("partition-spec", "spec", first["default-spec-id"])))
    assert "was written with it" in error(commit(server, "t", schemas), 400, "BadRequestException")
    assert "were written with it" in error(commit(server, "t", specs), 400, "BadRequestException")
    # What nobody needs goes, and with the snapshots that needed it, in one commit.
    metadata = load(server, "t")
    old = [s["snapshot-id"] for s in metadata["snapshots"] if s["snapshot-id"] != metadata["current-snapshot-id"]]
    unused = {"action": "remove-partition-specs", "spec-ids": [2]}
    after = commit(server, "t", {"action": "remove-snapshots", "snapshot-ids": old}, schemas, spec("bucket[8]", 1), unused)
    assert after.status_code == 200, after.text
    assert len(after.json()["metadata"]["schemas"]) == len(metadata["schemas"]) - 1
    assert [s["spec-id"] for s in after.json()["metadata"]["partition-specs"]] == [0, 1]
    assert server.sql("SELECT id FROM ns__t ORDER BY id") == [{"id": 1}, {"id": 2}]


def test_tables_without_columns_or_names(server):
    """Other engines make them; they are told, and filled by the first rows."""
    namespace(server, "ns")
    for name in ("bare", "t"):
        create(server, name, **({"schema": {"type": "struct", "fields": []}} if name == "bare" else {}))
    assert commit(server, "t", schema(column(4, "", "int")), CURRENT).status_code == 200
    for dataset, told in (("ns__bare", "no columns"), ("ns__t", "column 2 of the table has no name")):
        for answer in (server.post("/query/sql", json={"sql": f"SELECT * FROM {dataset}"}),
                       server.get(f"/catalog/datasets/{dataset}/sample")):
            assert answer.status_code == 422 and told in answer.json()["detail"], answer.text
        assert server.get(f"/catalog/datasets/{dataset}").status_code == 200
    server.ingest("ns__bare", "a,b\n1,x\n")
    assert server.sql("SELECT * FROM ns__bare") == [{"a": 1, "b": "x"}]
