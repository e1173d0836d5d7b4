"""The lake that bench.py measures: the demo's résumés, clients, load."""
import csv
import http.client
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import socket
import subprocess
import time
import urllib.parse

from tests.support import tarn

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOAD = pathlib.Path(__file__).with_name("load.lua")


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * q))]


def resumes(folder, count, seed=1):
    """candidates.csv of a company with so many candidates."""
    path = folder / f"candidates-{count}-{seed}.csv"
    if not path.exists():
        tarn.run("demo", "staffing", "--scale", count / 100_000, "--seed", seed, "--write-files", folder / "demo", timeout=300)
        shutil.move(folder / "demo" / "candidates.csv", path)
        shutil.rmtree(folder / "demo")
    return path


def people(path):
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def questions(rows, count, seed):
    """Distinct questions of about fourteen tokens, in the words of the rows."""
    dice = random.Random(seed)
    asks = ["who has worked with {a} and {b} near {c}", "{t} for {c} who knows {a}", "{a} and {b}, {y} years, from {c}",
            "looking for a {t} with {y} years of {b}", "somebody in {c} to take over {a} work"]
    found = {}
    while len(found) < count:
        one, other = dice.choice(rows), dice.choice(rows)
        skills = one["skills"].split("; ")
        found[dice.choice(asks).format(a=dice.choice(skills), b=dice.choice(skills), c=other["city"], y=dice.randint(1, 40),
                                       t=" ".join(one["resume_text"].split()[:3]).strip(",."))] = None
    return list(found)


class Client:
    """One connection that is kept."""

    def __init__(self, url, token):
        place = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=600)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method, path, body=None, wanted=(200,)):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in wanted:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:500]}")
        return json.loads(text)


def ingest(server, dataset, path):
    with open(path, "rb") as body:
        answer = server.post("/ingest/file", params={"dataset": dataset, "key": "candidate_id", "source": path.name}, data=body, timeout=600)
    assert answer.status_code == 200, answer.text


def index(client, dataset):
    client.ask("POST", "/vectors/indexes", {"dataset": dataset, "text_columns": ["resume_text"]}, (200, 202))


def await_index(client, name, documents, seconds):
    """Waits until so many documents are searchable; how many are in the end."""
    until = time.monotonic() + seconds
    while True:
        shown = client.ask("GET", f"/vectors/indexes/{name}", None, (200, 404))
        if shown.get("state") == "ready" and shown.get("documents", 0) >= documents:
            return shown["documents"]
        if time.monotonic() > until:
            return shown.get("documents", 0)
        time.sleep(0.25)


def wrk(server, folder, path, bodies, connections, seconds, offset=0):
    """Closed loop; requests a second, p50 and p99 in ms. Nothing may fail."""
    file = folder / "bodies.txt"
    file.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    done = subprocess.run(["wrk", "-t", str(min(2, connections)), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s", "-s", str(LOAD),
                           server.url, "--", str(file), server.token, path, str(offset)], capture_output=True, text=True, check=True,
                          timeout=seconds + 120)
    told = next(line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT"))
    if int(told[1]) > 0 or int(told[0]) == 0:
        raise RuntimeError(f"{path}: {told[1]} of {told[0]} requests failed\n{done.stdout}")
    return int(told[0]) / int(told[2]) * 1e6, float(told[3]), float(told[4])


def _search(url, token, bodies, pace, ending, pipe):
    client, took, failed = Client(url, token), [], 0
    for body in bodies:
        if ending.is_set():
            break
        started = time.perf_counter()
        try:
            client.ask("POST", "/search", body)
        except Exception:  # counted, shown, and no reason to stop
            failed += 1
            client = Client(url, token)
        took.append((time.perf_counter() - started) * 1000)
        time.sleep(pace)
    pipe.send((took, failed))


class Searcher:
    """A process that searches at a steady pace until it is told to end."""

    def __init__(self, server, bodies, pace=0.04):
        self.ending = multiprocessing.Event()
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_search, args=(server.url, server.token, bodies, pace, self.ending, other))
        self.process.start()

    def end(self):
        """Times in ms and how many failed."""
        self.ending.set()
        told = self.pipe.recv()
        self.process.join()
        return told


def memory_mb(server, what="VmHWM"):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1]) / 1024


def tool(name):
    """A program of the same build as the binary."""
    return pathlib.Path(os.environ.get("TARN_BINARY", tarn.BINARY)).parent / name
