#!/usr/bin/env python3
"""What remembering a model's outcome costs, as the log grows.

Runs outcome_bench (the library in one process: batches of 5,000, one caller,
sixteen callers, rankings), then the same over HTTP against a server. Prints
lines of JSON. Processor time for one outcome does not depend on who else uses
the machine; rates do.

    tests/bench/bench_outcomes.py --bench build/release/src/outcome/outcome_bench [--outcomes 1000000]
"""
import argparse
import http.client
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from tests.support import tarn  # noqa: E402


class Client:
    """One connection that is kept."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc)
        self.headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}

    def ask(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)


def outcome(number):
    return {"task_type": f"t{number % 20}", "model_id": f"m{number % 12}", "success": number % 7 < 5,
            "tokens_used": number % 4000, "cost_usd": number % 1000 / 1e4}


def rate(count, work):
    started = time.monotonic()
    work()
    return round(count / (time.monotonic() - started))


def singles(server, threads, each):
    def work():
        client = Client(server)
        for number in range(each):
            client.ask("POST", "/outcomes", outcome(number))

    running = [threading.Thread(target=work) for _ in range(threads)]

    def all_of_them():
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    return rate(threads * each, all_of_them)


def over_http(folder):
    with tarn.Server(folder / "lake") as server:
        client = Client(server)
        batch = {"outcomes": [outcome(number) for number in range(5000)]}
        figures = {"http_batched_per_s": rate(50000, lambda: [client.ask("POST", "/outcomes", batch) for _ in range(10)]),
                   "http_one_caller_per_s": singles(server, 1, 200),
                   "http_sixteen_callers_per_s": singles(server, 16, 100)}
        asked = 300
        figures["http_rank_us"] = round(1e6 / rate(asked, lambda: [
            client.ask("GET", "/outcomes/rank?task_type=t7") for _ in range(asked)]))
        assert client.ask("POST", "/outcomes/check")["sound"]
        return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bench", required=True)
    parser.add_argument("--outcomes", type=int, default=1000000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([options.bench, f"{folder}/outcomes", str(options.outcomes)], check=True)
        print(json.dumps(over_http(pathlib.Path(folder))))


if __name__ == "__main__":
    main()
