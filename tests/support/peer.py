"""A foreign engine in the tests of faults: PyIceberg reads every table through
the REST catalog after a crash, and commits rows of its own before one.
"""
import json
import subprocess
import threading
import time
from collections import namedtuple

from tests.support.tarn import PATIENCE, ROOT

Answer = namedtuple("Answer", "status_code text")


def python_of_peer():
    """The interpreter that has PyIceberg, or None where it cannot be installed."""
    prepared = subprocess.run([ROOT / "tools" / "venv.sh", "light"], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)
    python = ROOT / "build" / "venv-light" / "bin" / "python"
    return python if prepared.returncode == 0 and python.exists() else None


class Peer:
    """One process for a whole test: its start takes a second."""

    def __init__(self, python):
        self.lock = threading.Lock()
        self.process = subprocess.Popen([python, ROOT / "tests" / "support" / "peer_main.py"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, server, do, **options):
        line = json.dumps({"uri": f"{server.url}/iceberg", "token": server.token, "do": do, **options})
        with self.lock:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            told = self.process.stdout.readline()
        assert told, "PyIceberg's process ended"
        return json.loads(told)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=PATIENCE)
        self.process.stdout.close()

    def check(self, server):
        """It reads the rows that we read, of every table; how many tables."""
        told = self.ask(server, "read")
        assert "done" in told, told
        for name, (count, figures) in told["done"].items():
            ours = server.sql(f'SELECT * FROM (DESCRIBE "{name}")')
            types = {row["column_name"]: row["column_type"] for row in ours}
            sums = "".join(f', sum({column if types[column] != "VARCHAR" else f"length({column})"})::BIGINT AS "{column}"'
                           for column in figures)
            row = server.sql(f'SELECT count(*) AS "rows of it"{sums} FROM "{name}"')[0]
            found = [row.pop("rows of it"), {column: int(value or 0) for column, value in row.items()}]
            assert found == [count, figures], f"{name}: we read {found}, PyIceberg {[count, figures]}"
        return len(told["done"])


class Foreign:
    """Commits of rows by PyIceberg; the keys are told by our journal."""
    ROWS = 5
    acts = ("append", "append", "overwrite", "delete")

    def __init__(self, peer, dataset="peer"):
        self.peer, self.dataset, self.number, self.made = peer, dataset, 0, False
        self.now, self.after = frozenset(), None # the numbers of batches

    def outcome(self, server, told):
        """As of a request; None when the server died meanwhile."""
        if "done" in told:
            return Answer(200, "")
        if "conflict" in told:
            return Answer(409, told["conflict"])
        try:
            server.process.wait(timeout=5)
            return None
        except subprocess.TimeoutExpired:
            return Answer(500, told["error"])

    def act(self, server, what, dice):
        assert self.after is None, "check first: the last outcome is unknown"
        if not self.made:
            answer = self.outcome(server, self.peer.ask(server, "make", table=self.dataset))
            self.made = answer is not None and answer.status_code == 200
            if not self.made:
                return answer
        if what != "append" and not self.now:
            what = "append"
        self.number += 1
        old, fresh = dice.choice(sorted(self.now or {0})), {"batch": self.number, "count": self.ROWS}
        options = {"append": fresh, "delete": {"old": old}, "overwrite": {"old": old, **fresh}}[what]
        self.after = (self.now - {options.get("old")}) | ({self.number} if "batch" in options else set())
        answer = self.outcome(server, self.peer.ask(server, what, table=self.dataset, **options))
        if answer is not None and answer.status_code == 200:
            self.now, self.after = self.after, None
        elif answer is not None and answer.status_code == 409:
            self.after = None # refused, so nothing happened
        return answer

    def check(self, server):
        if not self.made and server.get(f"/catalog/datasets/{self.dataset}").status_code == 404:
            return
        found = server.sql(f"SELECT batch, count(*) AS c, count(DISTINCT id) AS d FROM {self.dataset} GROUP BY batch")
        assert all((row["c"], row["d"]) == (self.ROWS, self.ROWS) for row in found), f"half a batch: {found}"
        batches = frozenset(row["batch"] for row in found)
        allowed = [self.now] if self.after is None else [self.now, self.after]
        assert batches in allowed, f"found {batches}\nacknowledged {self.now}\nlast tried {self.after}"
        self.now, self.after = batches, None
        ids = {f"{batch}-{i}" for batch in batches for i in range(self.ROWS)}
        self.wait_for_journal(server, ids)

    def wait_for_journal(self, server, ids):
        """What another engine committed is compared and told behind its commit."""
        until = time.monotonic() + PATIENCE
        while (told := self.told_by_journal(server)) != ids:
            assert time.monotonic() < until, f"journal {sorted(told)}, data {sorted(ids)}"
            time.sleep(0.05)

    def told_by_journal(self, server):
        told = set()
        for event in server.sql("SELECT entity, operation FROM journal WHERE dataset = ? AND entity IS NOT NULL "
                                "ORDER BY sequence, ordinal", self.dataset):
            if event["operation"] == "delete":
                assert event["entity"] in told, f"{event} of a row that was not told of"
                told.remove(event["entity"])
            else:
                assert event["entity"] not in told, f"{event} twice"
                told.add(event["entity"])
        return told
