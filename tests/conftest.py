"""Fixtures of the system and the conformance tests."""
import shutil

import pytest

from tests.support import faults, postgres, tarn


@pytest.fixture(scope="session", autouse=True)
def binary():
    """The program under test; nothing makes sense without it."""
    if not tarn.BINARY.is_file():
        pytest.exit(f"{tarn.BINARY} is missing: run make build", returncode=1)
    return tarn.BINARY


@pytest.fixture(scope="session", autouse=True)
def postgres_servers():
    """Those that tests started for the whole session end with it."""
    yield
    postgres.stop_shared()


@pytest.fixture
def lake(tmp_path):
    """Where a lake may be made."""
    return tmp_path / "lake"


@pytest.fixture
def server(lake):
    """A server on an empty lake of its own."""
    with tarn.Server(lake) as running:
        yield running


@pytest.fixture
def shim(tmp_path):
    """A library, to be preloaded, by which system calls of a server fail."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler to build the preloaded library with")
    return faults.Shim(tmp_path)


@pytest.fixture(scope="session")
def staffing_lake(tmp_path_factory, binary):
    """A lake with the staffing workload at scale 0.01: treat it as read-only."""
    folder = tmp_path_factory.mktemp("staffing") / "lake"
    tarn.run("--lake", folder, "demo", "staffing", "--scale", "0.01", "--no-serve", timeout=300)
    return folder


@pytest.fixture(scope="session")
def staffing(staffing_lake):
    """A server on that lake, shared by all tests that only read."""
    with tarn.Server(staffing_lake) as running:
        yield running


def pytest_ignore_collect(collection_path, config):
    """A run for the light clients does not even look at the heavy ones' files
    (and the other way round): their clients are not installed there, and a
    skip that nobody asked for would hide those that matter."""
    unwanted = {"light": "heavy", "not light": "light"}.get(config.option.markexpr)
    if unwanted and collection_path.suffix == ".py" and collection_path.name.startswith("test_"):
        return f"pytestmark = pytest.mark.{unwanted}\n" in collection_path.read_text(encoding="utf-8") or None
    return None
