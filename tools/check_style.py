#!/usr/bin/env python3
"""Checks the rules of CONTRIBUTING.md that a compiler does not know."""
import re
import subprocess
import sys
from pathlib import Path

MAX_LINES = 900
BANNED = {
    "strcpy": "memcpy or tn_buf", "strcat": "tn_buf", "sprintf": "snprintf or tn_buf_printf", "vsprintf": "vsnprintf",
    "gets": "fgets", "strtok": "strcspn", "atoi": "tn_parse_i64", "atol": "tn_parse_i64", "atoll": "tn_parse_i64",
    "atof": "tn_parse_double", "localtime": "tn_time_format", "gmtime": "tn_time_format", "ctime": "tn_time_format",
    "asctime": "tn_time_format", "rand": "base/id.h", "srand": "base/id.h", "tmpnam": "mkstemp", "mktemp": "mkstemp",
    "alloca": "an arena", "system": "posix_spawn", "popen": "posix_spawn",
}
# What a test may do to look at the world from outside.
IN_TESTS = {"popen", "system"}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
# Assembled from parts so that this file passes its own check.
REGISTRIES = ["pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com", "maven.apache" + ".org",
              "repo1.maven" + ".org", "proxy.golang" + ".org", "deb.debian" + ".org", "crates" + ".io"]
PLACES = ["/work" + "/", "/root" + "/"]
UNFINISHED = re.compile(r"\b(" + "TO" + "DO|FIX" + "ME|X" + "XX)\\b")
TEXT_SUFFIXES = {".c", ".h", ".py", ".sh", ".md", ".txt", ".cmake", ".json", ".yaml", ".yml", ".sql", ".lock", ".service",
                 ".1", ".bash", ".fish", ""}
TOKEN = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_c(text, is_test=False):
    """Yields (line, complaint) for C source."""
    for match in TOKEN.finditer(text):
        if match[0].startswith("//"):
            yield line_of(text, match.start()), "// comment: write /* a full sentence. */"
    code = TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    for match in CALL.finditer(code):
        if is_test and match[1] in IN_TESTS:
            continue
        yield line_of(text, match.start()), f"{match[1]} is banned: use {BANNED[match[1]]}"
    lines = text.count("\n")
    if lines > MAX_LINES:
        yield lines, f"{lines} lines: split the file (at most {MAX_LINES})"


def check_text(text):
    """Yields (line, complaint) for any text of the tree."""
    for number, line in enumerate(text.split("\n"), 1):
        for host in REGISTRIES:
            if host in line:
                yield number, f"names the registry host {host}: name the package alone"
        for place in PLACES:
            if re.search(r"(?<![\w.])" + re.escape(place), line):
                yield number, f"names a folder of one machine: {place}"
        if UNFINISHED.search(line):
            yield number, "unfinished: do it or file an issue"


LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def check_links(path, text):
    """Yields (line, complaint) for links of a page to files that are not there."""
    for number, line in enumerate(text.split("\n"), 1):
        for target in LINK.findall(line):
            if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                yield number, f"links to {target}, which does not exist"


def tracked_files(root):
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if listed.returncode == 0:
        return sorted(root / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(p for p in root.rglob("*") if p.is_file() and not {"build", ".git"} & set(p.relative_to(root).parts))


def check(root, files=None):
    complaints = []
    for path in tracked_files(root) if files is None else files:
        shown = path.relative_to(root)
        if path.suffix not in TEXT_SUFFIXES or "corpus" in shown.parts or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            complaints.append(f"{shown}: not UTF-8")
            continue
        found = list(check_text(text))
        if path.suffix in (".c", ".h"):
            found += check_c(text, is_test="_test" in path.name)
        if path.suffix == ".md":
            found += check_links(path, text)
        complaints += [f"{shown}:{line}: {complaint}" for line, complaint in sorted(found)]
    return complaints


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    complaints = check(root)
    for complaint in complaints:
        print(complaint)
    if not complaints:
        print("style: nothing to say")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
