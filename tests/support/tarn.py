"""Drives the real binary: servers, the command line, requests.

    with Server(lake) as server:
        server.get("/health").json()
        server.sql("SELECT 1 AS one")          -> [{"one": 1}]
        server.cli("datasets").stdout
"""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = Path(os.environ.get("TARN_BINARY", ROOT / "build" / "release" / "tarn"))
# How long a start or a stop may take before the test gives up: generous,
# because a busy machine is no failure.
PATIENCE = 60


def environment(**more):
    """The tests' environment: nothing of the caller's own lake gets in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TARN_") or k == "TARN_BINARY"}
    return {**kept, "NO_COLOR": "1", **more}


def wait_for(what, question, seconds=5 * PATIENCE):
    """Asks until the answer is something, and gives it."""
    until = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.02)
    return answer


def run(*arguments, check=True, stdin=None, cwd=None, env=None, timeout=2 * PATIENCE):
    """Runs the command line; the completed process with text output."""
    done = subprocess.run([str(BINARY), *map(str, arguments)], input=stdin, capture_output=True, text=True, cwd=cwd,
                          env=environment(**(env or {})), timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"tarn {' '.join(map(str, arguments))}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Server:
    """A `tarn serve` of its own process on a free port."""

    def __init__(self, lake, *arguments, env=None, start=True):
        self.lake = Path(lake)
        self.arguments = arguments
        self.env = env or {}
        self.process = None
        self.url = self.token = None
        self.session = requests.Session()
        self.session.trust_env = False
        if start:
            self.start()

    def start(self):
        self.lake.mkdir(parents=True, exist_ok=True)
        ready = self.lake.parent / f"{self.lake.name}.ready.json"
        ready.unlink(missing_ok=True)
        self.log = open(self.lake.parent / f"{self.lake.name}.log", "ab")
        self.process = subprocess.Popen(
            [str(BINARY), "serve", "--lake", str(self.lake), "--port", "0", "--ready-file", str(ready), *self.arguments],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment(**self.env))
        until = time.monotonic() + 2 * PATIENCE
        while not ready.exists() or not ready.read_text().strip():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise AssertionError(f"the server did not start:\n{self.log_text()}")
            time.sleep(0.01)
        told = json.loads(ready.read_text())
        self.url, self.token = told["url"].rstrip("/"), told["token"]
        self.session.headers["Authorization"] = f"Bearer {self.token}"
        return self

    def log_text(self):
        return (self.lake.parent / f"{self.lake.name}.log").read_text(errors="replace")

    def stop(self):
        """SIGTERM and wait; the exit status."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(2 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop:\n{self.log_text()}") from None
        finally:
            self._forget()

    def kill(self):
        """SIGKILL: what a crash looks like."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._forget()

    def _forget(self):
        self.process = None
        self.session.close()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            if self.process.poll() is None:
                self.stop()
            else:
                self._forget()

    def request(self, method, path, **options):
        options.setdefault("timeout", 120)
        return self.session.request(method, self.url + path, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def query(self, sql, *params, **fields):
        """The whole answer of POST /query/sql."""
        answer = self.post("/query/sql", json={"sql": sql, **({"params": list(params)} if params else {}), **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sql(self, sql, *params, **fields):
        """The rows as dictionaries."""
        answer = self.query(sql, *params, **fields)
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row)) for row in answer["rows"]]

    def ingest(self, dataset, data, check=True, **parameters):
        """POST /ingest/file; the answer's JSON (or the response itself)."""
        if isinstance(data, str):
            data = data.encode()
        answer = self.post("/ingest/file", params={"dataset": dataset, **parameters}, data=data)
        if not check:
            return answer
        assert answer.status_code == 200, answer.text
        return answer.json()

    def cli(self, *arguments, **options):
        """The command line, pointed at this server."""
        env = {"TARN_SERVER": self.url, "TARN_TOKEN": self.token, **options.pop("env", {})}
        return run(*arguments, env=env, **options)
