"""The guide says what the program does."""
import csv
import io
import re

from tests.support import tarn


def test_configuration_guide_has_every_key_and_default(lake):
    tarn.run("--lake", lake, "init")
    shown = {row["key"]: row for row in csv.DictReader(io.StringIO(tarn.run("--lake", lake, "config", "show").stdout))}
    page = (tarn.ROOT / "docs/guide/configuration.md").read_text(encoding="utf-8")
    written = dict(re.findall(r"^\| `([\w.]+)` \| (?:`([^`]*)`)? \|", page, re.M))
    assert sorted(shown) == sorted(written)
    for key, row in shown.items():
        if row["from"] == "default":
            assert written[key] == row["value"], key


def test_staffing_guide_has_every_column(tmp_path):
    tarn.run("demo", "staffing", "--scale", "0.001", "--write-files", tmp_path)
    page = (tarn.ROOT / "docs/guide/staffing.md").read_text(encoding="utf-8")
    for path in tmp_path.glob("*.csv"):
        row = next(line for line in page.splitlines() if line.startswith(f"| {path.stem} |"))
        for column in path.read_text(encoding="utf-8").split("\n", 1)[0].split(","):
            assert re.search(rf"\b{column}\b", row), (path.stem, column)
