#!/usr/bin/env python3
"""The soak: writers move amounts between rows, readers add them up, upkeep runs.

    make soak                       10 minutes
    TARN_SOAK_SECONDS=60 make soak

Four writers transfer between rows by upsert: mostly within rows of their own,
and, each with If-Match, between rows that all of them use. Whatever snapshot a
reader sees, the amounts add up to what they were in the beginning. Compaction
and expiry run all the while, the server's own and by request; memory and the
number of files are sampled. Memory is what is the process's own (anonymous):
pages of files are the system's to take back. Caches fill for as long as the run
lasts, each to its own bound; what GET /system says that they hold is taken off,
and the rest may not grow in the second half of a long run. Ends with the series,
one line, and a status that says whether nothing was violated.
"""
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.support.tarn import Server # noqa: E402

WRITERS, READERS, ROWS, SHARED, AMOUNT = 4, 4, 40, 10, 1000
TOTAL = (WRITERS * ROWS + SHARED) * AMOUNT
SETTINGS = {"TARN_UPKEEP_ORPHAN_GRACE": "60s", "TARN_RETENTION_SNAPSHOTS": "200", "TARN_UPKEEP_COMPACT_FILES": "50",
            "TARN_SQL_RESULTS": "4MB"} # small, so that it is full before the end
# What memory may grow by: in a short run, where caches fill to its end; and, without what they hold, from the third quarter
# of a long one to the fourth.
SHORT_SLACK, LONG_SECONDS, LONG_SLACK = 96 << 20, 300, 10 << 20


class Soak:
    STEPS = "transfers"

    def __init__(self, server, seconds, seed):
        self.server, self.seconds, self.seed = server, seconds, seed
        self.until = time.monotonic() + seconds
        self.violations, self.counts, self.lock = [], {}, threading.Lock()
        self.memory, self.rest, self.files, self.series = [], [], [], []
        self.turn = threading.Lock() # so that some shared transfers are not outrun

    def running(self):
        return time.monotonic() < self.until and len(self.violations) < 10

    def count(self, what, more=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + more

    def violate(self, text):
        with self.lock:
            self.violations.append(text)

    def connection(self):
        """Requests of one thread."""
        own = Server(self.server.lake, start=False)
        own.url = self.server.url
        own.session.headers.update(self.server.session.headers)
        return own

    def expect(self, answer, *statuses):
        if answer.status_code not in (statuses or (200,)):
            self.violate(f"{answer.request.method} {answer.request.path_url}: {answer.status_code} {answer.text[:300]}")
            return False
        return answer.status_code == 200

    # ---- writers

    def write(self, number):
        dice, server = random.Random(f"{self.seed} {number}"), self.connection()
        mine = {f"w{number}-{i}": AMOUNT for i in range(ROWS)}
        while self.running():
            if dice.random() < 0.1:
                with self.turn:
                    self.transfer_shared(server, dice)
                continue
            while self.turn.locked() and dice.random() < 0.95:
                time.sleep(0.002)
            one, other = dice.sample(sorted(mine), 2)
            moved = dice.randint(1, 50)
            mine[one] -= moved
            mine[other] += moved
            body = [{"id": key, "owner": f"w{number}", "amount": mine[key]} for key in (one, other)]
            if self.expect(server.request("PUT", "/datasets/accounts/rows", json=body)):
                self.count("transfers")
        rows = server.sql(f"SELECT id, amount FROM accounts WHERE owner = 'w{number}'")
        if {row["id"]: row["amount"] for row in rows} != mine:
            self.violate(f"writer {number}'s rows are not what it wrote last")

    def transfer_shared(self, server, dice):
        """Read, then write only if nobody wrote meanwhile."""
        one, other = dice.sample(range(SHARED), 2)
        answer = server.query("SELECT id, amount FROM accounts WHERE owner = 'all'")
        amounts = dict(answer["rows"])
        snapshot = answer["snapshots"]["accounts"]
        moved = dice.randint(1, 50)
        body = [{"id": f"all-{one}", "owner": "all", "amount": amounts[f"all-{one}"] - moved},
                {"id": f"all-{other}", "owner": "all", "amount": amounts[f"all-{other}"] + moved}]
        done = server.request("PUT", "/datasets/accounts/rows", json=body, headers={"If-Match": f'"{snapshot}"'})
        if self.expect(done, 200, 412):
            self.count("shared transfers")
        else:
            self.count("shared transfers outrun")

    # ---- readers

    def read(self, number):
        dice, server = random.Random(f"{self.seed} reader {number}"), self.connection()
        snapshots = []
        while self.running():
            past = snapshots and dice.random() < 0.2
            more = {"as_of": dice.choice(snapshots[-20:])} if past else {}
            answer = server.post("/query/sql", json={
                "sql": "SELECT owner, sum(amount)::BIGINT, count(*) FROM accounts GROUP BY owner", **more})
            if past and answer.status_code == 404:
                continue # expired by now
            if not self.expect(answer):
                continue
            told = answer.json()
            want = {(f"w{i}", ROWS * AMOUNT, ROWS) for i in range(WRITERS)} | {("all", SHARED * AMOUNT, SHARED)}
            if {tuple(row) for row in told["rows"]} != want:
                self.violate(f"a reader saw {told['rows']} at {told['snapshots']}")
            snapshots.append(told["snapshots"]["accounts"]) # a state that was told from the journal has a name too
            self.count("past reads" if past else "reads")

    # ---- upkeep

    def keep(self):
        server = self.connection()
        beat = max(0.5, min(5.0, self.seconds / 10))
        while self.running():
            time.sleep(beat)
            if self.expect(server.post("/datasets/accounts/compact", json={}), 200, 409):
                self.count("compactions")
            body = {"older_than": "2100-01-01T00:00:00Z", "keep": 100}
            if self.expect(server.post("/datasets/accounts/expire", json=body), 200, 409):
                self.count("expiries")

    def cached(self, server):
        """Bytes that caches say they hold."""
        told = server.get("/system").json()
        kinds = ("metadata_bytes", "deletes_bytes", "small_files_bytes", "changes_bytes", "statements_bytes")
        return sum(told["memory"][kind] for kind in kinds) + told["results"]["bytes"] + told["cache"]["bytes"]

    def sample(self):
        pid, started, server = self.server.process.pid, time.monotonic(), self.connection()
        while self.running():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except FileNotFoundError:
                self.violate("the server is gone")
                return
            own = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
            self.memory.append(int(own.split()[1]) << 10)
            self.rest.append(self.memory[-1] - self.cached(server))
            self.files.append(sum(len(names) for _, _, names in os.walk(self.server.lake)))
            self.series.append((time.monotonic() - started, self.counts.get(self.STEPS, 0), self.memory[-1], self.rest[-1],
                                self.files[-1]))
            time.sleep(max(0.2, min(2.0, self.seconds / 100)))

    # ---- all of it

    def prepare(self):
        rows = [{"id": f"w{n}-{i}", "owner": f"w{n}", "amount": AMOUNT} for n in range(WRITERS) for i in range(ROWS)]
        rows += [{"id": f"all-{i}", "owner": "all", "amount": AMOUNT} for i in range(SHARED)]
        made = self.server.request("PUT", "/datasets/accounts/rows", params={"key": "id"}, json=rows)
        assert made.status_code == 200, made.text

    def work(self):
        return [*((self.write, n) for n in range(WRITERS)), *((self.read, n) for n in range(READERS)), (self.keep,)]

    def finish(self):
        total = self.server.sql("SELECT sum(amount)::BIGINT AS total FROM accounts")[0]["total"]
        if total != TOTAL:
            self.violate(f"the amounts add up to {total}, not {TOTAL}")

    def run(self):
        self.prepare()
        self.until = time.monotonic() + self.seconds
        threads = [threading.Thread(target=self.guard, args=job) for job in [*self.work(), (self.sample,)]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.finish()
        self.judge_growth()

    def guard(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as problem: # a thread's end must not pass for success
            self.violate(f"{work.__name__}: {problem!r}")

    def quarters(self, seen):
        """The four quarters of a series, in time."""
        cuts = [len(seen) * i // 4 for i in range(5)]
        return [seen[cuts[i]:cuts[i + 1]] for i in range(4)]

    def judge_growth(self):
        if len(self.memory) < 12:
            return
        _, second, _, last = self.quarters(self.memory)
        if statistics.median(last) > statistics.median(second) * 1.2 + SHORT_SLACK:
            self.violate(f"memory grew from {statistics.median(second) / 1e6:.0f} MB to {statistics.median(last) / 1e6:.0f} MB")
        if self.seconds < LONG_SECONDS:
            return
        # The least of each quarter: what queries need for a moment comes and goes.
        _, _, third, last = self.quarters(self.rest)
        if min(last) > min(third) + LONG_SLACK:
            self.violate(f"memory beside the caches goes on growing: at least {min(third) / 1e6:.0f} MB in the third quarter, "
                         f"{min(last) / 1e6:.0f} MB in the fourth")
        # Orphans go a minute after they became ones: only a long run can tell.
        _, second, _, last = self.quarters(self.files)
        if max(last) > max(second) * 1.5 + 1000:
            self.violate(f"files grew from {max(second)} to {max(last)}")

    def told_series(self, points=20):
        """Some of what was sampled, a line for each."""
        step = max(1, len(self.series) // points)
        return "\n".join(f"{at:5.0f} s  {steps:7} {self.STEPS}  {memory / 1e6:4.0f} MB, {rest / 1e6:4.0f} without caches  {files:6} files"
                         for at, steps, memory, rest, files in self.series[::step])

    def told(self):
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        memory = " ".join(f"{min(quarter) / 1e6:.0f}" for quarter in self.quarters(self.memory) if quarter)
        rest = " ".join(f"{min(quarter) / 1e6:.0f}" for quarter in self.quarters(self.rest) if quarter)
        files = " ".join(str(max(quarter)) for quarter in self.quarters(self.files) if quarter)
        return (f"{self.seconds} s: {counts}; by quarters: least memory {memory} MB, without caches {rest} MB, most files {files}; "
                f"{len(self.violations)} violations")


def soak(folder, seconds, seed, kind=Soak):
    with Server(Path(folder) / "lake", env=SETTINGS) as server:
        run = kind(server, seconds, seed)
        run.run()
    return run


def main(kind=Soak):
    seconds = int(os.environ.get("TARN_SOAK_SECONDS", 600))
    seed = int(os.environ.get("TARN_SOAK_SEED", random.SystemRandom().randrange(1 << 30)))
    print(f"TARN_SOAK_SEED={seed}")
    with tempfile.TemporaryDirectory(prefix="tarn-soak-") as folder:
        run = soak(folder, seconds, seed, kind)
    for violation in run.violations:
        print("violation:", violation)
    print(run.told_series())
    print(run.told())
    return 1 if run.violations else 0


if __name__ == "__main__":
    sys.exit(main())
