#!/usr/bin/env python3
"""Checks the arrows between modules over #include.

The order of LAYERS is the order of the arrows: a module may include the public
header (X/X.h) of the modules before it. ONLY narrows that for some. base alone
offers its parts (base/buf.h) as well.
"""
import re
import sys
from pathlib import Path

LAYERS = ["base", "store", "iceberg", "engine", "catalog", "journal", "dataset", "vector", "embed", "demo",
          "job", "model", "document", "postgres", "ingest", "index", "outcome", "reembed", "answer", "gateway", "cli"]
ONLY = {
    "iceberg": {"base", "store"},
    "vector": {"base"},
    "embed": {"base"},
    "demo": {"base"},
    "job": {"base"},
    "model": {"base", "embed"},
    "document": {"base"},
    "postgres": {"base"},
}
# Libraries that one module keeps to itself.
OWNERS = {"duckdb.h": "engine", "microhttpd.h": "gateway", "libpq-fe.h": "postgres",
          "histedit.h": "cli", "editline/readline.h": "cli"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.M)


def source_files(root):
    return sorted(p for p in (root / "src").rglob("*") if p.suffix in (".c", ".h"))


def judge(root, path, quoted, name):
    """The complaint about one #include of one file, or None."""
    module = path.relative_to(root / "src").parts[0]
    if name in OWNERS and module != OWNERS[name]:
        return f"<{name}> belongs to src/{OWNERS[name]} alone"
    if not quoted:
        return None
    target = name.split("/")[0] if "/" in name else None
    if target is None or (path.parent / name).is_file():
        return None if (path.parent / name).is_file() else f'"{name}" is not beside the file: write "module/{name}"'
    if target not in LAYERS:
        return f'"{name}": no module {target} (tools/check_layers.py lists them)'
    if not (root / "src" / name).is_file():
        return f'"{name}" does not exist'
    if target == module:
        return None
    allowed = ONLY.get(module, set(LAYERS[: LAYERS.index(module)]))
    if target not in allowed:
        return f'"{name}": {module} must not see {target}'
    internal = name.endswith(("_internal.h", "_testing.h"))
    if name != f"{target}/{target}.h" and (target != "base" or internal):
        return f'"{name}" is private to {target}: include "{target}/{target}.h"'
    return None


def find_cycle(graph):
    """A list of headers that include each other, or None."""
    done, trail = set(), []

    def visit(node):
        if node in trail:
            return trail[trail.index(node):] + [node]
        if node in done:
            return None
        trail.append(node)
        for following in graph.get(node, ()):
            cycle = visit(following)
            if cycle:
                return cycle
        trail.pop()
        done.add(node)
        return None

    for node in sorted(graph):
        cycle = visit(node)
        if cycle:
            return cycle
    return None


def check(root):
    complaints, graph = [], {}
    for path in source_files(root):
        shown = path.relative_to(root)
        module = shown.parts[1]
        if module not in LAYERS:
            complaints.append(f"{shown}: module {module} has no layer: add it to LAYERS in tools/check_layers.py")
            continue
        text = path.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            complaint = judge(root, path, match[1] == '"', match[2])
            if complaint:
                complaints.append(f"{shown}:{line}: {complaint}")
            for base in (root / "src", path.parent):
                if match[1] == '"' and (base / match[2]).is_file():
                    graph.setdefault(str(shown), []).append(str((base / match[2]).resolve().relative_to(root)))
                    break
    cycle = find_cycle(graph)
    if cycle:
        complaints.append("headers include each other: " + " -> ".join(cycle))
    return complaints


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    complaints = check(root)
    for complaint in complaints:
        print(complaint)
    if not complaints:
        print(f"layers: {len(source_files(root))} files, every arrow points down")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
