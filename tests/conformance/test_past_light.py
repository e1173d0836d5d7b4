"""Every moment of a history that two engines write answers exactly."""
import os
import random

import pytest

from tests.conformance.mixed import lost_a_race
from tests.support import tarn
from tests.support.history import FLAGS, History, changed, told_changes

pytestmark = pytest.mark.light


class Shared(History):
    """Some of the steps are PyIceberg's."""

    def foreign(self):
        from pyiceberg.catalog import load_catalog
        import pyarrow as pa
        table = load_catalog("tarn", type="rest", uri=self.server.url + "/iceberg",
                             token=self.server.token).load_table("default.t")
        schema = table.schema().as_arrow()
        try:
            if self.chance.random() < 0.5:
                rows = [{**dict.fromkeys(schema.names), "id": 1000 + len(self.order), "name": "foreign"}]
                table.append(pa.Table.from_pylist(rows, schema=schema))
            else:
                table.delete(f"id == {self.chance.randrange(20)}")
        except Exception as error:
            if not lost_a_race(error):  # a compaction was first
                raise

    def step(self):
        if self.chance.random() < 0.1:
            self.foreign()
            self.look()
        else:
            super().step()


def test_random_histories_of_two_engines(lake):
    seed = int(os.environ.get("TARN_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"TARN_TEST_SEED={seed}")
    chance = random.Random(seed)
    with tarn.Server(lake, *FLAGS) as server:
        history = Shared(server, chance, True)
        while len(history.order) < 95:
            history.step()
        gone = history.thinned()
        for snapshot in chance.sample(gone, min(len(gone), 20)):
            assert history.at(as_of=snapshot) == history.states[snapshot], snapshot
        for moment, snapshot in chance.sample(sorted(history.times.items()), 20):
            assert history.at(as_of=moment) == history.states[snapshot], moment
        for start in chance.sample(history.order, 3):
            for end in chance.sample(history.order, 3):
                assert told_changes(history, start, end) == changed(history, start, end), (start, end)
        snapshot = chance.choice(gone)
        assert server.post("/datasets/t/restore", json={"as_of": snapshot}).json()["status"] == "restored"
        assert history.at() == [{**dict.fromkeys(history.columns), **row} for row in history.states[snapshot]]
