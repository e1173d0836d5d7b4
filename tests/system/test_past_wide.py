"""Every moment of random histories with all that people and other engines do to a dataset:
told exactly, or refused because it was expired."""
import os
import random

import pytest

from tests.support import tarn
from tests.support.history import FLAGS, SELECT
from tests.support.history_wide import WideHistory


def bag(history, rows, names=None):
    """Rows in the columns of now, in any order."""
    return sorted(repr([row.get(names[what] if names else what) for what in history.names]) for row in rows)


def check(history, as_of):
    snapshot = history.times.get(as_of, as_of)
    answer = history.server.post("/query/sql", json={"sql": SELECT, "as_of": as_of})
    if answer.status_code != 200 and history.may_be_lost(as_of):
        assert answer.status_code == 404 and answer.json()["code"] == "snapshot_not_found", answer.text
        assert answer.json()["hint"], answer.text
        return False
    assert answer.status_code == 200, (as_of, answer.text)
    told = answer.json()
    rows = [dict(zip([c["name"] for c in told["columns"]], row)) for row in told["rows"]]
    key = lambda row: repr(sorted(row.items()))
    assert sorted(rows, key=key) == sorted(history.as_told(snapshot), key=key), as_of
    return True


def changes(history, start, end):
    """What changes() says, and what it must say."""
    answer = history.server.query(f"select * exclude (before) from changes('t', {start}, {end})")
    assert [c["name"] for c in answer["columns"]][1:] == list(history.names.values())
    got = sorted(repr((row[0], row[1:])) for row in answer["rows"])
    cut = lambda row: [row.get(what) for what in history.names]
    was, now = history.states[start], history.states[end]
    if history.key:
        w, n = {r["id"]: cut(r) for r in was}, {r["id"]: cut(r) for r in now}
        want = [("insert", n[k]) for k in n.keys() - w.keys()] + [("delete", w[k]) for k in w.keys() - n.keys()]
        want += [("update", n[k]) for k in w.keys() & n.keys() if w[k] != n[k]]
        return got, sorted(map(repr, want))
    was, now = [cut(row) for row in was], [cut(row) for row in now]
    for row in list(was):
        if row in now:
            was.remove(row)
            now.remove(row)
    return got, sorted(repr(("delete", row)) for row in was) + sorted(repr(("insert", row)) for row in now)


def known(history):
    """Those that were thinned, and are told because nothing of them was expired."""
    return [snapshot for snapshot in history.gone() if snapshot not in history.lost]


@pytest.mark.parametrize("key", [True, False], ids=["key", "no key"])
def test_wide_histories(lake, key):
    seed = int(os.environ.get("TARN_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"TARN_TEST_SEED={seed}")
    chance = random.Random(seed)
    with tarn.Server(lake, *FLAGS) as server:
        history = WideHistory(server, chance, key)
        # After an expiry it takes more commits until there are so many that some are thinned.
        while len(history.order) < 100 or (len(known(history)) <= 20 and len(history.order) < 500):
            history.step()
        gone = history.thinned()
        good = [s for s in chance.sample(gone, min(len(gone), 30)) if check(history, s)]
        good += [s for s in known(history) if s not in good]
        for moment in chance.sample(sorted(history.times), 25):
            check(history, moment)
        some = chance.sample(good, 2) + chance.sample([s for s in history.order if s not in history.lost], 2)
        for start in some:
            for end in some:
                got, want = changes(history, start, end)
                assert got == want, (start, end)
        for snapshot in chance.sample(good, 3):
            answer = server.post("/datasets/t/restore", json={"as_of": snapshot})
            assert answer.status_code == 200, answer.text
            rows = history.at()
            assert bag(history, rows, history.names) == bag(history, history.states[snapshot]), snapshot
            history.look()
        found = server.cli("--lake", lake, "doctor", "--deep")
        assert "0 errors" in found.stderr or "All is well" in found.stderr, found.stdout
