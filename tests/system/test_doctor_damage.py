"""tarn doctor --deep finds each kind of damage, planted into files of a sound lake one at a time."""
import json
import shutil
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.avro import Avro
from tests.support.tarn import Server, run

DATASET = "t"


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Files:
    """The files of one dataset, from its newest metadata down."""

    def __init__(self, lake, dataset=DATASET):
        self.lake = lake
        self.folder = lake / "buckets" / "primary" / "datasets" / dataset
        self.metadata = max((self.folder / "metadata").glob("*.metadata.json"))
        self.document = json.loads(self.metadata.read_text())
        current = next(s for s in self.document["snapshots"] if s["snapshot-id"] == self.document["current-snapshot-id"])
        self.current = current
        self.list = Avro(self.path(current["manifest-list"]))

    @staticmethod
    def path(uri):
        from pathlib import Path
        return Path(uri.removeprefix("file://"))

    def manifest(self, content=0):
        """The newest manifest of data (0) or of deletes (1)."""
        row = max((row for row in self.list.rows if row["content"] == content), key=lambda row: row["sequence_number"])
        return Avro(self.path(row["manifest_path"]))

    def save_document(self):
        """With a pointer that goes with it: a file that does not fit its pointer is made again from the one before."""
        data = json.dumps(self.document).encode()
        self.metadata.write_bytes(data)
        path = max((self.folder / "commits").iterdir(), key=lambda file: int(file.name))
        pointer = json.loads(path.read_text())
        pointer = {key: pointer[key] for key in ("tarn-pointer", "version", "attempt", "metadata")}
        path.write_text(json.dumps({**pointer, "length": len(data), "crc32c": f"{crc32c(data):08x}"}) + "\n")

    def resize(self, manifest):
        """The list says the manifest's length; what is planted is another damage."""
        for row in self.list.rows:
            if self.path(row["manifest_path"]) == manifest.path:
                row["manifest_length"] = manifest.path.stat().st_size
        self.list.save()

    def entry(self, content=0):
        manifest = self.manifest(content)
        live = [row for row in manifest.rows if row["status"] != 2]
        return manifest, live[0]

    def edit(self, change, content=0):
        manifest, entry = self.entry(content)
        change(entry["data_file"], entry)
        self.resize(manifest.save())

    def edit_list(self, change, content=0):
        change(max((row for row in self.list.rows if row["content"] == content), key=lambda row: row["sequence_number"]))
        self.list.save()

    def edit_parquet(self, change, content=0):
        """Another table in the file's place; the manifest says its true size."""
        manifest, entry = self.entry(content)
        file = self.path(entry["data_file"]["file_path"])
        pq.write_table(change(pq.read_table(file)), file)
        entry["data_file"]["file_size_in_bytes"] = file.stat().st_size
        entry["data_file"]["split_offsets"] = None
        self.resize(manifest.save())


def pairs(name, change):
    """A map of column -> value in the entry, changed for the column 1 (id)."""
    def apply(file, _):
        for pair in file[name]:
            if pair["key"] == 1:
                pair["value"] = change(pair["value"])
    return lambda files: files.edit(apply)


def more(by):
    return lambda data: struct.pack("<q", struct.unpack("<q", data)[0] + by)


def put(name, change, content=0):
    return lambda files: files.edit(lambda file, _: file.update({name: change(file[name])}), content)


def put_entry(name, change, content=0):
    return lambda files: files.edit(lambda _, entry: entry.update({name: change(entry[name])}), content)


def put_list(name, change, content=0):
    return lambda files: files.edit_list(lambda row: row.update({name: change(row[name])}), content)


def put_document(change):
    def apply(files):
        change(files.document)
        files.save_document()
    return apply


def put_summary(key, change):
    def apply(document):
        for snapshot in document["snapshots"]:
            if snapshot["snapshot-id"] == document["current-snapshot-id"]:
                snapshot["summary"][key] = change(snapshot["summary"][key])
    return put_document(apply)


def lose(files, content=0):
    Files.path(files.entry(content)[1]["data_file"]["file_path"]).unlink()


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])


def flip(files):
    """One bit among the pages of the newest data file."""
    path = Files.path(files.entry()[1]["data_file"]["file_path"])
    data = bytearray(path.read_bytes())
    for at in range(20, 60):
        data[at] ^= 0x5A
    path.write_bytes(bytes(data))


def schema_fields(schema, name):
    """Every record's field of that name, wherever it is in an Avro schema."""
    if isinstance(schema, list):
        return [found for part in schema for found in schema_fields(part, name)]
    if not isinstance(schema, dict):
        return []
    found = [field for field in schema.get("fields", []) if field["name"] == name]
    for part in [field["type"] for field in schema.get("fields", [])] + [schema.get("items"), schema.get("type")]:
        found += schema_fields(part, name)
    return found


def edit_schema(name, change):
    def apply(files):
        manifest = files.manifest()
        for field in schema_fields(manifest.schema, name):
            change(field)
        files.resize(manifest.save())
    return apply


def null_last(field):
    field["type"] = field["type"][::-1]
    field.pop("default", None)


def twice(files):
    manifest = files.manifest()
    manifest.rows.append(manifest.rows[-1])
    files.resize(manifest.save())
    files.edit_list(lambda row: row.update(added_files_count=row["added_files_count"] + 1,
                                           added_rows_count=row["added_rows_count"] + manifest.rows[-1]["data_file"]["record_count"]))


def renumber(table):
    fields = [field.with_metadata({**(field.metadata or {}), b"PARQUET:field_id": b"77"}) if field.name == "word" else field
              for field in table.schema]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def with_column(name, change):
    return lambda table: table.set_column(table.schema.get_field_index(name), table.schema.field(name),
                                          pa.array(change(table[name].to_pylist()), table.schema.field(name).type))


DAMAGE = {
    "rows of a file": put("record_count", lambda n: n + 1), "no rows": put("record_count", lambda n: 0),
    "bytes of a file": put("file_size_in_bytes", lambda n: n + 1),
    "lower bound": pairs("lower_bounds", more(1)), "upper bound": pairs("upper_bounds", more(-1)),
    "bound of a wrong length": pairs("upper_bounds", lambda data: data[:4]),
    "nulls": pairs("null_value_counts", lambda n: n + 1), "values": pairs("value_counts", lambda n: n - 1),
    "column that is not there": lambda files: files.edit(lambda file, _: file["value_counts"].append({"key": 99, "value": 1})),
    "sequence number above": put_entry("sequence_number", lambda _: 1000), "status": put_entry("status", lambda _: 7),
    "content": put("content", lambda _: 1), "format": put("file_format", lambda _: "ORC"),
    "path elsewhere": put("file_path", lambda path: path.replace(".parquet", "x.parquet")),
    "file twice": twice,
    "data file lost": lose, "delete file lost": lambda files: lose(files, 1),
    "manifest lost": lambda files: files.manifest().path.unlink(), "list lost": lambda files: files.list.path.unlink(),
    "manifest cut": lambda files: cut(files.manifest().path), "list cut": lambda files: cut(files.list.path),
    "data file cut": lambda files: cut(Files.path(files.entry()[1]["data_file"]["file_path"])),
    "data file's pages": flip,
    "manifest length": put_list("manifest_length", lambda n: n + 1), "added rows": put_list("added_rows_count", lambda n: n + 1),
    "added files": put_list("added_files_count", lambda n: n + 1), "least sequence": put_list("min_sequence_number", lambda n: n + 1),
    "sequence of the list": put_list("sequence_number", lambda n: n + 1000), "spec": put_list("partition_spec_id", lambda _: 9),
    "list's content": put_list("content", lambda _: 1),
    "field id in a manifest": edit_schema("record_count", lambda field: field.pop("field-id")),
    "wrong field id in a manifest": edit_schema("record_count", lambda field: field.update({"field-id": 140})),
    "null last": edit_schema("lower_bounds", null_last),
    "header's spec": lambda files: (lambda m: (m.header.update({"partition-spec-id": b"5"}), files.resize(m.save())))(files.manifest()),
    "header's schema": lambda files: (lambda m: (m.header.update({"schema": b"{}"}), files.resize(m.save())))(files.manifest()),
    "deletes' target": put("referenced_data_file", lambda path: path.replace(".parquet", "x.parquet"), 1),
    "delete behind the end": lambda files: files.edit_parquet(with_column("pos", lambda values: [10**6] * len(values)), 1),
    "delete of another file": lambda files: files.edit_parquet(with_column("file_path", lambda values: ["file:///x.parquet"] * len(values)), 1),
    "field id of a column": lambda files: files.edit_parquet(renumber),
    "value outside of the bounds": lambda files: files.edit_parquet(with_column("id", lambda values: [v + 10**6 for v in values])),
    "total rows": put_summary("total-records", lambda text: str(int(text) + 1)),
    "total files": put_summary("total-data-files", lambda text: str(int(text) + 1)),
    "total deletes": put_summary("total-position-deletes", lambda text: str(int(text) + 1)),
    "last sequence number": put_document(lambda d: d.update({"last-sequence-number": 1})),
    "last column id": put_document(lambda d: d.update({"last-column-id": 1})),
    "current snapshot": put_document(lambda d: d.update({"current-snapshot-id": 5})),
    "branch": put_document(lambda d: d["refs"]["main"].update({"snapshot-id": d["snapshots"][0]["snapshot-id"]})),
    "snapshot log": put_document(lambda d: d["snapshot-log"].reverse() or d["snapshot-log"][0].update({"timestamp-ms": 2 * 10**12})),
    "uuid": put_document(lambda d: d.pop("table-uuid")),
    "key may be NULL": put_document(lambda d: [f.update(required=False) for s in d["schemas"] for f in s["fields"] if f["id"] == 1]),
    "partition": lambda files: Files(files.lake, "p").edit(lambda file, _: file.update(partition={"word": "elsewhere"})),
    "partition bounds": lambda files: Files(files.lake, "p").edit_list(
        lambda row: row["partitions"][0].update(lower_bound=b"zz", upper_bound=b"zz")),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A lake with files of both writers, deletes and a partitioned table; and a copy of it."""
    lake = tmp_path_factory.mktemp("damage") / "lake"
    with Server(lake) as server:
        lines = "".join(f"{i},word {i % 7},{i / 3}\n" for i in range(400))
        server.ingest(DATASET, "id,word,n\n" + lines, key="id")
        for dataset in (DATASET, "p"):
            if dataset == "p":
                fields = [{"id": 1, "name": "id", "type": "long", "required": True}, {"id": 2, "name": "word", "type": "string", "required": False}]
                made = server.post("/iceberg/v1/namespaces/default/tables", json={
                    "name": "p", "schema": {"type": "struct", "fields": fields, "identifier-field-ids": [1]},
                    "partition-spec": {"fields": [{"name": "word", "transform": "identity", "source-id": 2}]}})
                assert made.status_code == 200, made.text
            put_rows = [{"id": i, "word": f"word {i % 3}"} for i in range(395, 410)]
            assert server.request("PUT", f"/datasets/{dataset}/rows", json=put_rows).status_code == 200
            assert server.request("PUT", f"/datasets/{dataset}/rows", json=put_rows[3:7]).status_code == 200
            assert server.post(f"/datasets/{dataset}/delete", json={"where": "id IN (3, 396, 397, 408)"}).status_code == 200
    shutil.copytree(lake, lake.parent / "copy")
    return lake


def examine(lake):
    done = run("--json", "doctor", "--deep", "--lake", lake, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [item for item in found if item["level"] == "error"], found


def test_a_sound_lake_is_called_so(sound):
    code, errors, found = examine(sound)
    assert code == 0 and not errors and found, errors


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found(sound, kind):
    shutil.rmtree(sound)
    shutil.copytree(sound.parent / "copy", sound)
    DAMAGE[kind](Files(sound))
    code, errors, found = examine(sound)
    assert code == 1 and errors, f"{kind}: {found}"
    assert all(item["finding"] for item in errors)


@pytest.mark.parametrize("damage", [cut, lambda path: path.unlink()])
def test_a_metadata_file_that_a_power_failure_took_is_made_again(sound, damage):
    """Other engines read it too."""
    shutil.rmtree(sound)
    shutil.copytree(sound.parent / "copy", sound)
    metadata = Files(sound).metadata
    before = metadata.read_bytes()
    damage(metadata)
    assert examine(sound)[:2] == (0, [])
    assert metadata.read_bytes() == before
