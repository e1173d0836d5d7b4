"""Runs SQL in ClickHouse's embedded engine: a JSON list of statements on
standard input, the rows of the last one as JSON lines on standard output.

A process of its own, because the engine may only read below its working
directory.
"""
import json
import sys

import chdb


def main():
    connection = chdb.connect(":memory:")
    *before, last = json.load(sys.stdin)
    for statement in before:
        connection.query(statement)
    print(connection.query(last, "JSONEachRow"), end="")


if __name__ == "__main__":
    main()
