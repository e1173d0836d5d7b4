"""tarn ingest, preview, rejects."""
import gzip
import json

from tests.support.cli import Server, sql, tarn

PEOPLE = "id,name,zip\n1,Ann,02134\n2,Bob,90210\n"


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_file_becomes_a_dataset_named_after_it(tmp_path):
    lake = tmp_path / "lake"
    done = tarn("ingest", write(tmp_path, "People 2024.csv", PEOPLE), lake=lake, check=0)
    assert "people_2024: 2 rows from People 2024.csv" in done.stdout
    assert sql(lake, "select zip from people_2024 order by id") == [{"zip": "02134"}, {"zip": "90210"}]


def test_same_bytes_again_are_unchanged(tmp_path):
    lake, path = tmp_path / "lake", write(tmp_path, "people.csv", PEOPLE)
    first = json.loads(tarn("--json", "ingest", path, lake=lake, check=0).stdout)
    again = json.loads(tarn("--json", "ingest", path, lake=lake, check=0).stdout)
    assert (first["status"], again["status"]) == ("ingested", "unchanged")
    assert first["content_hash"] == again["content_hash"]
    assert "unchanged" in tarn("ingest", path, lake=lake, check=0).stdout
    assert sql(lake, "select count(*) as n from people") == [{"n": 2}]


def test_last_word_may_name_the_dataset(tmp_path):
    lake = tmp_path / "lake"
    one, two = write(tmp_path, "a.csv", PEOPLE), write(tmp_path, "b.csv", "id,name,zip\n3,Eve,10001\n")
    tarn("ingest", one, two, "folk", lake=lake, check=0)
    assert sql(lake, "select count(*) as n from folk") == [{"n": 3}]
    tarn("ingest", one, "--dataset", "other", lake=lake, check=0)
    assert sql(lake, "select count(*) as n from other") == [{"n": 2}]


def test_standard_input_needs_a_name(tmp_path):
    lake = tmp_path / "lake"
    done = tarn("ingest", "-", lake=lake, input=PEOPLE, check=2)
    assert "tarn ingest - DATASET" in done.stderr
    tarn("ingest", "-", "people", lake=lake, input=PEOPLE, check=0)
    assert sql(lake, "select count(*) as n from people") == [{"n": 2}]


def test_folder_and_compressed_files(tmp_path):
    lake, folder = tmp_path / "lake", tmp_path / "exports"
    folder.mkdir()
    write(folder, "a.csv", PEOPLE)
    (folder / "b.json.gz").write_bytes(gzip.compress(b'[{"x": 1}, {"x": 2}]'))
    write(folder, "notes.txt", "not data")
    done = tarn("ingest", folder, lake=lake, check=0)
    assert "2 of 2 files are in" in done.stderr
    assert [d["name"] for d in map(json.loads, tarn("--json", "datasets", lake=lake, check=0).stdout.splitlines())] == ["a", "b"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no data files" in tarn("ingest", empty, lake=lake, check=2).stderr


def test_one_bad_file_does_not_keep_the_others_out(tmp_path):
    lake = tmp_path / "lake"
    good, bad = write(tmp_path, "good.csv", PEOPLE), write(tmp_path, "bad.json", '{"a": [1,')
    done = tarn("ingest", bad, good, tmp_path / "missing.csv", lake=lake, check=1)
    assert "bad.json" in done.stderr and "missing.csv" in done.stderr and "1 of 3 files are in" in done.stderr
    assert sql(lake, "select count(*) as n from good") == [{"n": 2}]


def test_types_key_mode_and_reason_arrive(tmp_path):
    lake, path = tmp_path / "lake", write(tmp_path, "p.csv", "id,when\n1,31/12/2024\n")
    tarn("ingest", path, "--types", "when:date:%d/%m/%Y", "--key", "id", "--reason", "first try", lake=lake, check=0)
    about = json.loads(tarn("--json", "describe", "p", lake=lake, check=0).stdout)
    assert about["lineage"][0]["reason"] == "first try"
    assert about["key"] == ["id"]
    assert {c["name"]: c["type"] for c in about["schema"]}["when"] == "DATE"
    assert "nokey" in tarn("ingest", path, "p2", "--key", "nokey", lake=lake, check=1).stderr
    tarn("ingest", write(tmp_path, "q.csv", "id,when\n7,01/02/2025\n"), "p", "--mode", "replace",
         "--types", "when:date:%d/%m/%Y", lake=lake, check=0)
    assert sql(lake, 'select id, "when"::varchar as d from p') == [{"id": 7, "d": "2025-02-01"}]


def test_a_key_column_without_a_value_refuses_the_file(tmp_path):
    lake = tmp_path / "lake"
    refused = tarn("ingest", write(tmp_path, "k.csv", "id,n\n1,10\n,20\n"), "--key", "id", lake=lake, check=1)
    assert "id" in refused.stderr and "NULL" in refused.stderr
    assert tarn("--json", "datasets", lake=lake, check=0).stdout.strip() in ("", "[]")


def test_rejected_rows_are_kept_and_shown(tmp_path):
    lake = tmp_path / "lake"
    tarn("ingest", write(tmp_path, "n.csv", "id,n\n1,10\n2,20\n"), lake=lake, check=0)
    bad = write(tmp_path, "m.csv", "id,n\n3,30\n4,many\n")
    refused = tarn("ingest", bad, "n", "--types", "n:bigint", lake=lake, check=1)
    assert "many" in refused.stderr
    assert sql(lake, "select count(*) as c from n") == [{"c": 2}]
    answer = json.loads(tarn("--json", "ingest", bad, "n", "--types", "n:bigint", "--max-rejects", "1", lake=lake,
                             check=0).stdout)
    assert (answer["rows"], answer["rejected_rows"]) == (1, 1)
    rejects = [json.loads(line) for line in
               tarn("rejects", answer["ingest_id"], lake=lake, check=0).stdout.splitlines()]
    assert rejects[0]["line"] == 3 and rejects[0]["column"] == "n" and rejects[0]["value"] == "many"
    assert "reject" in tarn("ingest", "-", "k", "--types", "n:bigint", "--max-rejects", "5", lake=lake,
                            input="n\n1\nx\n", check=0).stdout


def test_preview_writes_nothing(tmp_path):
    lake, path = tmp_path / "lake", write(tmp_path, "people.csv", PEOPLE)
    tarn("init", lake, check=0)
    done = tarn("preview", path, lake=lake, check=0)
    assert "zip" in done.stdout and "VARCHAR" in done.stdout and "02134" in done.stdout
    assert "Nothing was written" in done.stderr
    assert tarn("--json", "datasets", lake=lake, check=0).stdout == ""
    answer = json.loads(tarn("--json", "preview", path, lake=lake, check=0).stdout)
    assert [c["name"] for c in answer["schema"]] == ["id", "name", "zip"]


def test_preview_needs_no_lake(tmp_path):
    path = write(tmp_path, "people.csv", PEOPLE)
    done = tarn("preview", path, cwd=tmp_path, env={"TMPDIR": str(tmp_path)}, check=0)
    assert "02134" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["people.csv"], "nothing stays behind"


def test_large_upload_through_a_server(tmp_path):
    lake, path = tmp_path / "lake", tmp_path / "big.csv"
    with path.open("w") as out:
        out.write("id,text\n")
        for i in range(200000):
            out.write(f"{i},some text that fills the line number {i}\n")
    with Server(lake) as server:
        done = tarn("ingest", path, lake=lake, check=0)
        assert "200,000 rows" in done.stdout
        assert sql(lake, "select count(*) as n, sum(id)::bigint as s from big") == [{"n": 200000, "s": 19999900000}]
        env = {"TARN_SERVER": server.url, "TARN_TOKEN": server.token}
        assert "unchanged" in tarn("ingest", path, env=env, check=0).stdout


def test_wrong_token_is_refused(tmp_path):
    lake = tmp_path / "lake"
    with Server(lake) as server:
        done = tarn("datasets", env={"TARN_SERVER": server.url, "TARN_TOKEN": "wrong"}, check=1)
        assert "token" in done.stderr.lower()
