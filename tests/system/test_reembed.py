"""`tarn reembed` on real servers: what it makes, in both modes.

The model is a stand-in whose vectors follow from the texts, so that each row's
vector can be checked.
"""
import fcntl
import json
import os
import signal
import subprocess

import pytest

from tests.support import postgres, tarn
from tests.support.reembed import HNSW, Table, model_server, wait_for, words_of

MODES = ["staged", "in-place"]
EMBED = "/api/embed"


@pytest.fixture
def models():
    with model_server() as running:
        yield running


@pytest.fixture(params=["16", "18", "16.2"])
def anywhere(request):
    return postgres.shared(request.param)


@pytest.fixture
def server():
    return postgres.shared("16")


def texts_asked(models):
    return [text for body in models.asked(EMBED) for text in body["input"]]


# ---- the requirement's list -----------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_another_dimension_and_search_works(anywhere, models, mode):
    table = Table(anywhere, rows=300)
    report = table.reembed(models, "--mode", mode)
    assert report["rows_updated"] == 300 and report["rows_embedded"] == 300 and not report["no_op"]
    assert report["index_rebuild_secs"] > 0 and report["duration_secs"] > 0 and report["batches"] == 3
    table.check(models)
    assert words_of(5) in table.search(models.vector(words_of(5)), 10)


@pytest.mark.parametrize("mode", MODES)
def test_a_second_run_does_nothing(server, models, mode):
    table = Table(server)
    table.reembed(models, "--mode", mode)
    models.forget()
    before = table.value("SELECT xmin FROM embedding_model")
    again = table.reembed(models, "--mode", mode)
    assert again["no_op"] and again["rows_updated"] == 0 and again["duration_secs"] == 0
    assert texts_asked(models) in ([], ["The quick brown fox jumps over the lazy dog 0123456789."])
    assert table.value("SELECT xmin FROM embedding_model") == before


def test_dry_run_writes_and_embeds_nothing(server, models, tmp_path):
    table = Table(server, rows=50)
    lake = tmp_path / "lake"
    tarn.run("--lake", lake, "init")
    tarn.run("--lake", lake, "embed", "--model", "ollama/plain-embed", "x", env=Table.environment(models))
    models.forget()
    before = table.vectors()
    done = tarn.run("--lake", lake, *table.words(models, "--dry-run", "--json"), env=Table.environment(models))
    told = json.loads(done.stdout)
    assert told["rows_to_update"] == 50 and told["embedder_batches"] == 1 and told["would_alter_typmod"]
    assert told["current_signature"] == {"name": "fake-old", "dimension": 64, "hash": "old"}
    assert told["target_signature"]["name"] == "ollama/plain-embed" and told["target_signature"]["dimension"] == 128
    assert told["estimated_walltime_secs"] == pytest.approx(50 / 50 + 30) and told["rate_source"].startswith("assumed")
    assert "vector(64) becomes vector(128)" in done.stderr and "Nothing was written" in done.stderr
    assert models.asked(EMBED) == [] and table.vectors() == before and table.own_tables() == []
    table.is_old()
    probed = tarn.run("--lake", lake, *table.words(models, "--dry-run", "--json", "--probe"),
                      env=Table.environment(models))
    assert len(texts_asked(models)) == 3 and "three texts" in json.loads(probed.stdout)["rate_source"]
    tarn.run("--lake", lake, *table.words(models), env=Table.environment(models))
    other = Table(server, rows=5)  # the rate of that run is remembered
    later = tarn.run("--lake", lake, *other.words(models, "--dry-run", "--json"), env=Table.environment(models))
    assert json.loads(later.stdout)["rate_source"] == "measured by an earlier run"


def test_the_lines_that_it_prints(server, models):
    table = Table(server, rows=300)
    done = table.call(models)
    assert done.returncode == 0, done.stderr
    assert "WARN: tarn reembed is starting." in done.stderr
    assert "reembed: wrote batch 1 (128 rows)" in done.stderr and "reembed: wrote batch 3 (44 rows)" in done.stderr
    assert done.stdout.startswith("300 rows updated in ") and "index rebuilt in" in done.stdout


def stopped_as_soon_as_it_speaks(command, env):
    """The kernel stops it when it writes to stderr: its seconds do not go by however late we read. The process, and where to read."""
    reading, writing = os.pipe()

    def to_be_stopped():
        fcntl.fcntl(reading, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGSTOP)
        fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)

    process = subprocess.Popen(command, cwd="/", stderr=writing, env=env, preexec_fn=to_be_stopped)
    os.close(writing)
    return process, open(reading, encoding="utf-8")


def test_five_seconds_for_second_thoughts(server, models):
    """An interrupt in that time leaves everything as it was."""
    table = Table(server, rows=10)
    words = [word for word in table.words(models) if word != "--no-confirm"]
    process, said = stopped_as_soon_as_it_speaks([str(tarn.BINARY), *words], tarn.environment(**Table.environment(models)))
    with said:
        wait_for(lambda: "within 5 seconds" in said.readline())
        fcntl.fcntl(said, fcntl.F_SETFL, 0)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        rest = said.read()
    assert process.wait(tarn.PATIENCE) == 1 and "before anything was written" in rest, rest
    assert table.own_tables() == []
    table.is_old()


# ---- other tables -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_same_dimension(server, models, mode):
    table = Table(server, dimension=128)
    table.reembed(models, "--mode", mode)
    table.check(models)


@pytest.mark.parametrize("mode", MODES)
def test_rows_without_vector_are_filled(server, models, mode):
    table = Table(server, rows=200, nulls=80)
    assert table.reembed(models, "--mode", mode)["rows_updated"] == 200
    table.check(models)


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_table(server, models, mode):
    table = Table(server, rows=0)
    assert table.reembed(models, "--mode", mode)["rows_updated"] == 0
    table.check(models)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_text_in_many_rows(server, models, mode):
    table = Table(server, rows=20)
    table.database.run("INSERT INTO knowledge_nodes SELECT md5('copy' || i)::uuid, 'memory number 3 talks about rust and "
                       "async' FROM generate_series(1, 100) i;")
    assert table.reembed(models, "--mode", mode)["rows_updated"] == 120
    table.check(models)
    assert table.number("SELECT count(DISTINCT embedding::text) FROM knowledge_nodes") == 20


@pytest.mark.parametrize("mode", MODES)
def test_texts_that_are_null_empty_and_odd(server, models, mode):
    table = Table(server, rows=5)
    table.database.run("""ALTER TABLE knowledge_nodes ALTER COLUMN content DROP NOT NULL;
        INSERT INTO knowledge_nodes VALUES (md5('a')::uuid, NULL, (SELECT embedding FROM knowledge_nodes LIMIT 1)),
        (md5('b')::uuid, '', NULL), (md5('c')::uuid, E'tab\\there \\'quoted\\' ünïcode 漢字', NULL);""")
    report = table.reembed(models, "--mode", mode)
    assert report["rows_updated"] == 8 and report["rows_without_text"] == 1
    assert table.number("SELECT count(*) FROM knowledge_nodes WHERE content IS NULL AND embedding IS NULL") == 1
    assert table.number("SELECT count(*) FROM knowledge_nodes WHERE vector_dims(embedding) = 128") == 7
    odd = "tab\there 'quoted' ünïcode 漢字"
    assert table.search(models.vector(odd))[0] == odd


@pytest.mark.timeout(1300)  # a minute on a machine that has other things to do
def test_fifty_thousand_rows(server):
    with model_server(16) as models:
        table = Table(server, rows=50000, dimension=8, index=False)
        report = table.reembed(models, "--batch-size", "2048", timeout=20 * tarn.PATIENCE)
        assert report["rows_updated"] == 50000 and report["batches"] == 25
        assert table.number("SELECT count(*) FROM knowledge_nodes WHERE vector_dims(embedding) = 16") == 50000


def test_names_of_ones_own(server, models):
    table = Table(server, rows=1)
    database = table.database
    database.run("""CREATE SCHEMA "My Notes"; CREATE TABLE "My Notes"."The Table" ("Key" bigint PRIMARY KEY, "Body" text,
        "Vec" vector(16)); INSERT INTO "My Notes"."The Table" SELECT i, 'body ' || i, NULL FROM generate_series(1, 30) i;
        CREATE INDEX "Odd ""Index" ON "My Notes"."The Table" USING hnsw ("Vec" vector_l2_ops) WITH (m = 5);""")
    report = table.reembed(models, "--table", "My Notes.The Table", "--id-column", "Key", "--text-column", "Body",
                           "--vector-column", "Vec", "--registry-table", "My Notes.which model")
    assert report["rows_updated"] == 30
    assert table.number('SELECT count(*) FROM "My Notes"."The Table" WHERE vector_dims("Vec") = 128') == 30
    assert table.value('SELECT model_name FROM "My Notes"."which model" WHERE id = 1') == "ollama/plain-embed"
    definition = table.value("SELECT indexdef FROM pg_indexes WHERE schemaname = 'My Notes' AND indexname = 'Odd \"Index'")
    assert "vector_l2_ops" in definition and "m='5'" in definition
    table.is_old()


def test_the_block_of_the_configuration(server, models, tmp_path):
    table = Table(server, rows=3)
    table.database.run("CREATE TABLE docs (k text PRIMARY KEY, body text, v vector(4)); INSERT INTO docs VALUES "
                       "('b', 'one'), ('a', 'two'), ('ä', 'three');")
    lake = tmp_path / "lake"
    tarn.run("--lake", lake, "init")
    with open(lake / "tarn.yaml", "a", encoding="utf-8") as config:
        config.write("\nreembed:\n  table: docs\n  id_column: k\n  text_column: body\n  vector_column: v\n"
                     "  registry_table: docs_model\n  index_name: docs_hnsw\n")
    tarn.run("--lake", lake, *table.words(models), env=Table.environment(models))
    assert table.number("SELECT count(*) FROM docs WHERE vector_dims(v) = 128") == 3
    assert "vector_cosine_ops" in table.value("SELECT indexdef FROM pg_indexes WHERE indexname = 'docs_hnsw'")
    table.is_old()


# ---- kinds of columns and indexes ------------------------------------------------------------


def test_above_two_thousand_dimensions_the_column_is_halfvec(server):
    with model_server(2500) as models:
        table = Table(server, rows=12)
        table.reembed(models)
        assert table.column_type() == "halfvec(2500)" and "halfvec_cosine_ops" in table.indexes()[HNSW]
        # What an application asks with a vector finds the index all the same.
        plan = table.database.run("SET enable_seqscan = off; EXPLAIN SELECT id FROM knowledge_nodes ORDER BY embedding <=> "
                                  f"'{json.dumps(models.vector(words_of(1)))}'::vector LIMIT 3;")
        assert HNSW in plan and table.search(models.vector(words_of(7)), 1)[0] == words_of(7)


def test_above_two_thousand_dimensions_an_old_server_is_told():
    with model_server(2500) as models:
        table = Table(postgres.shared("16.2"), rows=12)
        assert "0.7" in table.refused(models)
        table.is_old()


@pytest.mark.parametrize("mode", MODES)
def test_concurrently(server, models, mode):
    table = Table(server, rows=200)
    report = table.reembed(models, "--concurrent-index", "--mode", mode)
    assert report["rows_updated"] == 200 and report["index_rebuild_secs"] > 0
    table.check(models)


@pytest.mark.parametrize("mode", MODES)
def test_the_index_may_stay_where_the_dimension_stays(server, models, mode):
    table = Table(server, rows=100, dimension=128)
    before = table.value(f"SELECT oid FROM pg_class WHERE relname = '{HNSW}'")
    report = table.reembed(models, "--drop-hnsw-first=false", "--mode", mode)
    assert report["index_rebuild_secs"] == 0
    assert table.value(f"SELECT oid FROM pg_class WHERE relname = '{HNSW}'") == before
    table.check(models)


def test_without_an_index_the_usual_one_is_made(server, models):
    table = Table(server, rows=20, index=False)
    table.reembed(models)
    definition = table.indexes()[HNSW]
    assert "m='16'" in definition and "ef_construction='64'" in definition and "vector_cosine_ops" in definition


def test_a_view_does_not_matter_where_the_type_stays(server, models):
    table = Table(server, rows=50, dimension=128)
    table.database.run("CREATE VIEW v AS SELECT id, embedding FROM knowledge_nodes;")
    assert table.reembed(models)["approach"] == "update"
    table.check(models)


def test_a_server_that_does_not_untype_a_column(server, models):
    """Approach C: here an event trigger refuses what an old pgvector refused."""
    table = Table(server, rows=150)
    table.database.run("""CREATE FUNCTION typed() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 'knowledge_nodes'::regclass AND attname = 'embedding'
                   AND atttypmod = -1) THEN RAISE 'no untyped vectors here'; END IF; END $$;
        CREATE EVENT TRIGGER typed ON ddl_command_end EXECUTE FUNCTION typed();""")
    report = table.reembed(models, "--mode", "in-place")
    assert report["approach"] == "a column of its own" and report["rows_updated"] == 150
    table.check(models)
    assert table.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'knowledge_nodes'::regclass AND attname LIKE "
                       "'tarn%' AND NOT attisdropped") == "0"


# ---- others write meanwhile ---------------------------------------------------------------------


def test_rows_written_meanwhile_are_caught(server, models):
    """Inserted before the place that is read, changed behind it, deleted."""
    table = Table(server, rows=600)
    models.hold_next(EMBED, after=3)
    process = table.begin(models, "--json", "--batch-size", "100")
    wait_for(lambda: len(table.own_tables()) == 1 and table.number(f"SELECT count(*) FROM {table.own_tables()[0]}") > 0)
    first = table.value("SELECT id FROM knowledge_nodes ORDER BY id LIMIT 1")
    gone = table.value("SELECT id FROM knowledge_nodes ORDER BY id OFFSET 1 LIMIT 1")
    table.database.run(f"""INSERT INTO knowledge_nodes VALUES ('00000000-0000-0000-0000-000000000001', 'came meanwhile');
        UPDATE knowledge_nodes SET content = 'changed meanwhile' WHERE id = '{first}';
        UPDATE knowledge_nodes SET kind = 'other' WHERE content LIKE 'memory%';
        DELETE FROM knowledge_nodes WHERE id = '{gone}';""")
    models.release()
    text, _ = process.communicate(timeout=10 * tarn.PATIENCE)
    assert process.returncode == 0, text
    report = json.loads(text.splitlines()[-1])
    assert report["rows_updated"] == 600 and report["rows_caught_up"] == 2
    found = table.vectors()
    assert {"came meanwhile", "changed meanwhile"} < set(found) and len(found) == 600
    table.check(models, sample=600)
    assert table.number("SELECT count(*) FROM knowledge_nodes WHERE kind = 'other'") == 598


def test_searches_go_on_in_the_old_vectors_until_the_switch(server, models):
    table = Table(server, rows=300)
    models.hold_next(EMBED, after=2)
    process = table.begin(models)
    wait_for(lambda: table.own_tables() != [] and len(models.asked(EMBED)) >= 3)
    for _ in range(5):
        table.is_old()
        assert len(table.search([1.0] * 64, 5)) == 5
    assert process.poll() is None
    models.release()
    text, _ = process.communicate(timeout=10 * tarn.PATIENCE)
    assert process.returncode == 0, text
    table.check(models)


def test_memory_does_not_grow_with_texts(server):
    """Twenty megabytes of text in one batch of rows, read in part."""
    with model_server(8) as models:
        table = Table(server, rows=2, dimension=8)
        table.database.run("UPDATE knowledge_nodes SET content = repeat('long words ', 1000000);")
        table.reembed(models)
        assert max(len(text) for text in texts_asked(models)) <= 65536
