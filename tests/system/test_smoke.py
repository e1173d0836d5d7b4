"""The shortest way through everything: a file in, SQL over it, out again."""
import json
import os
import re
import stat

from tests.support import tarn
from tests.support.tarn import run

CSV = "id,name,zip\n1,Zoë,02134\n2,\"O'Brien, Pat\",60601\n"


def test_version_and_help():
    version = (tarn.ROOT / "VERSION").read_text().strip()
    assert version in run("version").stdout
    assert "Commands" in run("help").stdout
    for command in ("serve", "ingest", "sql", "demo", "doctor"):
        assert command in run("help", command).stdout


def test_wrong_usage_is_2():
    assert run("no-such-command", check=False).returncode == 2
    assert run("sql", "--no-such-option", check=False).returncode == 2


def test_unreachable_server_is_3():
    done = run("--server", "http://127.0.0.1:1", "sql", "-c", "select 1", check=False, env={"TARN_TOKEN": "x"})
    assert done.returncode == 3, done.stderr


def test_ready_file(server):
    ready = server.lake.parent / "lake.ready.json"
    assert stat.S_IMODE(os.stat(ready).st_mode) == 0o600
    told = json.loads(ready.read_text())
    assert told["pid"] == server.process.pid
    assert re.match(r"http://127\.0\.0\.1:\d+", told["url"])


def test_health_needs_no_token(server):
    answer = server.get("/health", headers={"Authorization": None})
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert server.get("/catalog/datasets", headers={"Authorization": None}).status_code == 401


def test_file_in_rows_out(server):
    told = server.ingest("people", CSV)
    assert (told["status"], told["rows"], told["rejected_rows"]) == ("ingested", 2, 0)
    assert server.sql("SELECT id, name, zip FROM people ORDER BY id") == [
        {"id": 1, "name": "Zoë", "zip": "02134"},
        {"id": 2, "name": "O'Brien, Pat", "zip": "60601"},
    ]
    assert server.ingest("people", CSV)["status"] == "unchanged"


def test_command_line_without_a_server(lake, tmp_path):
    (tmp_path / "people.csv").write_text(CSV, encoding="utf-8")
    run("--lake", lake, "init")
    run("--lake", lake, "ingest", tmp_path / "people.csv")
    done = run("--lake", lake, "sql", "-c", "SELECT count(*) AS n, min(zip) AS zip FROM people")
    assert done.stdout.splitlines() == ["n,zip", "2,02134"]


def test_sigterm_stops_cleanly_and_rows_stay(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", CSV)
        assert server.stop() == 0
    with tarn.Server(lake) as again:
        assert again.sql("SELECT count(*) AS n FROM people") == [{"n": 2}]


def test_kill_9_keeps_what_was_acknowledged(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", CSV)
        server.kill()
    with tarn.Server(lake) as again:
        assert again.sql("SELECT count(*) AS n FROM people") == [{"n": 2}]
        assert again.ingest("people", CSV)["status"] == "unchanged"
