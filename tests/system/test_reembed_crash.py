"""`tarn reembed` that dies, loses its server, or is not alone.

Whatever happens, a table is the old one whole or the new one whole when staged,
and running again ends it; in place, running again ends it.
"""
import re
import signal

import pytest

from tests.support import postgres, tarn
from tests.support.reembed import HNSW, Table, model_server, outcome, wait_for
from tests.support.tarn import ROOT

EMBED = "/api/embed"
ROWS = 300

# Each with the arguments that lead by it.
STAGED = ["reembed.checked", "reembed.stage_made", "reembed.batch_sent:1", "reembed.batch_sent:3",
          "reembed.batch_written:1", "reembed.batch_written:4", "reembed.stage_full", "reembed.locked",
          "reembed.index_dropped", "reembed.moved", "reembed.index_begun", "reembed.index_built",
          "reembed.registry_written", "reembed.before_commit", "reembed.committed"]
IN_PLACE = ["reembed.checked", "reembed.progress_made", "reembed.index_dropped", "reembed.relaxed",
            "reembed.batch_sent:1", "reembed.batch_sent:3", "reembed.batch_written:1", "reembed.batch_written:4",
            "reembed.all_written", "reembed.tightened", "reembed.index_begun", "reembed.index_built",
            "reembed.registry_written", "reembed.ended"]
CONCURRENT = ["reembed.committed", "reembed.index_begun", "reembed.index_built", "reembed.ended"]


@pytest.fixture
def models():
    with model_server() as running:
        yield running


@pytest.fixture
def server():
    return postgres.shared("16")


def nobody_works(table):
    """The server has noticed that the client is gone."""
    wait_for(lambda: table.number("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tarn reembed%' AND "
                                  f"datname = '{table.database.name}'") == 0)


def test_every_point_is_in_a_list():
    found = set()
    for path in (ROOT / "src" / "reembed").glob("*.c"):
        found |= set(re.findall(r'TN_FAULT\("([^"]+)"\)', path.read_text()))
    assert found == {point.split(":")[0] for point in STAGED + IN_PLACE + CONCURRENT}


@pytest.mark.parametrize("point", STAGED)
def test_staged_and_killed(server, models, point):
    table = Table(server, rows=ROWS)
    assert table.killed_at(models, point, "--batch-size", "50")
    nobody_works(table)
    if point == "reembed.committed":
        table.check(models)
    else:
        table.is_old()
    models.forget()
    report = table.reembed(models, "--batch-size", "50")
    table.check(models, sample=ROWS)
    if point == "reembed.committed":
        assert report["no_op"]
    elif STAGED.index(point) > STAGED.index("reembed.stage_full"):
        assert report["rows_resumed"] == ROWS and report["rows_embedded"] == 0
    else:
        assert report["rows_resumed"] + report["rows_embedded"] == ROWS


@pytest.mark.parametrize("point", IN_PLACE)
def test_in_place_and_killed(server, models, point):
    table = Table(server, rows=ROWS)
    words = ("--batch-size", "50", "--mode", "in-place")
    assert table.killed_at(models, point, *words)
    nobody_works(table)
    if point != "reembed.ended":
        assert table.registry() == ("fake-old", 64)
    report = table.reembed(models, *words)
    table.check(models, sample=ROWS)
    if point == "reembed.ended":
        assert report["no_op"]
    elif IN_PLACE.index(point) >= IN_PLACE.index("reembed.all_written"):
        assert report["rows_resumed"] == ROWS and report["rows_embedded"] == 0


@pytest.mark.parametrize("point", CONCURRENT)
def test_concurrently_and_killed(server, models, point):
    """Vectors and registry have switched; the next run makes the index."""
    table = Table(server, rows=ROWS)
    assert table.killed_at(models, point, "--concurrent-index")
    nobody_works(table)
    assert table.registry() == ("ollama/plain-embed", 128) and table.column_type() == "vector(128)"
    models.forget()
    report = table.reembed(models, "--concurrent-index")
    assert report["rows_embedded"] == 0
    table.check(models, sample=ROWS)


@pytest.mark.parametrize("version,mode,point", [("18", "staged", "reembed.before_commit"),
                                                ("18", "in-place", "reembed.batch_written:4"),
                                                ("16.2", "staged", "reembed.before_commit"),
                                                ("16.2", "in-place", "reembed.batch_written:4")])
def test_killed_on_other_servers(models, version, mode, point):
    table = Table(postgres.shared(version), rows=ROWS)
    words = ("--batch-size", "50", "--mode", mode)
    assert table.killed_at(models, point, *words)
    nobody_works(table)
    if mode == "staged":
        table.is_old()
    table.reembed(models, *words)
    table.check(models, sample=ROWS)


# ---- a run that began otherwise --------------------------------------------------------


def test_another_model_after_a_run_in_place_that_died(server, models):
    """The half that is written must not be taken for this model's, nor that of the first model later."""
    table = Table(server, rows=ROWS)
    assert table.killed_at(models, "reembed.batch_written:3", "--batch-size", "50", "--mode", "in-place")
    nobody_works(table)
    models.names.append("other-embed")
    models.salt = "other"
    table.reembed(models, "--mode", "in-place", model="ollama/other-embed")
    table.check(models, model="ollama/other-embed", sample=ROWS)
    models.salt = ""
    table.reembed(models, "--batch-size", "50", "--mode", "in-place")
    table.check(models, sample=ROWS)


def test_back_to_the_old_model_after_a_run_in_place_that_died(server, models):
    """The registry still names the old model: that is no reason to do nothing."""
    table = Table(server, rows=ROWS)
    table.reembed(models)
    models.names.append("other-embed")
    models.salt = "other"
    done = table.call(models, "--batch-size", "50", "--mode", "in-place", model="ollama/other-embed",
                      env={"TARN_FAULT": "reembed.batch_written:3"})
    assert done.returncode < 0
    nobody_works(table)
    models.salt = ""
    assert not table.reembed(models)["no_op"]
    table.check(models, sample=ROWS)


# ---- models that fail -----------------------------------------------------------------------


@pytest.mark.parametrize("mode,fault", [("in-place", "500"), *(("staged", fault) for fault in (
    "500", "reset", "truncated", "dimension", "nan", "null", "count"))])
def test_a_model_that_fails_midway(server, models, mode, fault):
    table = Table(server, rows=ROWS)
    models.fail_next(EMBED, None, None, None, fault, fault)  # a connection that was reset is opened once more
    text = table.refused(models, "--batch-size", "50", "--mode", mode)
    assert "run again" in text.lower(), text
    if mode == "staged":
        table.is_old()
    else:
        assert table.registry() == ("fake-old", 64)
    models.forget()
    report = table.reembed(models, "--batch-size", "50", "--mode", mode)
    assert report["rows_resumed"] >= 50 and report["rows_resumed"] + report["rows_embedded"] == ROWS
    table.check(models, sample=ROWS)


def test_a_server_that_refuses_rows_while_they_are_sent_says_why(server, models):
    """A batch of two megabytes, and the first of its rows is one too many."""
    table = Table(server, rows=4096, index=False)
    models.hold_next(EMBED, after=2)
    process = table.begin(models, "--batch-size", "4096")
    wait_for(lambda: len(models.asked(EMBED)) >= 3)
    table.database.run(f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'quota of rows'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON {table.own_tables()[0]} FOR EACH ROW EXECUTE FUNCTION refuse();""")
    models.release()
    text, _ = process.communicate(timeout=10 * tarn.PATIENCE)
    assert process.returncode == 1 and "quota of rows" in text and "run again" in text.lower(), text
    assert table.registry() == ("fake-old", 64) and table.column_type() == "vector(64)"


# ---- not alone ---------------------------------------------------------------------------------


def held(models, table, *more):
    """A run that stands in the middle until models.release(), its first batch written."""
    models.hold_next(EMBED, after=2)
    process = table.begin(models, "--batch-size", "50", *more)
    wait_for(lambda: len(models.asked(EMBED)) >= 3)
    where = table.own_tables()[0] if "in-place" not in more else "knowledge_nodes WHERE vector_dims(embedding) = 128"
    wait_for(lambda: table.number(f"SELECT count(*) FROM {where}") == 50)
    return process


def test_two_at_once(server, models):
    table = Table(server, rows=ROWS)
    first = held(models, table)
    text = table.refused(models)
    assert "another run is at work on public.knowledge_nodes" in text and "process " in text
    models.release()
    status, told = outcome(first)
    assert status == 0, told
    table.check(models)


@pytest.mark.parametrize("mode", ["staged", "in-place"])
def test_a_connection_that_is_dropped(server, models, mode):
    table = Table(server, rows=ROWS)
    process = held(models, table, "--mode", mode)
    table.database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tarn reembed%' "
                       f"AND datname = '{table.database.name}';")
    models.release()
    status, told = outcome(process)
    assert status == 3, told
    assert ("nothing of the table has changed" if mode == "staged" else "VECTORS OF TWO MODELS") in told
    if mode == "staged":
        table.is_old()
    models.forget()
    report = table.reembed(models, "--batch-size", "50", "--mode", mode)
    assert report["rows_resumed"] >= 50
    table.check(models, sample=ROWS)


@pytest.mark.parametrize("mode", ["staged", "in-place"])
def test_an_interrupt(server, models, mode):
    table = Table(server, rows=ROWS)
    process = held(models, table, "--mode", mode)
    process.send_signal(signal.SIGINT)
    models.release()
    status, told = outcome(process)
    assert status == 1 and "Run again with the same arguments" in told
    models.forget()
    assert table.reembed(models, "--batch-size", "50", "--mode", mode)["rows_resumed"] >= 50
    table.check(models, sample=ROWS)


@pytest.mark.parametrize("mode", ["staged", "in-place"])
def test_a_server_that_dies(models, mode):
    """As a power failure: what was said to be written may be lost, but never out of order."""
    with postgres.Postgres("16", fsync="on") as server:
        table = Table(server, rows=ROWS)
        process = held(models, table, "--mode", mode)
        server.kill()
        models.release()
        status, told = outcome(process)
        assert status == 3, told
        server.start()
        if mode == "staged":
            table.is_old()
        models.forget()
        table.reembed(models, "--batch-size", "50", "--mode", mode)
        table.check(models, sample=ROWS)


def test_who_holds_the_lock_is_named(server, models):
    table = Table(server, rows=ROWS)
    reader = table.database.start("SET application_name = 'a slow report';\nBEGIN;\nSELECT count(*) FROM knowledge_nodes;\n")
    wait_for(lambda: table.number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a slow report' AND "
                                  "state = 'idle in transaction'") == 1)
    text = table.refused(models, "--lock-timeout", "1s")
    assert "application a slow report" in text and "idle in transaction" in text and "pg_terminate_backend" in text
    table.is_old()
    reader.communicate("ROLLBACK;\n", timeout=tarn.PATIENCE)
    assert table.reembed(models)["rows_embedded"] == 0
    table.check(models)


def test_an_invalid_index_is_reported_and_left(server, models):
    """As an interrupted CREATE INDEX CONCURRENTLY leaves it."""
    table = Table(server, rows=ROWS)
    table.database.run(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{HNSW}'::regclass;")
    text = table.refused(models)
    assert f"DROP INDEX CONCURRENTLY public.{HNSW};" in text and "INVALID" in text
    assert table.number(f"SELECT count(*) FROM pg_class WHERE relname = '{HNSW}'") == 1 and table.own_tables() == []
    table.database.run(f"DROP INDEX CONCURRENTLY {HNSW};")
    table.reembed(models)
    assert HNSW in table.indexes()


def test_a_concurrent_build_that_is_interrupted(server, models):
    """A transaction of somebody else holds it up; then its backend is ended."""
    table = Table(server, rows=ROWS)
    holder = table.database.start("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT count(*) FROM embedding_model;\n")
    wait_for(lambda: table.number("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = "
                                  f"'{table.database.name}'") == 1)
    process = table.begin(models, "--concurrent-index")
    wait_for(lambda: table.number("SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'") == 1)
    table.database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index;")
    status, told = outcome(process)
    assert status == 3 and f"DROP INDEX CONCURRENTLY public.{HNSW};" in told, told
    holder.communicate("ROLLBACK;\n", timeout=tarn.PATIENCE)
    nobody_works(table)
    assert f"DROP INDEX CONCURRENTLY public.{HNSW};" in table.refused(models, "--concurrent-index")
    table.database.run(f"DROP INDEX CONCURRENTLY {HNSW};")
    models.forget()
    assert table.reembed(models, "--concurrent-index")["rows_embedded"] == 0
    table.check(models)
