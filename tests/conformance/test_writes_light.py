"""PyIceberg and DuckDB's extension write; Tarn and the other one read."""
import pytest

pytest.importorskip("pyiceberg", reason="the client pyiceberg is not installed here")
pytest.importorskip("duckdb_extension_iceberg", reason="DuckDB's Iceberg extension is not installed here")
from tests.conformance import kinds, suite  # noqa: E402
from tests.support import tarn  # noqa: E402

pytestmark = pytest.mark.light
CLIENTS = ["pyiceberg", "duckdb"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with tarn.Server(tmp_path_factory.mktemp("writes") / "lake") as server:
        yield suite.Lake(server)


@pytest.fixture(autouse=True)
def validated(lake):
    yield
    suite.doctor(lake)


@pytest.mark.parametrize("writer", CLIENTS)
def test_a_life(lake, writer):
    table, columns, want = suite.live(lake, writer, CLIENTS)
    suite.change_by_tarn(lake, CLIENTS, table, columns, want)


def test_a_divided_table(lake):
    suite.divide(lake, "pyiceberg", CLIENTS)


def test_every_type(lake):
    suite.read_kinds(lake, CLIENTS)
    suite.copy_kinds(lake, "duckdb", CLIENTS)


@pytest.mark.parametrize("transform", kinds.TRANSFORMS)
def test_partitions(lake, transform):
    suite.read_spread(lake, "pyiceberg", CLIENTS, transform)
