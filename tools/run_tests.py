#!/usr/bin/env python3
"""Runs suites of tests and ends with one plain total.

    tools/run_tests.py [--build DIR] SUITE...     run and report
    tools/run_tests.py --sum SUITE...             add up what earlier runs left

A suite is one of those in SUITES. Each leaves build/results/SUITE.json. The
last line is "N passed, N failed, N skipped"; the exit status says whether
nothing failed. Failures are named, and skips with their reason.
"""
import argparse
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "results"

# name: (kind, folder or labels, virtual environment, extra arguments)
SUITES = {
    "unit": ("ctest", "", None, []),
    "system": ("pytest", "tests/system", "system", []),
    "light": ("pytest", "tests/conformance", "light", ["-m", "light"]),
    "heavy": ("pytest", "tests/conformance", "heavy", ["-m", "not light"]),
}
PYTEST_NO_TESTS = 5


def empty():
    return {"passed": 0, "failed": [], "skipped": []}


def read_junit(path):
    """The result that a JUnit file of ctest or pytest tells."""
    result = empty()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = case.get("name", "?")
        place = case.get("classname", "")
        shown = name if not place or place == name else f"{place}::{name}"
        status = case.get("status", "run")
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None or status == "fail":
            result["failed"].append(shown)
        elif skipped is not None and status == "notrun" and not skipped.get("message", "").startswith("SKIP_"):
            # ctest calls a missing program skipped; we do not.
            result["failed"].append(f"{shown} (not run: {skipped.get('message') or 'no program'})")
        elif skipped is not None or status == "disabled":
            reason = (skipped.get("message") if skipped is not None else "") or "no reason given"
            result["skipped"].append(f"{shown}: {reason}")
        else:
            result["passed"] += 1
    return result


def run_ctest(build, junit, labels):
    jobs = os.environ.get("TARN_TEST_JOBS", "2")
    command = ["ctest", "--test-dir", str(build), "-j", jobs, "--output-on-failure", "--output-junit", str(junit)]
    if labels:
        command += ["-L", labels]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode


def run_pytest(build, junit, folder, venv, arguments):
    python = ROOT / "build" / f"venv-{venv}" / "bin" / "python"
    environment = dict(os.environ, TARN_BINARY=str(build / "tarn"), PYTHONDONTWRITEBYTECODE="1")
    command = [str(python), "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", ".", "-q",
               "--durations=8", "--durations-min=5", f"--junit-xml={junit}",
               *arguments, folder]
    return subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False).returncode


def prepare_venv(name, heavy):
    """Clients that cannot be installed; None when nothing can."""
    command = ["tools/venv.sh", *(["--each"] if heavy else []), name]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    return None if done.returncode else done.stdout.split()


def fetch_clients():
    """Clients beyond Python's that cannot be had here."""
    done = subprocess.run(["tools/fetch_clients.sh"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=False)
    return done.stdout.split() or (["of tools/clients.lock"] if done.returncode else [])


def run_suite(suite, build):
    kind, where, venv, arguments = SUITES[suite]
    print(f"\n== {suite} ==", flush=True)
    junit = RESULTS / f"{suite}.xml"
    junit.unlink(missing_ok=True)
    missing = []
    if kind == "ctest":
        status = run_ctest(build, junit, where)
    else:
        missing = prepare_venv(venv, suite == "heavy")
        if missing is not None and suite == "heavy":
            missing += fetch_clients()
        if missing is None:
            result = empty()
            if suite == "light":
                result["skipped"].append("conformance clients pyiceberg, duckdb: cannot be installed here")
            else:
                result["failed"].append(f"{suite}: its Python packages cannot be installed (tests/requirements-{venv}.txt)")
            return result
        if suite == "system":
            prepare_venv("postgres", True) # what is missing there skips tests by name
        status = run_pytest(build, junit, where, venv, arguments)
    result = read_junit(junit) if junit.exists() else empty()
    result["skipped"] += [f"conformance client {client}: cannot be installed here" for client in missing]
    no_tests = kind == "pytest" and status == PYTEST_NO_TESTS
    if status != 0 and not no_tests and not result["failed"]:
        result["failed"].append(f"{suite}: the runner itself ended with status {status}")
    return result


def total_line(results):
    passed = sum(r["passed"] for r in results)
    failed = sum(len(r["failed"]) for r in results)
    skipped = sum(len(r["skipped"]) for r in results)
    return f"{passed} passed, {failed} failed, {skipped} skipped"


def report(results):
    """Prints names and the total; the exit status."""
    print()
    for suite, result in results.items():
        for name in result["failed"]:
            print(f"FAILED  {suite}: {name}")
        for name in result["skipped"]:
            print(f"SKIPPED {suite}: {' '.join(name.split())}")
    print(total_line(results.values()), flush=True)
    return 1 if any(r["failed"] for r in results.values()) else 0


def load_result(suite):
    path = RESULTS / f"{suite}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"passed": 0, "failed": [f"{suite}: did not run"], "skipped": []}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="folder with the binary and the unit tests")
    parser.add_argument("--sum", action="store_true", help="run nothing, add up earlier results")
    parser.add_argument("suites", nargs="+", choices=list(SUITES))
    options = parser.parse_args()
    if options.sum:
        return report({suite: load_result(suite) for suite in options.suites})
    RESULTS.mkdir(parents=True, exist_ok=True)
    results = {}
    for suite in options.suites:
        (RESULTS / f"{suite}.json").unlink(missing_ok=True)
        results[suite] = run_suite(suite, (ROOT / options.build).resolve())
        (RESULTS / f"{suite}.json").write_text(json.dumps(results[suite]), encoding="utf-8")
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
