"""kill -9 at every named fault point and at random times under mixed work: what
was acknowledged is there, nothing is half there, journal and data agree, the
strict validator finds nothing, PyIceberg reads what we read.

TARN_FAULT_KILLS (10) random kills; `make faults` does 300, looks closely after
each of them, and tells how far it is.
"""
import collections
import os
import random
import re
import threading
import time

import pytest
import requests

from tests.support import faults, peer
from tests.support.cli import tarn
from tests.support.tarn import Server

KILLS = int(os.environ.get("TARN_FAULT_KILLS", 10))
SEED = int(os.environ.get("TARN_FAULT_SEED", random.SystemRandom().randrange(1 << 30)))
LONG = 100
PATIENCE = 60
CLOSELY = 1 if KILLS >= LONG else 4  # after each so many kills the long look
# The longest that a kill with all its checks may take on a slow, busy machine;
# a hang of the server is noticed by PATIENCE, long before.
KILL_SECONDS = 120


@pytest.fixture(scope="module")
def works(tmp_path_factory, binary):
    return faults.works_of(tmp_path_factory.mktemp("works") / "lake")


@pytest.fixture(scope="module")
def foreign():
    """PyIceberg, or None where it cannot be installed."""
    python = peer.python_of_peer()
    if python is None:
        yield None
        return
    made = peer.Peer(python)
    yield made
    made.close()


def look_closely(server, foreign):
    """No finding of the strict validator, and PyIceberg reads what we read."""
    done = tarn("--json", "doctor", "--deep", lake=server.lake)
    # What a crash leaves unused is no damage; it goes after its time of grace.
    usual = ('"level":"ok"', '"check":"disk"', '(orphan)', 'findings more', '"check":"leftovers"')
    found = [line for line in done.stdout.splitlines() if not any(word in line for word in usual)]
    assert done.returncode == 0 and not found, f"{found} {done.stderr}"
    if foreign is not None:
        foreign.check(server)


def tell(number, of, **more):
    if KILLS >= LONG and (number % 10 == 0 or number == of):
        print(f"\n{number} of {of} kills", *(f"{name} {value}" for name, value in more.items()), end="", flush=True)


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


def kill_at(lake, make, spec, seed, closely):
    """Works until the server dies at that point; whether it did."""
    work, dice = make(), faults.dice_for(seed)
    try:
        server = Server(lake, env={"TARN_FAULT": spec})
    except AssertionError:
        server = None # the start itself passes the point
    if server:
        with server:
            for what in (work.acts[0], *dict.fromkeys(work.acts)):
                try:
                    if work.act(server, what, dice) is None:
                        break
                    work.check(server)
                except requests.exceptions.RequestException: # it died behind its answer, or in the midst of the next
                    break
            else:
                return False
            assert server.process.wait(timeout=PATIENCE) == -9
    with Server(lake) as server:
        work.check(server)
        answer = work.act(server, work.acts[0], dice)
        assert answer.status_code < 300, answer.text
        work.check(server)
        closely(server)
    return True


@pytest.mark.timeout(KILL_SECONDS * 2 * len(faults.points_in_source()))
def test_kill_at_every_point(visits, works, foreign, tmp_path):
    """At a middle pass, in the work that passes it most; in a long run at the first too."""
    by_name, specs = {make.__name__: make for make in works}, []
    for point, passes in sorted(visits.items()):
        name = max(passes, key=lambda work: (work != "Ingest", passes[work]))
        middle = passes[name] // 2 + 1
        specs += [(name, point, nth) for nth in (sorted({1, middle}) if KILLS >= LONG else [middle])]
    kills = collections.Counter()
    for number, (name, point, nth) in enumerate(specs, 1):
        def closely(server, due=number % CLOSELY == 0):
            if due:
                look_closely(server, foreign)

        kills[point] += kill_at(tmp_path / f"{number}" / "lake", by_name[name], f"{point}:{nth}", number, closely)
        tell(number, len(specs), at=f"{point}:{nth}")
    spared = [point for point in visits if not kills[point]]
    assert len(spared) <= len(visits) // 10, f"never killed at {spared}"
    print(f"\n{kills.total()} kills at {len(visits)} points; not reached again: {spared or 'none'}")


class Client(threading.Thread):
    """Works until the server is gone."""

    def __init__(self, server, work, seed, done):
        super().__init__()
        self.server, self.work, self.dice = server, work, faults.dice_for(seed)
        self.done, self.problem = done, None

    def run(self):
        while True:
            what = self.dice.choice(self.work.acts)
            answer = self.work.act(self.server, what, self.dice)
            if answer is None:
                self.done["cut short"] += 1
                return
            if answer.status_code not in (200, 204, 409): # 409: several make the dataset at once
                self.problem = answer.text
                return
            self.done[what if answer.status_code < 300 else "refused"] += 1


def reader(server, stop, problems, done):
    """Queries go on meanwhile; each sees whole files only."""
    while not stop.is_set():
        answer = faults.gone(server.post, "/query/sql", json={
            "sql": f"SELECT batch FROM files GROUP BY batch HAVING count(*) <> {faults.Ingest.ROWS}"})
        if answer is None:
            return
        done["query"] += answer.status_code == 200
        if answer.status_code == 200 and answer.json()["rows"]:
            problems.append(answer.text)


def wait_for_a_moment(dice, done):
    """Some milliseconds, or some acknowledgements and a bit: the first finds
    starts and recoveries, the second the midst of work on any machine."""
    if dice.random() < 0.5:
        time.sleep(dice.uniform(0.005, 0.4))
        return
    wanted, until = sum(done.values()) + dice.randrange(5, 60), time.monotonic() + 10
    while sum(done.values()) < wanted and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(dice.uniform(0, 0.03))


def jobs_of(works, foreign):
    jobs = [faults.Ingest()]
    if faults.Rows in works:
        jobs += [faults.Rows(owner="a"), faults.Rows(owner="b"), faults.Restores()]
    if faults.Catalog in works:
        jobs.append(faults.Catalog())
    if foreign is not None:
        jobs.append(peer.Foreign(foreign))
    return jobs


def kill_one(server, jobs, dice, done):
    """All jobs at once, until the server dies in their midst."""
    problems, stop = [], threading.Event()
    clients = [Client(server, work, dice.random(), done) for work in jobs]
    threads = [*clients, threading.Thread(target=reader, args=(server, stop, problems, done))]
    for thread in threads:
        thread.start()
    wait_for_a_moment(dice, done)
    server.process.kill()
    stop.set()
    for thread in threads:
        thread.join(timeout=PATIENCE)
        assert not thread.is_alive()
    server.process.wait(timeout=PATIENCE)
    problems += [client.problem for client in clients if client.problem]
    assert not problems, problems


@pytest.mark.timeout(60 + KILL_SECONDS * KILLS)
def test_random_kills_under_mixed_work(works, foreign, tmp_path):
    print(f"TARN_FAULT_SEED={SEED}")
    dice, lake = faults.dice_for(SEED), tmp_path / "lake"
    jobs, done = jobs_of(works, foreign), collections.Counter()
    for number in range(KILLS + 1):
        with Server(lake) as server:
            for work in jobs:
                work.check(server)
            if number % CLOSELY == 0 or number == KILLS:
                look_closely(server, foreign)
            tell(number, KILLS, acknowledged=done.total() - done["cut short"] - done["refused"])
            if number < KILLS:
                kill_one(server, jobs, dice, done)
    never = {act for work in jobs for act in work.acts} - set(done)
    assert done["cut short"] and (KILLS < LONG or not never), f"never done: {never}"
    print(f"\n{KILLS} kills; acknowledged: " + ", ".join(f"{what} {count}" for what, count in sorted(done.items())))


def test_points_have_plain_names():
    for name, path in faults.points_in_source().items():
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name), f"{path}: {name}"
