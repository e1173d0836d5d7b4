"""Tables of real PostgreSQL servers into datasets: which rows, when, and what
is left when something goes wrong. Types: test_ingest_postgres_types.py."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.support import postgres
from tests.support.postgres import LOCKED_PASSWORD, Postgres
from tests.support.faults import gone
from tests.support.tarn import BINARY, PATIENCE, Server, environment, wait_for


@pytest.fixture
def database():
    return postgres.shared("16").database()


def ask(server, url, check=True, **body):
    """POST /ingest/postgres, waited for; of one table its part of the answer."""
    answer = server.post("/ingest/postgres", params={"wait": 3 * PATIENCE}, json={"url": url, **body}, timeout=4 * PATIENCE)
    if not check:
        return answer
    assert answer.status_code == 200, answer.text
    tables = answer.json()["tables"]
    return tables[0] if len(tables) == 1 else tables


def refuse(server, url, code, **body):
    answer = ask(server, url, check=False, **body)
    assert answer.status_code >= 400 and answer.json()["code"] == code, answer.text
    return answer.json()


def datasets(server):
    return {item["name"] for item in server.get("/catalog/datasets").json()["items"]}


PEOPLE = """CREATE TABLE people (id int PRIMARY KEY, name text, changed timestamptz DEFAULT now());
INSERT INTO people SELECT i, 'person ' || i, timestamptz '2026-01-01' + i * interval '1 hour' FROM generate_series(1, 500) i;
ANALYZE people;
"""


# ---- whole tables ----------------------------------------------------------------------

def test_a_table_comes_whole_and_again_changes_nothing(server, database):
    database.run(PEOPLE)
    first = ask(server, database.url, tables=["people"])
    assert (first["status"], first["rows"], first["mode"], first["key"]) == ("ingested", 500, "replace", "id")
    assert server.sql("SELECT count(*) AS n, min(name) AS a, max(changed)::VARCHAR AS c FROM people") == [
        {"n": 500, "a": "person 1", "c": "2026-01-21 20:00:00+00"}]
    assert ask(server, database.url, tables=["people"])["status"] == "unchanged"
    database.run("DELETE FROM people WHERE id > 400")
    assert ask(server, database.url, tables=["people"])["rows"] == 400
    assert server.sql("SELECT count(*) AS n FROM people") == [{"n": 400}]


def test_lineage_names_the_table_and_no_user(server, database):
    database.run(PEOPLE)
    ask(server, database.url, tables=["people"], reason="nightly")
    newest = server.get("/catalog/datasets/people/snapshots").json()["items"][0]
    assert f"127.0.0.1:{database.server.port}/{database.name} public.people" in json.dumps(newest)
    assert "postgres@" not in json.dumps(newest)


def test_an_empty_table_and_one_without_key(server, database):
    database.run("CREATE TABLE nothing (id int PRIMARY KEY, a text[]); CREATE TABLE loose (a int);"
                 "INSERT INTO loose VALUES (1), (1), (NULL)")
    answer = ask(server, database.url, tables=["nothing"])
    assert (answer["rows"], [c["type"] for c in answer["schema"]]) == (0, ["INTEGER", "VARCHAR[]"])
    assert server.sql("SELECT count(*) AS n FROM nothing") == [{"n": 0}]
    assert ask(server, database.url, tables=["loose"])["rows"] == 3
    refuse(server, database.url, "bad_request", tables=["loose"], mode="upsert", dataset="other")
    assert "other" not in datasets(server)


def test_append_adds_and_the_same_bytes_do_not(server, database):
    database.run("CREATE TABLE log (at int); INSERT INTO log VALUES (1), (2)")
    ask(server, database.url, tables=["log"], mode="append")
    assert ask(server, database.url, tables=["log"], mode="append")["status"] == "unchanged"
    database.run("UPDATE log SET at = at + 10")
    ask(server, database.url, tables=["log"], mode="append")
    assert server.sql('SELECT "at" FROM log ORDER BY 1') == [{"at": n} for n in (1, 2, 11, 12)]


@pytest.mark.parametrize("keys", [(1, 2, 2), (2, 1, 2), (1, 2, None)])
def test_a_key_that_is_none_is_refused(server, database, keys):
    values = ", ".join(f"({'NULL' if key is None else key})" for key in keys)
    database.run(f"CREATE TABLE loose (a int); INSERT INTO loose VALUES {values}")
    refuse(server, database.url, "refused", tables=["loose"], key="a")
    assert datasets(server) == set()


def test_names_that_are_not_sql(server, database):
    database.run('''CREATE SCHEMA "odd ""s"; CREATE TABLE "odd ""s"."it's; DROP TABLE x; --" ("a ""b" int, "select" text, "Ärger" int, "a.b" int);
                    INSERT INTO "odd ""s"."it's; DROP TABLE x; --" VALUES (1, 'x', 2, 3); CREATE TABLE x (a int)''')
    answer = ask(server, database.url, schema='odd "s', tables=["it's; DROP TABLE x; --"], dataset="odd")
    assert [c["original_name"] for c in answer["schema"]] == ['a "b', "select", "Ärger", "a.b"]
    assert list(server.sql("SELECT * FROM odd")[0].values()) == [1, "x", 2, 3]
    assert database.value("SELECT count(*) FROM x") == "0"
    answer = ask(server, database.url, tables=["it's; DROP TABLE x; --"], check=False)
    assert answer.json()["code"] == "not_found", "it is not in the search path"


def test_views_partitions_and_dotted_names(server, database):
    database.run("""CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        INSERT INTO parts VALUES (1, '2026-01-05'), (2, '2026-02-05'); CREATE VIEW seen AS SELECT id FROM parts WHERE id > 1;
        CREATE TABLE "a.b" (x int); INSERT INTO "a.b" VALUES (9)""")
    assert ask(server, database.url, tables=["parts"])["rows"] == 2
    assert ask(server, database.url, tables=["public.seen"])["dataset"] == "seen"
    assert ask(server, database.url, tables=["a.b"], dataset="dotted")["rows"] == 1
    tables = ask(server, database.url, schema="public")
    assert [t["table"] for t in tables] == ["public.a.b", "public.parts"], "partitions belong to their table"


# ---- queries ---------------------------------------------------------------------------------

def test_a_query_with_names_that_are_there_twice(server, database):
    database.run(PEOPLE)
    answer = ask(server, database.url, query="SELECT id, id, count(*) OVER (), 5 FROM people; ", dataset="counted")
    assert (answer["table"], answer["rows"]) == ("query", 500)
    assert [c["name"] for c in answer["schema"]] == ["id", "id_2", "count", "column"]
    assert ask(server, database.url, query="WITH t AS (TABLE people) SELECT name FROM t -- the end", dataset="names")["rows"] == 500


@pytest.mark.parametrize("query", [
    "DELETE FROM people RETURNING id", "/* hm */ DROP TABLE people", "SELECT 1; DROP TABLE people",
    "SELECT 1) TO PROGRAM 'touch hacked' --", "WITH d AS (DELETE FROM people RETURNING id) SELECT * FROM d",
    "SELECT 1) AS q(c1); DELETE FROM people; SELECT * FROM (SELECT 1", "CALL nothing()", "COPY people TO STDOUT", "",
    "SELECT setval('s', 5)",
])
def test_what_is_no_select_is_refused(server, database, query):
    database.run(PEOPLE + "CREATE SEQUENCE s")
    answer = ask(server, database.url, check=False, query=query, dataset="bad")
    assert 400 <= answer.status_code < 500, answer.text
    assert database.value("SELECT count(*) FROM people") == "500"
    assert database.value("SELECT last_value FROM s") == "1"
    assert "bad" not in datasets(server)


# ---- one snapshot -------------------------------------------------------------------------------

def test_several_tables_are_of_one_moment(server, database):
    """Money moves between two tables all the time; what is read has all of it."""
    database.run("CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int);"
                 "INSERT INTO a SELECT i, 100 FROM generate_series(1, 20000) i; INSERT INTO b SELECT i, 0 FROM generate_series(1, 20000) i")
    writers = [database.start("") for _ in range(2)]
    stop = threading.Event()

    def move(writer, start):
        n = start
        while not stop.is_set():
            n = n % 20000 + 1
            try:
                writer.stdin.write(f"BEGIN; UPDATE a SET v = v - 1 WHERE id = {n}; UPDATE b SET v = v + 1 WHERE id = {n}; COMMIT;\n")
                writer.stdin.flush()
            except OSError:
                return
            time.sleep(0.001)

    threads = [threading.Thread(target=move, args=(w, i * 10000)) for i, w in enumerate(writers)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            ask(server, database.url, schema="public")
            assert server.sql("SELECT (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b) AS s") == [{"s": 2000000}]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for writer in writers:
            writer.communicate(timeout=2 * PATIENCE)
    assert database.value("SELECT sum(v) FROM b") != "0", "somebody wrote meanwhile"


# ---- incremental -----------------------------------------------------------------------------------

def test_incremental_by_a_time(server, database):
    database.run(PEOPLE)
    body = {"tables": ["people"], "incremental": "changed"}
    first = ask(server, database.url, **body)
    assert (first["mode"], first["rows"], first["inserted"]) == ("upsert", 500, 500)
    assert first["watermark"].startswith("2026-01-21 20:00:00")
    again = ask(server, database.url, **body)
    assert (again["status"], again["rows"]) == ("unchanged", 1), "the last row may have neighbours with its time"
    database.run("UPDATE people SET name = 'new', changed = '2026-02-01' WHERE id = 7; INSERT INTO people VALUES (501, 'x', '2026-02-01 00:00:01');"
                 "UPDATE people SET name = 'silent' WHERE id = 8; INSERT INTO people VALUES (502, 'same time', timestamptz '2026-01-21 20:00:00+00')")
    third = ask(server, database.url, **body)
    assert (third["rows"], third["inserted"], third["updated"]) == (4, 2, 1)
    assert server.sql("SELECT count(*) AS n, count(*) FILTER (name = 'new') AS c, count(*) FILTER (name = 'silent') AS s FROM people") == [
        {"n": 502, "c": 1, "s": 0}]


def test_incremental_without_a_key_appends(server, database):
    database.run("CREATE TABLE events (n bigint, what text); INSERT INTO events SELECT i, 'e' FROM generate_series(1, 10) i")
    body = {"tables": ["events"], "incremental": "n"}
    assert ask(server, database.url, **body)["mode"] == "append"
    assert ask(server, database.url, **body)["status"] == "unchanged"
    database.run("INSERT INTO events VALUES (11, 'f')")
    assert ask(server, database.url, **body)["rows"] == 1
    assert server.sql("SELECT count(*) AS n, max(n) AS m FROM events") == [{"n": 11, "m": 11}]


def test_a_watermark_is_of_its_table_and_column(server, database):
    database.run(PEOPLE + "CREATE TABLE others (id int PRIMARY KEY, changed timestamptz); INSERT INTO others VALUES (1, now())")
    ask(server, database.url, tables=["people"], incremental="changed")
    refuse(server, database.url, "refused", tables=["others"], dataset="people", incremental="changed")
    refuse(server, database.url, "refused", tables=["people"], incremental="id")
    problem = refuse(server, database.url, "not_found", tables=["people"], incremental="change")
    assert "changed" in problem["hint"]
    assert ask(server, database.url, tables=["people"], incremental="id", mode="replace")["watermark"] == "500"


def test_the_watermark_outlives_rows_that_are_equal(server, database):
    """A table that is here already is not read whole twice."""
    database.run(PEOPLE)
    ask(server, database.url, tables=["people"])
    assert ask(server, database.url, tables=["people"], incremental="id")["unchanged"] == 500
    assert ask(server, database.url, tables=["people"], incremental="id")["rows"] == 1


def test_an_injection_in_a_value_of_the_watermark(server, database):
    database.run("CREATE TABLE t (id int PRIMARY KEY, w text); INSERT INTO t VALUES (1, E'x'' OR true; \\\\ DROP TABLE t; --')")
    body = {"tables": ["t"], "incremental": "w"}
    ask(server, database.url, **body)
    database.run("INSERT INTO t VALUES (2, 'y'), (3, 'a')")
    assert ask(server, database.url, **body)["inserted"] == 1, "of those one sorts behind"
    assert database.value("SELECT count(*) FROM t") == "3"


# ---- deletes --------------------------------------------------------------------------------------------

def test_compare_finds_what_is_gone(server, database):
    database.run(PEOPLE)
    ask(server, database.url, tables=["people"], incremental="changed")
    database.run("DELETE FROM people WHERE id % 5 = 0; INSERT INTO people VALUES (1000, 'late', '2027-01-01')")
    answer = ask(server, database.url, tables=["people"], incremental="changed", compare=True)
    assert (answer["inserted"], answer["deleted"]) == (1, 100)
    assert server.sql("SELECT count(*) AS n, count(*) FILTER (id % 5 = 0) AS m FROM people") == [{"n": 401, "m": 1}]
    assert ask(server, database.url, tables=["people"], compare=True)["deleted"] == 0


def test_compare_by_a_key_of_several_kinds(server, database):
    database.run("""CREATE TABLE wide (region text, day date, id uuid, n numeric(20,3), v int, PRIMARY KEY (region, day, id, n));
        INSERT INTO wide SELECT 'r' || i % 7, date '2026-01-01' + i % 30, md5(i::text)::uuid, i / 8.0, i FROM generate_series(1, 3000) i""")
    ask(server, database.url, tables=["wide"], mode="upsert")
    database.run("DELETE FROM wide WHERE v % 3 = 0")
    assert ask(server, database.url, tables=["wide"], compare=True)["deleted"] == 1000
    assert server.sql("SELECT count(*) AS n, sum(v % 3 = 0) AS m FROM wide") == [{"n": 2000, "m": 0}]


def test_compare_with_more_deletes_than_a_batch(server, database):
    database.run("CREATE TABLE big (id int PRIMARY KEY); INSERT INTO big SELECT generate_series(1, 60000)")
    ask(server, database.url, tables=["big"], mode="upsert")
    database.run("DELETE FROM big WHERE id > 5000")
    assert ask(server, database.url, tables=["big"], compare=True)["deleted"] == 55000
    assert server.sql("SELECT count(*) AS n, max(id) AS m FROM big") == [{"n": 5000, "m": 5000}]


# ---- what goes wrong -----------------------------------------------------------------------------------------

def test_servers_that_are_not_there(server, database):
    with socket.socket() as taken:  # nobody else gets this port, and nobody listens on it
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        problem = refuse(server, f"postgresql://me@127.0.0.1:{port}/x", "server_unreachable", tables=["t"])
    assert "refused" in problem["detail"] and str(port) in problem["detail"]
    refuse(server, "postgresql://me@no-such-host.invalid/x", "server_unreachable", tables=["t"])
    problem = refuse(server, database.server.url("absent"), "not_found", tables=["t"])
    assert "absent" in problem["detail"]
    problem = refuse(server, database.url + "?sslmode=require", "server_unreachable", tables=["t"])
    assert "SSL" in problem["detail"] and "sslmode=disable" in problem["hint"]
    refuse(server, "what is this", "bad_request", tables=["t"])


def test_something_that_is_no_postgres(server):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def answer():
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    try:
                        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    except OSError:  # it has gone already
                        continue
        threading.Thread(target=answer, daemon=True).start()
        refuse(server, f"postgresql://me@127.0.0.1:{listening.getsockname()[1]}/x", "server_unreachable", tables=["t"])


def test_missing_tables_and_rights(server, database):
    database.run(PEOPLE + "CREATE ROLE poor LOGIN" if database.value("SELECT count(*) FROM pg_roles WHERE rolname = 'poor'") == "0" else PEOPLE)
    problem = refuse(server, database.url, "not_found", tables=["peple"])
    assert '"people"' in problem["hint"]
    assert "is not there" in refuse(server, database.url, "not_found", schema="pubic")["detail"]
    problem = refuse(server, database.server.url(database.name, "poor"), "forbidden", tables=["people"])
    assert "permission denied" in problem["detail"] and "GRANT" in problem["hint"]
    assert datasets(server) == set()


def test_a_server_that_dies_half_way_leaves_nothing(lake, tmp_path):
    with Postgres("16") as pg, Server(lake) as server:
        database = pg.database()
        database.run("CREATE TABLE first (a int); INSERT INTO first VALUES (1); CREATE TABLE slow (a int, b text);"
                     "INSERT INTO slow SELECT i, repeat('x', 100) FROM generate_series(1, 400000) i")
        body = {"url": database.url, "query": "SELECT a, b, CASE WHEN a % 1000 = 0 THEN pg_sleep(0.2) END::text FROM slow", "dataset": "slow"}
        job = server.post("/ingest/postgres", json=body).json()["job_id"]
        wait_for_rows(server, job)
        pg.kill()
        ended = end_of(server, job)
        assert (ended["state"], ended["error"]["code"]) == ("failed", "server_unreachable"), ended
        assert datasets(server) == set()
        pg.start()
        assert ask(server, database.url, query="SELECT * FROM slow", dataset="slow")["rows"] == 400000


def end_of(server, job):
    return server.get(f"/jobs/{job}", params={"wait": 3 * PATIENCE}, timeout=4 * PATIENCE).json()


def wait_for_rows(server, job):
    def rows_came():
        now = server.get(f"/jobs/{job}").json()
        assert now["state"] in ("queued", "running"), now
        return now["progress"]["done"]

    wait_for("the first rows", rows_came, 2 * PATIENCE)


def at_work(database):
    """How many connections Tarn has to the database."""
    return database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tarn' AND datname = current_database()")


SLEEPY = "SELECT i, CASE WHEN i % 5000 = 0 THEN pg_sleep(0.1) END::text AS s FROM (SELECT generate_series(1, 50000000) AS i) AS n"


def test_cancel_ends_the_statement_there(server, database):
    job = server.post("/ingest/postgres", json={"url": database.url, "query": SLEEPY, "dataset": "sleepy"}).json()["job_id"]
    wait_for_rows(server, job)
    assert at_work(database) == "1"
    server.delete(f"/jobs/{job}")
    assert end_of(server, job)["state"] == "cancelled"
    wait_for("the end of a statement of many minutes", lambda: at_work(database) == "0", PATIENCE)
    assert datasets(server) == set()


def test_a_job_goes_on_after_a_crash(lake, database):
    """The process dies; the next one begins the job again, and the rows are there once."""
    database.run(PEOPLE)
    with Server(lake, env={"TARN_FAULT": "ingest.postgres_before_commit"}) as server:
        # It may die before it has answered.
        gone(server.post, "/ingest/postgres", json={"url": database.url, "tables": ["people"], "mode": "append"})
        assert server.process.wait(PATIENCE) == -signal.SIGKILL
    with Server(lake) as server:
        job, = server.get("/jobs").json()["items"]
        ended = end_of(server, job["id"])
        assert ended["state"] == "done" and ended["attempts"] == 2, ended
        assert server.sql("SELECT count(*) AS n FROM people") == [{"n": 500}]


# ---- secrets -------------------------------------------------------------------------------------------------------

@pytest.fixture
def locked(database):
    database.server.lock_user()
    database.run(PEOPLE)
    return database


def everything_written(lake):
    """Every byte of the lake and of the log, for a search."""
    for folder, _, files in os.walk(lake.parent):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                yield os.path.join(folder, name), file.read()


def test_no_trace_of_a_password(lake, locked):
    url = locked.server.url(locked.name, "locked", "Geheim-Uhrwerk%3A%2F%40%3Fx")
    with Server(lake, "--set", "log.level=debug") as server:
        assert ask(server, url, tables=["people"])["rows"] == 500
        ask(server, locked.server.url(locked.name, "locked"), tables=["people"], password=LOCKED_PASSWORD)
        wrong = refuse(server, url.replace("Uhrwerk", "Uhrglas"), "forbidden", tables=["people"])
        assert "locked" in wrong["detail"] and "Uhrglas" not in json.dumps(wrong)
        missing = refuse(server, locked.server.url(locked.name, "locked"), "forbidden", tables=["people"])
        assert "password" in missing["detail"]
        jobs = server.get("/jobs").text
        details = "".join(server.get(f"/jobs/{j['id']}").text + server.get(f"/jobs/{j['id']}/log").text for j in server.get("/jobs").json()["items"])
        journal = server.get("/journal/events", params={"limit": 1000}).text
    for secret in ("Geheim", "Uhrwerk", "Uhrglas"):
        assert secret not in jobs + details + journal
    for path, content in everything_written(lake):
        assert all(secret not in content for secret in (b"Geheim", b"Uhrwerk", b"Uhrglas")), path


def test_passwords_of_files(lake, locked, tmp_path):
    url = locked.server.url(locked.name, "locked")
    passfile, secret = tmp_path / "pgpass", tmp_path / "secret"
    escaped = LOCKED_PASSWORD.replace(":", "\\:")
    passfile.write_text(f"127.0.0.1:{locked.server.port}:*:locked:{escaped}\n")
    secret.write_text(LOCKED_PASSWORD + "\n")
    for file in (passfile, secret):
        file.chmod(0o600)
    with Server(lake) as server:
        done = server.cli("ingest", "postgres", url, "--table", "people", env={"PGPASSFILE": str(passfile)})
        assert "500 rows from public.people" in done.stdout
        server.cli("ingest", "postgres", url, "--table", "people", "--password-file", secret)
        secret.chmod(0o644)
        done = server.cli("ingest", "postgres", url, "--table", "people", "--password-file", secret, check=False)
        assert done.returncode == 1 and "chmod 600" in done.stderr
        (lake / "secrets").mkdir(exist_ok=True)
        (lake / "secrets" / "shop").write_text(LOCKED_PASSWORD)
        (lake / "secrets" / "shop").chmod(0o600)
        assert ask(server, url, tables=["people"], secret="shop")["status"] == "unchanged"
        refuse(server, url, "bad_request", tables=["people"], secret="../tarn.yaml")
        refuse(server, url, "bad_request", tables=["people"], secret=".hidden")
        refuse(server, url + "?passfile=/etc/passwd", "bad_request", tables=["people"])
        refuse(server, url + "?service=x", "bad_request", tables=["people"])


def test_a_password_is_not_in_ps(lake, locked):
    url = locked.server.url(locked.name, "locked", "Geheim-Uhrwerk%3A%2F%40%3Fx")
    with Server(lake) as server:
        process = subprocess.Popen([str(BINARY), "ingest", "postgres", url, "--query", SLEEPY, "--dataset", "sleepy"],
                                   env=environment(TARN_SERVER=server.url, TARN_TOKEN=server.token), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        job, = wait_for("the job", lambda: process.poll() is None and server.get("/jobs").json()["items"], PATIENCE)
        wait_for_rows(server, job["id"])
        ours, place = (process.pid, server.process.pid), locked.url.rpartition("@")[2].encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    command = file.read()
            except OSError:
                continue
            # Who looks for this very text on this machine has it there too, and is none of ours.
            assert b"Geheim" not in command or (int(pid) not in ours and place not in command), pid
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 1 and "cancelled" in errors.lower(), errors


# ---- the command line ----------------------------------------------------------------------------------------------

def test_the_command_alone_makes_a_lake(lake, database):
    database.run(PEOPLE)
    command = [str(BINARY), "--lake", str(lake), "ingest", "postgres", database.url, "--table", "people"]
    done = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "people: 500 rows from public.people" in done.stdout, done.stderr
    done = subprocess.run([*command, "--json"], env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["tables"][0]["status"] == "unchanged"
    done = subprocess.run([*command[:-1], "peopel"], env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and 'did you mean "people"?' in done.stderr


def test_options_that_do_not_go_together(server, database):
    for body in ({}, {"query": "SELECT 1"}, {"query": "SELECT 1", "tables": ["t"], "dataset": "d"}, {"tables": ["a", "b"], "dataset": "d"},
                 {"schema": "public", "key": "id"}, {"tables": ["t"], "mode": "replace", "compare": True}, {"tables": ["t"], "mode": "merge"},
                 {"tables": ["t"], "numeric": "99,1"}, {"tables": [1]}):
        refuse(server, database.url, "bad_request", **body)
    refuse(server, database.url, "unknown_field", tables=["t"], tabel="x")
