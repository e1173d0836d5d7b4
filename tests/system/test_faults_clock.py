"""A wall clock that jumps to and fro under a history whose snapshots are thinned and
whose events are rolled: commits stay in order, and each of them, and each moment, is
told as it was, by its snapshot or from the journal.
"""

import pytest

from tests.support import tarn
from tests.support.history import FLAGS, instant

SELECT = "select * from t order by all"


class History:
    """A dataset `t`; its rows after each commit, under the snapshot and the time that the commit was given."""

    def __init__(self, server):
        self.server, self.states, self.number = server, [], 0
        server.ingest("t", "id,name\n0,a\n", key="id")

    def items(self):
        return self.server.get("/catalog/datasets/t/snapshots", params={"limit": 1000}).json()["items"]

    def rows(self, **moment):
        return self.server.query(SELECT, **moment)["rows"]

    def put(self):
        self.number += 1
        row = {"id": self.number % 7, "name": f"v{self.number}"}
        answer = self.server.request("PUT", "/datasets/t/rows", json=[row])
        assert answer.status_code == 200, answer.text
        return answer.json()["snapshot_id"]

    def note(self):
        snapshot = self.put()
        moment = {item["snapshot_id"]: item for item in self.items()}[snapshot]["committed_at"]
        self.states.append((moment, snapshot, self.rows()))

    def check(self):
        moments = [instant(moment) for moment, _, _ in self.states]
        assert moments == sorted(moments)
        last = {moment: rows for moment, _, rows in self.states} # of commits in one millisecond the newest counts
        for moment, snapshot, rows in self.states:
            assert self.rows(as_of=snapshot) == rows, (snapshot, moment)
            assert self.rows(as_of=moment) == last[moment], moment
        told = [row["n"] for row in self.server.sql("SELECT new_value AS n FROM journal WHERE dataset = 't' "
                                                     "AND field = 'name' ORDER BY sequence, ordinal")]
        ordered = [int(value.strip('"')[1:]) for value in told if value.strip('"')[1:].isdigit()]
        assert ordered == sorted(ordered) and len(set(ordered)) == len(ordered), "events doubled or out of order"


@pytest.mark.parametrize("jump", [-86400, 7200])
def test_thinned_and_rolled_under_a_clock_that_jumps(shim, lake, jump):
    with tarn.Server(lake, *FLAGS, env=shim.env) as server:
        history = History(server)
        server.ingest("other", "id,name\n0,a\n", key="id")
        for turn, off in enumerate((0, jump, 2 * jump, 0, -jump, 0, jump)):
            shim.set(f"clock {off}")
            for _ in range(3):
                history.note()
            if turn % 2:
                answer = server.post("/datasets/other/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 1})
                assert answer.status_code == 200, answer.text # rolls the journal
        history.check()
        noted = {snapshot for _, snapshot, _ in history.states}
        shim.set(f"clock {3 * 86400}") # what follows is no commit of a moment above

        def thinned():
            history.put()
            return len(noted & {item["snapshot_id"] for item in history.items()}) <= 2

        tarn.wait_for("thinning", thinned)
        history.check()
        server.kill()
    with tarn.Server(lake, *FLAGS) as again: # on the right clock again
        history.server = again
        history.check()
        history.note()
        history.check()
