"""tarn sql without a terminal."""
import csv
import io
import json
import os
import signal
import subprocess

import pytest

from tests.support.cli import BINARY, PATIENCE, Server, environment, tarn
from tests.support.tarn import wait_for


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sql")
    (folder / "people.csv").write_text('id,name,note\n1,Ann,"a, ""b"""\n2,Bob,\n3,Zo\u00eb,\u6771\u4eac\n')
    tarn("ingest", folder / "people.csv", lake=folder / "lake", check=0)
    return folder / "lake"


def test_csv_when_piped(lake):
    done = tarn("sql", "-c", "select * from people order by id", lake=lake, check=0)
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["id", "name", "note"]
    assert rows[1][2] == 'a, "b"' and rows[3][1:] == ["Zo\u00eb", "\u6771\u4eac"]
    assert done.stderr == ""


def test_one_object_a_line_with_json(lake):
    done = tarn("sql", "--json", "-c", "select id, name from people order by id limit 2", lake=lake, check=0)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]


def test_modes_limit_and_output(lake, tmp_path):
    table = tarn("sql", "-m", "table", "-c", "select id, name from people order by id", lake=lake, check=0).stdout
    assert [line.split() for line in table.splitlines()][2][0] == "1"
    document = json.loads(tarn("sql", "-m", "json", "-n", "1", "-c", "select id from people order by id", lake=lake,
                               check=0).stdout)
    assert document["rows"] == [[1]] and document["truncated"] is True
    path = tmp_path / "out.csv"
    assert tarn("sql", "-o", path, "-c", "select 1 as x", lake=lake, check=0).stdout == ""
    assert path.read_text().split() == ["x", "1"]


def test_statements_from_file_and_standard_input(lake, tmp_path):
    (tmp_path / "q.sql").write_text("select 1 as a; -- ; no end\nselect ';' as b")
    assert tarn("sql", tmp_path / "q.sql", lake=lake, check=0).stdout.split() == ["a", "1", "b", ";"]
    assert tarn("sql", lake=lake, input="select 7 as c;", check=0).stdout.split() == ["c", "7"]
    assert tarn("sql", "-", lake=lake, input="select 8 as c", check=0).stdout.split() == ["c", "8"]
    assert "no statement" in tarn("sql", lake=lake, input="-- nothing\n", check=2).stderr


def test_parameters_are_bound(lake):
    def names(*params):
        words = [word for p in params for word in ("--param", p)]
        done = tarn("sql", "--json", *words, "-c", "select name from people where name = ? or id = ? order by id",
                    lake=lake, check=0)
        return [json.loads(line)["name"] for line in done.stdout.splitlines()]
    assert names("Bob", "1") == ["Ann", "Bob"]
    assert names("x' or '1'='1", "0") == []


def test_errors_show_the_place_and_what_was_meant(lake):
    done = tarn("sql", "-c", "select 1;\nselect nmae from people", lake=lake, check=1)
    assert done.stdout.split() == ["1", "1"], "what came before the error has been answered"
    lines = done.stderr.splitlines()
    mark = next(i for i, line in enumerate(lines) if line.strip() == "^")
    assert lines[mark - 1][lines[mark].index("^"):].startswith("nmae")
    assert "name" in done.stderr
    assert "people" in tarn("sql", "-c", "select * from poeple", lake=lake, check=1).stderr


def test_only_reading_is_allowed(lake):
    for text in ["drop table people", "insert into people values (1)", "select * from read_csv('/etc/passwd')", "attach 'x'"]:
        done = tarn("sql", "-c", text, lake=lake, check=1)
        assert done.stdout == "" and done.stderr.startswith("tarn: ")


def test_a_hint_when_sql_is_given_as_a_file(lake):
    assert "-c" in tarn("sql", "select 1", lake=lake, check=1).stderr


def test_timeout(lake):
    done = tarn("sql", "--timeout", "200ms", "-c", "select count(*) from range(100000000) a, range(100000) b", lake=lake,
                check=1)
    assert done.stdout == ""


LONG = "select count(*) from range(100000000) a, range(100000) b where a.range + b.range = 7"


def test_interrupt_cancels_on_the_server(lake):
    with Server(lake) as server:
        env = environment(TARN_SERVER=server.url, TARN_TOKEN=server.token)
        process = subprocess.Popen([BINARY, "sql", "-c", LONG], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        wait_for("a query", lambda: server.get("/system").json()["queries"]["running"])
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and errors.startswith("tarn: ")
        # The server is free again: a query that needs a thread of its own answers.
        assert tarn("sql", "-c", "select 1 as x", env={"TARN_SERVER": server.url, "TARN_TOKEN": server.token},
                    check=0).stdout.split() == ["x", "1"]


def peak_kb(pid):
    """0 when the process has just ended."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)


def test_large_results_stream_in_constant_memory(lake):
    """The client's own peak, beside a server that is another process."""
    with Server(lake) as server:
        env = environment(TARN_SERVER=server.url, TARN_TOKEN=server.token)
        text = "select range as id, 'some text to make the line longer' as t from range(3000000)"
        process = subprocess.Popen([BINARY, "sql", "-c", text], env=env, stdout=subprocess.PIPE)
        size, peak = 0, 0
        while chunk := os.read(process.stdout.fileno(), 1 << 20):
            size += len(chunk)
            peak = max(peak, peak_kb(process.pid))
        assert process.wait(timeout=60) == 0
        assert size > 100 << 20
        assert 0 < peak < 64 << 10, f"{peak} kB"
