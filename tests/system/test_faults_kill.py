"""kill -9 at every named fault point and at random times under mixed work: what
was acknowledged is there, nothing is half there, journal and data agree.

TARN_FAULT_KILLS (10) random kills; `make faults` does 300.
"""
import os
import random
import re
import threading
import time

import pytest

from tests.support import faults
from tests.support.cli import tarn
from tests.support.tarn import Server

KILLS = int(os.environ.get("TARN_FAULT_KILLS", 10))
SEED = int(os.environ.get("TARN_FAULT_SEED", random.SystemRandom().randrange(1 << 30)))
LONG = 100
PATIENCE = 60


@pytest.fixture(scope="module")
def works(tmp_path_factory, binary):
    return faults.works_of(tmp_path_factory.mktemp("works") / "lake")


def run_all(server, work, dice):
    """Each act of the work, the first one twice; the names of what failed."""
    failed = []
    for what in (work.acts[0], work.acts[0], *dict.fromkeys(work.acts)):
        answer = work.act(server, what, dice)
        if answer is None:
            return failed
        if answer.status_code >= 300:
            failed.append(f"{what}: {answer.status_code} {answer.text}")
        work.check(server)
    return failed


def passed_points(server):
    return [line.split()[1] for line in server.log_text().splitlines() if line.startswith("fault ")]


@pytest.fixture(scope="module")
def visits(works, tmp_path_factory):
    """{point: {work's name: passes}} for one run of all acts of each work."""
    found = {}
    for make in works:
        lake = tmp_path_factory.mktemp("list") / "lake"
        with Server(lake, env={"TARN_FAULT": "list"}) as server:
            failed = run_all(server, make(), faults.dice_for(1))
            assert not failed, failed
            server.stop()
            for name in passed_points(server):
                found.setdefault(name, {}).setdefault(make.__name__, 0)
                found[name][make.__name__] += 1
    return found


def test_every_fault_point_is_visited(visits):
    """Whoever adds TN_FAULT adds work that passes it."""
    known = faults.points_in_source()
    assert known, "no points in the source?"
    unvisited = {name: str(path) for name, path in known.items()
                 if name not in visits and not faults.visited_elsewhere(name)}
    assert not unvisited, f"fault points that no work of tests/support/faults.py passes: {unvisited}"
    strange = set(visits) - set(known)
    assert not strange, f"passed, and not in the source: {strange}"


def kill_at(lake, make, spec, seed):
    """Works until the server dies at that point; whether it did."""
    work, dice = make(), faults.dice_for(seed)
    try:
        server = Server(lake, env={"TARN_FAULT": spec})
    except AssertionError:
        server = None # the start itself passes the point
    if server:
        with server:
            for what in (work.acts[0], *dict.fromkeys(work.acts)):
                if work.act(server, what, dice) is None:
                    break
                work.check(server)
            else:
                return False
            assert server.process.wait(timeout=PATIENCE) == -9
    with Server(lake) as server:
        work.check(server)
        answer = work.act(server, work.acts[0], dice)
        assert answer.status_code < 300, answer.text
        work.check(server)
    return True


def test_kill_at_every_point(visits, works, tmp_path):
    """At a middle pass, in the work that passes it most; in a long run at the first too."""
    kills = 0
    by_name = {make.__name__: make for make in works}
    for number, (point, passes) in enumerate(sorted(visits.items())):
        name = max(passes, key=lambda work: (work != "Ingest", passes[work]))
        middle = passes[name] // 2 + 1
        for nth in sorted({1, middle}) if KILLS >= LONG else [middle]:
            kills += kill_at(tmp_path / f"{number}-{nth}" / "lake", by_name[name], f"{point}:{nth}", number)
    assert kills >= len(visits) * 9 // 10, f"{kills} kills at {len(visits)} points"
    print(f"{kills} kills at {len(visits)} points")


class Client(threading.Thread):
    """Works until the server is gone."""

    def __init__(self, server, work, seed):
        super().__init__()
        self.server, self.work, self.dice = server, work, faults.dice_for(seed)
        self.done, self.problem = 0, None

    def run(self):
        while True:
            answer = self.work.act(self.server, self.dice.choice(self.work.acts), self.dice)
            if answer is None:
                return
            if answer.status_code not in (200, 204, 409): # 409: several make the dataset at once
                self.problem = answer.text
                return
            self.done += answer.status_code < 300


def reader(server, stop, problems):
    """Queries go on meanwhile; each sees whole files only."""
    while not stop.is_set():
        answer = faults.gone(server.post, "/query/sql", json={
            "sql": f"SELECT batch FROM files GROUP BY batch HAVING count(*) <> {faults.Ingest.ROWS}"})
        if answer is None:
            return
        if answer.status_code == 200 and answer.json()["rows"]:
            problems.append(answer.text)


@pytest.mark.timeout(60 + 10 * KILLS)
def test_random_kills_under_mixed_work(works, tmp_path):
    print(f"TARN_FAULT_SEED={SEED}")
    dice, lake = faults.dice_for(SEED), tmp_path / "lake"
    jobs = [faults.Ingest()]
    if faults.Rows in works:
        jobs += [faults.Rows(owner="a"), faults.Rows(owner="b"), faults.Restores()]
    if faults.Catalog in works:
        jobs.append(faults.Catalog())
    acknowledged, problems = 0, []
    for _ in range(KILLS):
        with Server(lake) as server:
            for work in jobs:
                work.check(server)
            clients = [Client(server, work, dice.random()) for work in jobs]
            stop = threading.Event()
            watcher = threading.Thread(target=reader, args=(server, stop, problems))
            for thread in (*clients, watcher):
                thread.start()
            time.sleep(dice.uniform(0.005, 0.4))
            server.process.kill()
            stop.set()
            for thread in (*clients, watcher):
                thread.join(timeout=PATIENCE)
                assert not thread.is_alive()
            server.process.wait(timeout=PATIENCE)
        acknowledged += sum(client.done for client in clients)
        assert not [client.problem for client in clients if client.problem], [client.problem for client in clients]
        assert not problems, problems
    with Server(lake) as server:
        for work in jobs:
            work.check(server)
    assert acknowledged, "some requests must come through"
    found = [line for line in tarn("--json", "doctor", lake=lake, check=0).stdout.splitlines() if '"error"' in line]
    assert not found, found
    print(f"{KILLS} kills, {acknowledged} acknowledged requests")


def test_points_have_plain_names():
    for name, path in faults.points_in_source().items():
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name), f"{path}: {name}"
