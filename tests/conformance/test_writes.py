"""Every client writes, and every other one reads what it wrote."""
import pytest

from tests.conformance import engines, kinds, lives, suite
from tests.support import tarn

pytestmark = pytest.mark.heavy
CLIENTS = list(engines.ENGINES)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with tarn.Server(tmp_path_factory.mktemp("writes") / "lake") as server:
        yield suite.Lake(server)


@pytest.fixture(autouse=True)
def validated(lake):
    yield
    suite.doctor(lake)


@pytest.fixture(scope="module")
def present(lake):
    """The clients that are on this machine."""
    names = []
    for name in CLIENTS:
        try:
            lake.client(name)
            names.append(name)
        except (engines.Missing, ImportError):
            pass
    return names


@pytest.mark.parametrize("writer", CLIENTS)
def test_a_life(lake, present, writer):
    if writer not in present:
        pytest.skip(f"the client {writer} is not installed here")
    table, columns, want = suite.live(lake, writer, present)
    suite.change_by_tarn(lake, present, table, columns, want)


@pytest.mark.parametrize("writer", lives.DIVIDERS)
def test_a_divided_table(lake, present, writer):
    if writer not in present:
        pytest.skip(f"the client {writer} is not installed here")
    suite.divide(lake, writer, present)


def test_every_type(lake, present):
    suite.read_kinds(lake, present)
    for writer in ("duckdb", "spark", "trino"):
        if writer in present:
            suite.copy_kinds(lake, writer, present)


@pytest.mark.parametrize("transform", kinds.TRANSFORMS)
def test_partitions(lake, present, transform):
    suite.read_spread(lake, "pyiceberg", present, transform)
