"""A short soak (tests/soak/soak.py; `make soak` runs ten minutes)."""
import os

from tests.soak.soak import soak

SECONDS = int(os.environ.get("TARN_SOAK_TEST_SECONDS", 10))


def test_ten_seconds_of_transfers(tmp_path):
    run = soak(tmp_path, SECONDS, 7)
    print(run.told())
    assert not run.violations, run.violations
    assert run.counts["transfers"] > 0 and run.counts["reads"] > 0
    assert run.counts["compactions"] > 0 and run.counts["expiries"] > 0
