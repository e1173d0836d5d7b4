"""What the tests of `tarn reembed` share: a table as the requirement has it, and
the command beside a stand-in for a model server.

    table = Table(postgres.shared("16"), rows=100)
    with model_server(128) as models:
        report = table.reembed(models)
        table.check(models)
"""
import json
import math
import signal
import subprocess
import time

from tests.support import tarn
from tests.support.model_server import ModelServer

HNSW = "idx_knowledge_nodes_embedding_hnsw"


def words_of(number):
    return f"memory number {number} talks about rust and async"


class Table:
    """knowledge_nodes with vectors of an old model, in a database of its own."""

    def __init__(self, server, rows=100, dimension=64, nulls=0, index=True):
        self.database = server.database()
        self.url, self.old = self.database.url, dimension
        self.database.run(f"""
            CREATE TABLE knowledge_nodes (id uuid PRIMARY KEY, content text NOT NULL, embedding vector({dimension}),
                                          kind text NOT NULL DEFAULT 'note');
            CREATE TABLE embedding_model (id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1), model_name text NOT NULL,
                dimension integer NOT NULL, model_hash text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
                updated_at timestamptz NOT NULL DEFAULT now());
            INSERT INTO embedding_model VALUES (1, 'fake-old', {dimension}, 'old');
            INSERT INTO knowledge_nodes SELECT md5(i::text)::uuid, 'memory number ' || i || ' talks about rust and async',
                CASE WHEN i > {nulls} THEN (SELECT array_agg(sin(i * g)) FROM generate_series(1, {dimension}) g)::real[]::vector
                END FROM generate_series(1, {rows}) i;""")
        if index:
            self.database.run(f"CREATE INDEX {HNSW} ON knowledge_nodes USING hnsw (embedding vector_cosine_ops) "
                              "WITH (m = 8, ef_construction = 32);")

    # ---- the command -------------------------------------------------------------------

    def words(self, models, *more, dimension=None, model="ollama/plain-embed", url=None):
        return ["reembed", "--postgres-url", url or self.url, "--model", model, "--dimension",
                str(dimension or models.dimension), "--no-confirm", *map(str, more)]

    @staticmethod
    def environment(models, **more):
        return {"TARN_AI_OLLAMA_URL": models.url, "TARN_AI_RETRIES": "0", "TARN_AI_BATCH": "512", "TARN_AI_TIMEOUT": "10m",
                **more}

    def call(self, models, *more, env=None, timeout=10 * tarn.PATIENCE, **options):
        """The finished process, whatever became of it."""
        return tarn.run(*self.words(models, *more, **options), check=False, cwd="/",
                        env=self.environment(models, **(env or {})), timeout=timeout)

    def reembed(self, models, *more, **options):
        """A run that must do well; its report."""
        done = self.call(models, "--json", *more, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def refused(self, models, *more, status=1, **options):
        """A run that must not; what it says."""
        done = self.call(models, *more, **options)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr

    def begin(self, models, *more, env=None):
        return subprocess.Popen([str(tarn.BINARY), *self.words(models, *more)], cwd="/", stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True,
                                env=tarn.environment(**self.environment(models, **(env or {}))))

    def killed_at(self, models, point, *more):
        """Whether a run died at the fault point."""
        return self.call(models, *more, env={"TARN_FAULT": point}).returncode == -signal.SIGKILL

    # ---- what is in the table --------------------------------------------------------------

    def value(self, sql):
        return self.database.value(sql)

    def number(self, sql):
        return int(self.value(sql))

    def registry(self):
        row = self.database.sql("SELECT model_name, dimension FROM embedding_model WHERE id = 1")[0]
        return row["model_name"], int(row["dimension"])

    def column_type(self):
        return self.value("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = "
                          "'knowledge_nodes'::regclass AND attname = 'embedding'")

    def indexes(self):
        return {row["name"]: row["definition"] for row in self.database.sql(
            "SELECT c.relname AS name, pg_get_indexdef(c.oid) AS definition FROM pg_index i JOIN pg_class c ON c.oid = "
            "i.indexrelid JOIN pg_am m ON m.oid = c.relam WHERE i.indrelid = 'knowledge_nodes'::regclass AND m.amname = "
            "'hnsw' AND i.indisvalid")}

    def vectors(self):
        """{text: vector}; None where there is none."""
        return {row["content"]: json.loads(row["embedding"]) if row["embedding"] else None
                for row in self.database.sql("SELECT content, embedding FROM knowledge_nodes")}

    def own_tables(self):
        return [row["name"] for row in self.database.sql(
            "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relname LIKE 'tarn\\_reembed\\_%'")]

    def search(self, vector, k=10):
        text = json.dumps(vector)
        rows = self.database.run(f"SET enable_seqscan = off; SELECT content FROM knowledge_nodes ORDER BY embedding <=> "
                                 f"'{text}' LIMIT {k};")
        return [line for line in rows.splitlines() if line and line != "SET"]

    # ---- both states, each of them whole ------------------------------------------------------

    def is_old(self):
        """Every vector, the type, the index and the registry are the old ones."""
        assert self.registry() == ("fake-old", self.old) and self.column_type() == f"vector({self.old})"
        assert HNSW in self.indexes()
        assert self.number("SELECT count(*) FROM knowledge_nodes WHERE vector_dims(embedding) <> " + str(self.old)) == 0

    def check(self, models, model="ollama/plain-embed", sample=40):
        """Every row has the new model's vector of its text, and a search finds it."""
        dimension = models.dimension
        assert self.registry() == (model, dimension)
        assert self.column_type() == f"vector({dimension})"
        assert list(self.indexes()) == [HNSW] and "m='8'" in self.indexes()[HNSW].replace(" ", "")
        assert self.own_tables() == []
        found = self.vectors()
        for text in list(found)[:sample] + list(found)[-sample:]:
            wanted = models.vector(text)
            assert len(found[text]) == dimension
            assert all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(found[text], wanted)), text
        assert all(vector is not None and len(vector) == dimension for vector in found.values())
        if found:
            text = next(iter(found))
            assert self.search(models.vector(text))[0] == text


def model_server(dimension=128):
    """A stand-in whose model takes texts as they are."""
    models = ModelServer()
    models.names = ["plain-embed"]
    models.dimension = dimension
    return models


def wait_for(what, seconds=3 * tarn.PATIENCE):
    """Until what() is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "that never came"
        time.sleep(0.02)


def outcome(process, seconds=10 * tarn.PATIENCE):
    text, _ = process.communicate(timeout=seconds)
    return process.returncode, text
