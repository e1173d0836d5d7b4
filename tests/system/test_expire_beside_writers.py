"""Commits that arrive while an expiry has the journal rolled keep their events."""
import threading
import time

from tests.support.tarn import Server

WRITERS, EXPIRIES = 3, 4


class Writer(threading.Thread):
    """One key, a higher value each time, until the server is gone."""

    def __init__(self, server, key):
        super().__init__()
        self.server, self.key, self.values = server, key, []

    def run(self):
        for value in range(1, 100000):
            try:
                answer = self.server.request("PUT", "/datasets/accounts/rows", json=[{"id": self.key, "value": value}])
            except OSError: # of requests: the server was killed
                return
            if answer.status_code != 200:
                return
            self.values.append(value)


def told_values(server, key):
    """All values that the journal tells of a key, in their order."""
    told = []
    for event in server.sql("SELECT operation, field, new_value FROM journal WHERE dataset = 'accounts' "
                            "AND entity = ? ORDER BY sequence, ordinal", key):
        if event["operation"] == "insert":
            told.append(int(event["new_value"].split('"value":')[1].rstrip("}")))
        elif event["field"] == "value":
            told.append(int(event["new_value"]))
    return told


def test_events_of_commits_beside_an_expiry_outlive_a_kill(tmp_path):
    lake = tmp_path / "lake"
    with Server(lake) as server:
        server.request("PUT", "/datasets/accounts/rows", params={"key": "id"}, json=[{"id": "made", "value": 0}])
        writers = [Writer(server, f"key-{i}") for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        gone = 0
        for _ in range(EXPIRIES):
            while not all(len(writer.values) > 20 for writer in writers) and all(w.is_alive() for w in writers):
                time.sleep(0.01)
            answer = server.post("/datasets/accounts/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 1})
            assert answer.status_code == 200, answer.text
            gone += answer.json()["snapshots"]
        server.process.kill()
        for writer in writers:
            writer.join(timeout=60)
        server.process.wait(timeout=60)
    assert gone > 20
    with Server(lake) as server:
        for writer in writers:
            told = told_values(server, writer.key)
            assert told[:len(writer.values)] == writer.values
            assert len(told) - len(writer.values) in (0, 1), "the last one was not answered"
