"""Rows of tables that another engine partitioned: each lies where every engine looks for it."""
import json

import pytest

REST = "/iceberg/v1/namespaces/default/tables"
COLUMNS = [("id", "long"), ("region", "string"), ("seen", "timestamp"), ("pay", "decimal(9, 2)")]
FIELDS = [{"id": place + 1, "name": name, "type": kind, "required": name == "id"} for place, (name, kind) in enumerate(COLUMNS)]
BY = [(2, "region", "identity"), (1, "id_bucket", "bucket[4]"), (3, "seen_day", "day")]


def parted(by):
    return [{"source-id": source, "field-id": 1000 + place, "name": name, "transform": transform}
            for place, (source, name, transform) in enumerate(by)]


def create(server, name, by=BY, fields=FIELDS):
    answer = server.post(REST, json={"name": name, "schema": {"type": "struct", "schema-id": 0, "fields": fields},
                                     "partition-spec": {"spec-id": 0, "fields": parted(by)}})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def checked(server):
    yield server
    done = server.cli("--json", "--lake", server.lake, "doctor", "--deep", check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found and not [line for line in found if line["level"] == "error"], done.stdout


def upsert(server, rows, status=200, **params):
    answer = server.request("PUT", "/datasets/t/rows", json=rows, params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


def row(n, region, day, pay="1.00"):
    return {"id": n, "region": region, "seen": day and f"2024-01-{day:02} 10:00:00", "pay": pay}


def table(server, columns="id, region, day(seen), pay", where="true"):
    return server.query(f"SELECT {columns} FROM t WHERE {where} ORDER BY id")["rows"]


def test_rows_of_all_sorts(checked):
    create(checked, "t")
    upsert(checked, [row(1, "EU", 1), row(2, "US", 2), row(3, None, None), row(4, "EU", 1)], key="id")
    assert table(checked) == [[1, "EU", 1, 1.0], [2, "US", 2, 1.0], [3, None, None, 1.0], [4, "EU", 1, 1.0]]
    assert upsert(checked, [row(1, "EU", 1), row(2, "APAC", 5), row(9, "EU", 3)])["unchanged"] == 1
    assert table(checked, "id", "region = 'APAC'") == [[2]]
    answer = checked.request("PATCH", "/datasets/t/rows/4", json={"region": "US"})
    assert answer.status_code == 200, answer.text
    assert checked.post("/datasets/t/rows", json=[row(20, "US", 2)]).status_code == 200
    assert checked.delete("/datasets/t/rows/3").status_code == 200
    assert checked.post("/datasets/t/delete", json={"where": "day(seen) = 3"}).json()["deleted"] == 1
    want = [[1, "EU", 1, 1.0], [2, "APAC", 5, 1.0], [4, "US", 1, 1.0], [20, "US", 2, 1.0]]
    assert table(checked) == want
    assert checked.post("/datasets/t/compact", json={}).status_code == 200
    assert table(checked) == want
    assert table(checked, "id", "region = 'US' AND seen < '2024-01-02'") == [[4]]


def test_a_file_of_rows_and_what_was(checked):
    create(checked, "t")
    rows = "id,region,seen,pay\n" + "".join(f"{n},R{n % 3},2024-01-0{n % 4 + 1} 0{n % 10}:00:00,{n}.25\n" for n in range(3000))
    types = "seen:timestamp,pay:decimal(9,2)"
    first = checked.ingest("t", rows, types=types)
    checked.request("PATCH", "/catalog/datasets/t", json={"key": "id"})
    more = "id,region,seen,pay\n" + "".join(f"{n},R9,2024-01-09 00:00:00,1.00\n" for n in range(2990, 3010))
    answer = checked.ingest("t", more, mode="upsert", types=types)
    assert (answer["inserted"], answer["updated"]) == (10, 10), answer
    counts = "SELECT region, count(*), sum(id) FROM t GROUP BY region ORDER BY region"
    then = checked.query(counts)["rows"]
    assert then[-1] == ["R9", 20, sum(range(2990, 3010))] and sum(group[1] for group in then) == 3010
    assert checked.post("/datasets/t/compact", json={}).status_code == 200
    assert checked.query(counts)["rows"] == then
    answer = checked.post("/datasets/t/restore", json={"as_of": str(first["snapshot_id"])})
    assert answer.status_code == 200, answer.text
    assert checked.query("SELECT count(*), sum(id) FROM t")["rows"] == [[3000, sum(range(3000))]]
    upsert(checked, [row(5, "R9", 9)])
    assert table(checked, "id", "region = 'R9'") == [[5]]
    assert checked.ingest("t", "id,region,seen,pay\n7,EU,2024-01-01 00:00:00,1\n", mode="replace", types=types)["rows"] == 1
    assert table(checked, "id") == [[7]]


def test_a_table_that_is_divided_anew(checked):
    """Files keep the spec that they were written with, their deletes too; new rows have the new one."""
    checked.ingest("t", "id,region,seen,pay\n" + "".join(f"{n},R{n % 2},2024-01-01 00:00:00,1.00\n" for n in range(1, 9)), key="id",
                types="seen:timestamp,pay:decimal(9,2)")
    for spec, by in enumerate([[(2, "region", "identity")], [(1, "id_10", "truncate[10]")], []], start=1):
        fields = [{**field, "field-id": 1000 + spec} for field in parted(by)]
        answer = checked.post(f"{REST}/t", json={"requirements": [], "updates": [
            {"action": "add-spec", "spec": {"spec-id": spec, "fields": fields}},
            {"action": "set-default-spec", "spec-id": -1}]})
        assert answer.status_code == 200, answer.text
        upsert(checked, [{"id": n, "region": f"S{spec}", "seen": None, "pay": None} for n in (spec, 10 * spec, 10 * spec + 1)])
    assert checked.delete("/datasets/t/rows/11").status_code == 200
    want = [[1, "S1"], [2, "S2"], [3, "S3"], [4, "R0"], [5, "R1"], [6, "R0"], [7, "R1"], [8, "R0"], [10, "S1"], [20, "S2"],
            [21, "S2"], [30, "S3"], [31, "S3"]]
    assert table(checked, "id, region") == want
    assert checked.post("/datasets/t/compact", json={}).status_code == 200
    assert table(checked, "id, region") == want
    upsert(checked, [{"id": 10, "region": "X", "seen": None, "pay": None}])
    assert table(checked, "id, region", "region = 'X'") == [[10, "X"]]


def test_hot_copies_follow(checked):
    create(checked, "t")
    upsert(checked, [row(n, f"R{n % 3}", n % 5 + 1) for n in range(50)], key="id")
    assert checked.post("/datasets/t/pin").status_code == 200
    upsert(checked, [row(n, f"R{n % 4}", n % 6 + 1) for n in range(10, 70)])
    upsert(checked, [row(5, "R0", 1, "9.00")])
    want = [[n, f"R{n % 4 if n >= 10 else n % 3}"] for n in range(70)]
    want[5] = [5, "R0"]
    assert table(checked, "id, region") == want
    checked.delete("/datasets/t/pin")
    assert table(checked, "id, region") == want


def test_too_many_partitions_at_once(checked):
    create(checked, "t", [(1, "id", "identity")])
    checked.ingest("t", "id,region\n" + "".join(f"{n},x\n" for n in range(1000)))
    before = checked.get("/catalog/datasets/t/snapshots").json()["items"]
    many = [{"id": n} for n in range(1001)]
    answer = checked.post("/datasets/t/rows", json=many)
    assert answer.status_code == 413 and "more than 1000 partitions" in answer.json()["detail"], answer.text
    answer = checked.ingest("t", "id,region\n" + "".join(f"{n},x\n" for n in range(1001)), check=False)
    assert answer.status_code == 413 and "more than 1000 partitions" in answer.json()["detail"], answer.text
    assert checked.get("/catalog/datasets/t/snapshots").json()["items"] == before
    assert checked.query("SELECT count(*) FROM t")["rows"] == [[1000]]
    checked.ingest("t", "id,region\n1,x\n", mode="replace")  # a thousand files are not worth the validator's time


def test_doctor_finds_rows_that_lie_in_the_wrong_place(server):
    """Another writer's mistake: its files say one region, their rows have another."""
    create(server, "t", [(2, "region", "identity")])
    upsert(server, [row(1, "EU", 1)], key="id")
    folder = server.lake / "buckets" / "primary" / "datasets" / "t" / "data"
    [data] = folder.rglob("*.parquet")
    upsert(server, [row(2, "US", 1)])
    [other] = set(folder.rglob("*.parquet")) - {data}
    data.write_bytes(other.read_bytes())
    done = server.cli("--json", "--lake", server.lake, "doctor", "--deep", check=False)
    assert "partition-rows" in done.stdout and "1 rows do not lie in the partition" in done.stdout, done.stdout
