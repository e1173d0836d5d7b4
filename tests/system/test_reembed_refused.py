"""What `tarn reembed` refuses, before anything is written."""
import pytest

from tests.support import postgres, tarn
from tests.support.reembed import Table, model_server


@pytest.fixture
def models():
    with model_server() as running:
        yield running


@pytest.fixture
def table():
    return Table(postgres.shared("16"), rows=20)


def untouched(table, models):
    assert table.own_tables() == []
    assert [text for body in models.asked("/api/embed") for text in body["input"] if "memory" in text] == []
    table.is_old()


@pytest.mark.parametrize("mode", ["staged", "in-place"])
@pytest.mark.parametrize("sql,word", [
    ("CREATE VIEW notes AS SELECT id, embedding FROM knowledge_nodes;", "view notes"),
    ("CREATE MATERIALIZED VIEW kept AS SELECT embedding FROM knowledge_nodes;", "materialized view kept"),
    ("CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(embedding) FROM knowledge_nodes; END;",
     "function f()"),
    ("CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER noted BEFORE UPDATE "
     "OF embedding ON knowledge_nodes FOR EACH ROW EXECUTE FUNCTION g();", "trigger noted"),
    ("ALTER TABLE knowledge_nodes ADD CONSTRAINT sixty_four CHECK (vector_dims(embedding) = 64);", "sixty_four"),
    ("CREATE INDEX part ON knowledge_nodes USING hnsw ((embedding::halfvec(64)) halfvec_l2_ops);", "part"),
])
def test_what_uses_the_column_is_named(table, models, mode, sql, word):
    table.database.run(sql)
    text = table.refused(models, "--mode", mode)
    assert word in text and "drop" in text
    untouched(table, models)


def test_a_role_that_only_reads(table, models):
    table.database.run("DO $$BEGIN IF to_regrole('reader') IS NULL THEN CREATE USER reader; END IF; END$$; "
                       "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;")
    url = postgres.shared("16").url(table.database.name, user="reader")
    assert "does not own public.knowledge_nodes" in table.refused(models, url=url)
    looked = table.call(models, "--dry-run", url=url)
    assert looked.returncode == 0 and "a run would be refused" in looked.stderr
    untouched(table, models)


def test_a_role_that_is_read_only(table, models):
    table.database.run("DO $$BEGIN IF to_regrole('frozen') IS NULL THEN CREATE USER frozen SUPERUSER; END IF; END$$; "
                       "ALTER USER frozen SET default_transaction_read_only = on;")
    text = table.refused(models, url=postgres.shared("16").url(table.database.name, user="frozen"))
    assert "takes no writes" in text
    untouched(table, models)


def test_a_password_is_never_shown(table, models):
    postgres.shared("16").lock_user()
    url = postgres.shared("16").url(table.database.name, user="locked", password="wrong-secret")
    text = table.refused(models, url=url)
    assert "wrong-secret" not in text and "password" in text
    untouched(table, models)


@pytest.mark.parametrize("words,status,told", [
    (["--dimension", "768"], 2, "makes vectors of 128 dimensions, --dimension was 768"),
    (["--model", "nobody"], 1, "no model is called nobody"),
    (["--model", "ollama/nobody"], 1, "nobody"),
    (["--table", "nobody"], 1, "tables with vectors: knowledge_nodes"),
    (["--table", "none.nobody"], 1, "there is no table none.nobody"),
    (["--text-column", "body"], 1, "it has id, content, embedding, kind"),
    (["--vector-column", "content"], 1, "not one of pgvector's"),
    (["--id-column", "kind"], 1, "no unique index"),
    (["--registry-table", "knowledge_nodes"], 1, "has no column"),
    (["--drop-hnsw-first=false"], 2, "cannot work"),
    (["--drop-hnsw-first=perhaps"], 2, "neither true nor false"),
    (["--batch-size", "0"], 2, "--batch-size"),
    (["--batch-size", "5000"], 2, "--batch-size"),
    (["--mode", "quick"], 2, "staged or in-place"),
    (["--lock-timeout", "soon"], 2, "--lock-timeout"),
    (["--probe"], 2, "--dry-run"),
    (["--postgres-url", "postgresql://127.0.0.1:1/x"], 3, "127.0.0.1:1"),
])
def test_arguments_that_cannot_be(table, models, words, status, told):
    text = table.refused(models, *words, status=status)
    assert told in text
    untouched(table, models)


def test_known_models_are_listed(table, models, tmp_path):
    lake = tmp_path / "lake"
    tarn.run("--lake", lake, "init")
    tarn.run("--lake", lake, "embed", "--model", "ollama/plain-embed", "x", env=Table.environment(models))
    words = [word if word != "ollama/plain-embed" else "nobody" for word in table.words(models)]
    done = tarn.run("--lake", lake, *words, env=Table.environment(models), check=False)
    assert done.returncode == 1 and "known: " in done.stderr and "ollama/plain-embed" in done.stderr


def test_a_column_that_must_not_be_null(table, models):
    table.database.run("ALTER TABLE knowledge_nodes ALTER COLUMN content DROP NOT NULL, ALTER COLUMN embedding SET NOT NULL;"
                       "UPDATE knowledge_nodes SET content = NULL WHERE content LIKE '% 3 %';")
    assert "1 rows of public.knowledge_nodes have no text" in table.refused(models)
    untouched(table, models)


def test_too_many_dimensions():
    with model_server(5000) as models:
        table = Table(postgres.shared("16"), rows=3)
        assert "at most 4000 dimensions" in table.refused(models)
        untouched(table, models)


def test_a_table_with_partitions(table, models):
    table.database.run("CREATE TABLE parts (id int PRIMARY KEY, content text, embedding vector(64)) PARTITION BY RANGE (id);"
                       "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);")
    assert "partition" in table.refused(models, "--table", "parts")
    table.database.run("CREATE TABLE children () INHERITS (knowledge_nodes);")
    assert "inherits" in table.refused(models)
    untouched(table, models)


def test_rows_that_a_policy_hides(table, models):
    """They would be passed by and lose their vectors."""
    table.database.run("DO $$BEGIN IF to_regrole('keeper') IS NULL THEN CREATE USER keeper; END IF; END$$; "
                       "GRANT CREATE ON SCHEMA public TO keeper; GRANT ALL ON ALL TABLES IN SCHEMA public TO keeper; "
                       "ALTER TABLE knowledge_nodes OWNER TO keeper; ALTER TABLE knowledge_nodes ENABLE ROW LEVEL SECURITY; "
                       "ALTER TABLE knowledge_nodes FORCE ROW LEVEL SECURITY; "
                       "CREATE POLICY part ON knowledge_nodes USING (content LIKE '%1%');")
    text = table.refused(models, url=postgres.shared("16").url(table.database.name, user="keeper"))
    assert "row-level security" in text
    untouched(table, models)
    table.database.run("ALTER TABLE knowledge_nodes NO FORCE ROW LEVEL SECURITY;")
    done = table.call(models, url=postgres.shared("16").url(table.database.name, user="keeper"))
    assert done.returncode == 0, done.stderr
    table.check(models)
