"""Two foreign engines and Tarn change one table in turn: see mixed.py."""
import os
import random

import pytest

pytest.importorskip("pyiceberg", reason="the client pyiceberg is not installed here")
pytest.importorskip("duckdb_extension_iceberg", reason="DuckDB's Iceberg extension is not installed here")
from tests.conformance import mixed, suite  # noqa: E402

pytestmark = pytest.mark.light


@pytest.mark.timeout(900)
def test_mixed_rounds(server):
    seed = int(os.environ.get("TARN_CONFORMANCE_SEED") or random.randrange(10**9))
    rounds = int(os.environ.get("TARN_CONFORMANCE_ROUNDS") or 40)
    print(f"seed {seed}")
    lake = suite.Lake(server)
    mixed.run(lake, seed, rounds, ["tarn", "pyiceberg", "duckdb"])
    suite.doctor(lake)
