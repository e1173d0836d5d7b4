"""What `tarn reembed` says about the index that it builds, and what it takes from
outside: memory for the build, passwords from files."""
import json

import pytest

from tests.support import postgres
from tests.support.postgres import LOCKED_PASSWORD
from tests.support.reembed import Table, model_server

SLOWER = "building will be several times slower"


@pytest.fixture(scope="module")
def models():
    with model_server(128) as running:
        yield running


@pytest.fixture
def table():
    """Its server builds indexes in one megabyte."""
    made = Table(postgres.shared("16"), rows=2500)
    made.database.run(f"ALTER DATABASE \"{made.database.name}\" SET maintenance_work_mem = '1MB'")
    return made


def test_memory_that_is_too_little_for_the_graph_is_told(table, models):
    told = table.call(models, "--dry-run", "--json")
    plan = json.loads(told.stdout)
    assert plan["graph_bytes"] > plan["maintenance_work_mem"] == 1 << 20, plan
    done = table.call(models)
    assert done.returncode == 0 and SLOWER in done.stderr and "1.0 MB" in done.stderr, done.stderr
    assert "the server says: NOTICE: hnsw graph no longer fits into maintenance_work_mem" in done.stderr
    table.check(models)


def test_more_memory_for_this_session_alone(table, models):
    done = table.call(models, "--maintenance-work-mem", "64MB")
    assert done.returncode == 0 and SLOWER not in done.stderr and "no longer fits" not in done.stderr, done.stderr
    assert table.value("SHOW maintenance_work_mem") == "1MB"
    table.check(models)


def test_more_memory_that_is_too_little_as_well(table, models):
    assert SLOWER in table.call(models, "--maintenance-work-mem", "1100kB").stderr
    table.check(models)


@pytest.mark.parametrize("mode", ["staged", "in-place"])
def test_memory_that_is_no_size_is_refused_at_the_start(table, models, mode):
    models.forget()
    said = table.refused(models, "--maintenance-work-mem", "plenty", "--mode", mode)
    assert "plenty" in said and "maintenance_work_mem" in said and "Run again" not in said, said
    table.is_old()
    assert table.own_tables() == []
    assert "plenty" in table.refused(models, "--maintenance-work-mem", "plenty", "--dry-run")


def test_a_dry_run_counts_the_memory_that_the_run_would_have(table, models):
    plan = json.loads(table.call(models, "--dry-run", "--json", "--maintenance-work-mem", "64MB").stdout)
    assert plan["maintenance_work_mem"] == 64 << 20


@pytest.mark.parametrize("way", ["--password-file", "PGPASSFILE"])
def test_passwords_of_files(models, tmp_path, way):
    server = postgres.shared("16")
    server.lock_user()
    table = Table(server, rows=20)
    table.database.run("ALTER TABLE knowledge_nodes OWNER TO locked; ALTER TABLE embedding_model OWNER TO locked; "
                       "GRANT CREATE ON SCHEMA public TO locked;")
    secret = tmp_path / "secret"
    words, environment = ["--password-file", secret], {}
    if way == "PGPASSFILE":
        words, environment = [], {"PGPASSFILE": str(secret)}
        escaped = LOCKED_PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        secret.write_text(f"127.0.0.1:{server.port}:*:locked:{escaped}\n")
    else:
        secret.write_text(f"{LOCKED_PASSWORD}\n")
    secret.chmod(0o600)
    done = table.call(models, *words, url=server.url(table.database.name, user="locked"), env=environment)
    assert done.returncode == 0, done.stderr
    assert LOCKED_PASSWORD not in done.stdout + done.stderr
    table.check(models)
