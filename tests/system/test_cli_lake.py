"""Datasets, tokens, doctor, serve, demo, from the command line."""
import json
import os
import signal
import socket
import stat
import subprocess
import time

import pytest

from tests.support.cli import BINARY, Server, environment, sql, tarn

PEOPLE = "id,name\n1,Ann\n2,Bob\n"


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def lake(tmp_path):
    (tmp_path / "people.csv").write_text(PEOPLE)
    tarn("ingest", tmp_path / "people.csv", lake=tmp_path / "lake", check=0)
    return tmp_path / "lake"


def test_datasets_describe_sample_snapshots(lake):
    listed = lines(tarn("--json", "datasets", lake=lake, check=0))
    assert [(d["name"], d["rows"]) for d in listed] == [("people", 2)]
    assert tarn("datasets", lake=lake, check=0).stdout.splitlines()[0].startswith("name,rows,size")
    about = json.loads(tarn("--json", "describe", "people", lake=lake, check=0).stdout)
    assert about["lineage"][0]["source"] == "people.csv"
    assert "id,BIGINT" in tarn("describe", "people", lake=lake, check=0).stdout
    assert tarn("sample", "people", "-n", "1", lake=lake, check=0).stdout.splitlines()[0] == "id,name"
    assert len(lines(tarn("--json", "sample", "people", lake=lake, check=0))) == 2
    assert len(lines(tarn("--json", "snapshots", "people", lake=lake, check=0))) == 1


def test_a_misspelt_dataset(lake):
    for command in ["describe", "snapshots", "sample"]:
        assert "people" in tarn(command, "poeple", lake=lake, check=1).stderr


def test_set_records_what_people_say(lake):
    tarn("datasets", "set", "people", "--description", "who is who", "--owner", "hr", "--tags", "raw, people",
         "--sensitivity", "pii", lake=lake, check=0)
    about = json.loads(tarn("--json", "describe", "people", lake=lake, check=0).stdout)
    assert (about["description"], about["owner"], about["tags"], about["sensitivity"]) == (
        "who is who", "hr", ["raw", "people"], "pii")
    tarn("datasets", "set", "people", "--owner", "", lake=lake, check=0)
    assert json.loads(tarn("--json", "describe", "people", lake=lake, check=0).stdout)["owner"] is None
    tarn("datasets", "set", "people", "--sensitivity", "secretive", lake=lake, check=1)


def test_drop_asks_first(lake):
    assert "--yes" in tarn("drop", "people", lake=lake, check=2).stderr
    assert len(lines(tarn("--json", "datasets", lake=lake, check=0))) == 1
    tarn("drop", "people", "--yes", lake=lake, check=0)
    assert lines(tarn("--json", "datasets", lake=lake, check=0)) == []


def test_tokens(lake):
    token = tarn("token", "new", "laptop", lake=lake, check=0).stdout.strip()
    listed = lines(tarn("--json", "token", "list", lake=lake, check=0))
    mine = next(t for t in listed if t["name"] == "laptop")
    assert token not in json.dumps(listed)
    with Server(lake) as server:
        env = {"TARN_SERVER": server.url, "TARN_TOKEN": token}
        assert "people" in tarn("datasets", env=env, check=0).stdout
        tarn("token", "revoke", mine["id"], lake=lake, check=0)
        tarn("datasets", env=env, check=1)
    tarn("token", "revoke", mine["id"], lake=lake, check=1)


def test_commands_find_the_running_server(lake, tmp_path):
    with Server(lake):
        assert sql(lake, "select count(*) as n from people") == [{"n": 2}]
        (tmp_path / "more.csv").write_text("id,name\n3,Eve\n")
        tarn("ingest", tmp_path / "more.csv", "people", lake=lake, check=0)
        assert sql(lake, "select count(*) as n from people") == [{"n": 3}]
    assert sql(lake, "select count(*) as n from people") == [{"n": 3}]


def test_a_second_server_says_who_holds_the_lake(lake):
    with Server(lake) as server:
        done = tarn("serve", "--port", "0", lake=lake, check=1)
        assert str(server.process.pid) in done.stderr


def test_commands_at_once_wait_for_each_other(lake, tmp_path):
    for i in range(6):
        (tmp_path / f"part{i}.csv").write_text(f"id,name\n{100 + i},x\n")
    running = [subprocess.Popen([BINARY, "--lake", lake, "ingest", tmp_path / f"part{i}.csv", "parts"], env=environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for i in range(6)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert sql(lake, "select count(*) as n from parts") == [{"n": 6}]


def test_serve_prints_a_link_and_stops_on_signals(tmp_path):
    lake = tmp_path / "lake"
    for number, has_token in ((signal.SIGINT, True), (signal.SIGTERM, False)):
        process = subprocess.Popen([BINARY, "--lake", lake, "serve", "--port", "0"], env=environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "serves" in process.stdout.readline()
        link = process.stdout.readline().strip()
        assert link.startswith("http://127.0.0.1:") and ("?token=tarn_" in link) == has_token
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0
        token = link.partition("token=")[2]
        assert not token or token not in errors, "the log holds no secret"


# ---- doctor ---------------------------------------------------------------------------


def findings(lake, status):
    return lines(tarn("--json", "doctor", lake=lake, check=status))


def test_doctor_on_a_healthy_lake(lake):
    found = findings(lake, 0)
    assert all(f["level"] in ("ok", "note", "warning") for f in found)
    assert {"disk", "permissions", "configuration", "clock", "server", "tables", "leftovers", "reading"} <= {
        f["check"] for f in found}
    with Server(lake):
        assert any("at http://" in f["finding"] for f in findings(lake, 0))


def test_doctor_finds_an_open_secret(lake):
    tarn("token", "new", lake=lake, check=0)
    secrets = [p for p in lake.rglob("*") if p.is_file() and "token" in p.name]
    assert secrets and all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in secrets)
    secrets[0].chmod(0o644)
    bad = [f for f in findings(lake, 1) if f["level"] == "error"]
    assert any("chmod 600" in (f["advice"] or "") for f in bad)


def test_doctor_finds_a_bad_configuration(lake):
    (lake / "tarn.yaml").write_text("server:\n  prot: 1\n")
    assert any(f["check"] == "configuration" and f["level"] == "error" for f in findings(lake, 1))


def test_doctor_finds_a_damaged_table(lake):
    data = next((lake / "buckets/primary/datasets").rglob("*.parquet"))
    whole = data.read_bytes()
    data.unlink()
    assert any(f["level"] == "error" and "people" in f["finding"] for f in findings(lake, 1))
    data.write_bytes(whole)
    findings(lake, 0)
    events = next((lake / "buckets/primary/journal").rglob("*.parquet"))
    events.unlink()
    assert any(f["level"] == "error" and "journal" in f["finding"] for f in findings(lake, 1))


def test_doctor_notes_leftovers(lake):
    staging = lake / "buckets" / "primary" / ".staging"
    staging.mkdir(exist_ok=True)
    (staging / "abandoned.parquet").write_bytes(b"x" * 100)
    assert any(f["check"] == "leftovers" and f["level"] == "note" for f in findings(lake, 0))
    tarn("datasets", lake=lake, check=0)
    assert not (staging / "abandoned.parquet").exists(), "the next start cleans up"


# ---- demo -------------------------------------------------------------------------------


def test_demo_loads_serves_and_finds_itself_loaded(tmp_path):
    ready = tmp_path / "ready.json"
    busy = socket.socket()
    busy.bind(("127.0.0.1", 0))
    busy.listen()
    port = busy.getsockname()[1]
    for first in (True, False):
        ready.unlink(missing_ok=True)
        process = subprocess.Popen([BINARY, "demo", "staffing", "--scale", "0.001", "--port", str(port)], cwd=tmp_path,
                                   env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        text = ""
        while "query/sql" not in text:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            text += line
        assert "/?token=tarn_" in text
        url = next(word for word in text.split() if word.startswith("http://127"))
        assert f":{port}/" not in url, "a busy port is passed over"
        lake = tmp_path / "demo-lake"
        assert sql(lake, "select count(*) as n from timesheets") == [{"n": 1000}]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert ("Loaded 2,467 rows" if first else "The tables are loaded") in errors
        assert f"Port {port} is taken" in errors
    busy.close()


def test_demo_without_serving_and_other_data(tmp_path):
    lake = tmp_path / "lake"
    tarn("demo", "staffing", "--scale", "0.001", "--no-serve", lake=lake, check=0)
    total = "select sum(bill_total) as s from timesheets"
    one = sql(lake, total)
    assert "are loaded" in tarn("demo", "--scale", "0.001", "--no-serve", lake=lake, check=0).stderr
    tarn("demo", "staffing", "--scale", "0.001", "--seed", "2", "--no-serve", lake=lake, check=0)
    assert sql(lake, total) != one
    assert sql(lake, "select count(*) as n from timesheets") == [{"n": 1000}]


def test_demo_writes_files_that_ingest_to_the_same(tmp_path):
    tarn("demo", "staffing", "--scale", "0.001", "--write-files", tmp_path / "files", check=0)
    names = sorted(os.listdir(tmp_path / "files"))
    assert names == ["call_log.csv", "candidates.csv", "clients.csv", "email_log.ndjson", "job_orders.csv",
                     "placements.csv", "timesheets.csv"]
    lake = tmp_path / "lake"
    tarn("demo", "--scale", "0.001", "--no-serve", lake=lake, check=0)
    tarn("ingest", tmp_path / "files", lake=tmp_path / "other", check=0)
    for name in (n.split(".")[0] for n in names):
        text = f"select count(*) as n from {name}"
        assert sql(lake, text) == sql(tmp_path / "other", text)
