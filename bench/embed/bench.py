"""make bench-embed: the built-in encoder and ONNX Runtime over the same token ids.

Both run on one thread, in turns, each text alone; rates are the best of several
rounds of CPU time, so that other work on the machine counts little. Fidelity is the
cosine to the vectors of the float graph over the same texts.
"""
import argparse
import platform
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "benchmarks" / "embed.md"
KNOWN_TEXT, KNOWN = "This is an example sentence", [0.0677, 0.0635, 0.0487, 0.0793, 0.0374]
WORDS = "lake river stone cloud table glass seven".split()
LENGTHS = (14, 64, 256)
LONGEST = 256  # tokens that the model reads


def texts():
    """Prose of this tree: paragraphs of the guides, and the check sentence first."""
    found = [KNOWN_TEXT]
    for path in sorted((ROOT / "docs" / "guide").glob("*.md")):
        for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
            line = " ".join(paragraph.split())
            if len(line) > 80 and not line.startswith(("|", "```", "#", "<")):
                found.append(line)
    return found[:400]


class Ours:
    def __init__(self, tool, asset, work):
        self.tool, self.asset, self.work = tool, asset, work

    def run(self, lines, out):
        path = self.work / "lines.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return subprocess.run([self.tool, self.asset, path, out], check=True, capture_output=True, text=True)

    def ids(self, lines):
        return [np.array(line.split(), np.int64) for line in self.run(lines, "-").stdout.splitlines()]

    def vectors(self, lines):
        out = self.work / "vectors.f32"
        self.run(lines, out)
        return np.fromfile(out, np.float32).reshape(len(lines), -1)

    def rates(self):
        done = subprocess.run([self.tool, self.asset], check=True, capture_output=True, text=True)
        kernel = done.stderr.strip().rsplit(", ", 1)[-1]
        rows = re.findall(r"(\d+) tokens\s+([\d.]+) ms", done.stdout)
        return kernel, {int(tokens): float(ms) for tokens, ms in rows}


class Onnx:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def vector(self, ids):
        return self.session.run(None, {"ids": ids})[0]

    def milliseconds(self, ids):
        best = 1e9
        for _ in range(6):
            runs, start = 0, time.process_time()
            while time.process_time() - start < 0.3:
                self.vector(ids)
                runs += 1
            best = min(best, (time.process_time() - start) / runs)
        return best * 1e3


def cosines(vectors, reference):
    return np.sum(vectors * reference, axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(reference, axis=1)


def cpu():
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found.group(1) if found else platform.machine()


def lesser(ours, theirs):
    return {length: min(ours.get(length, 1e9), theirs[length]) for length in theirs}


def measure(ours, peers, rounds):
    every = texts()
    pairs = [(line, one) for line, one in zip(every, ours.ids(every)) if len(one) <= LONGEST]
    lines, ids = [line for line, _ in pairs], [one for _, one in pairs]
    reference = np.array([peers["float"].vector(one) for one in ids])
    if not np.allclose(reference[0][:5], KNOWN, atol=2e-4):
        raise SystemExit(f"the float graph is wrong: {reference[0][:5]} instead of {KNOWN}")
    fidelity = {"Tarn": cosines(ours.vectors(lines), reference),
                "ONNX Runtime int8": cosines(np.array([peers["int8"].vector(one) for one in ids]), reference)}
    fixed = ours.ids([" ".join(WORDS[i % len(WORDS)] for i in range(length - 2)) for length in LENGTHS])
    best = {"Tarn": {}, "ONNX Runtime int8": {}, "ONNX Runtime float": {}}
    for _ in range(rounds):
        kernel, rates = ours.rates()
        best["Tarn"] = lesser(best["Tarn"], {length: rates[length] for length in LENGTHS})
        for name, peer in (("ONNX Runtime int8", "int8"), ("ONNX Runtime float", "float")):
            best[name] = lesser(best[name], {len(one): peers[peer].milliseconds(one) for one in fixed})
    return {"texts": len(lines), "kernel": kernel, "best": best, "fidelity": fidelity}


def page(found):
    best, fidelity = found["best"], found["fidelity"]
    out = ["# The built-in embedder against ONNX Runtime", "",
           "Written by `make bench-embed`: one thread, the same token ids, in turns in one run; the best of several rounds",
           f"of CPU time. {cpu()}, kernel {found['kernel']}, onnxruntime {onnxruntime.__version__}.", "",
           "| ms for a text of | " + " | ".join(f"{length} tokens" for length in LENGTHS) + " | texts/s at 64 | at 256 |",
           "|---|" + "---|" * (len(LENGTHS) + 2)]
    for name, row in best.items():
        out.append(f"| {name} | " + " | ".join(f"{row[length]:.2f}" for length in LENGTHS) +
                   f" | {1e3 / row[64]:.0f} | {1e3 / row[256]:.0f} |")
    out.append("| Tarn is faster than int8 by | " +
               " | ".join(f"{best['ONNX Runtime int8'][length] / best['Tarn'][length]:.2f}x" for length in LENGTHS) + " | | |")
    out += ["", f"Cosine to the float graph over {found['texts']} paragraphs of this documentation:", "",
            "| | mean | lowest |", "|---|---|---|"]
    for name, values in fidelity.items():
        out.append(f"| {name} | {values.mean():.4f} | {values.min():.4f} |")
    out += ["",
            "The ONNX files are made from the same published weights (`bench/embed/export.py`): the float graph written by",
            "hand and held against the model's known vector, its int8 form by ONNX Runtime's own dynamic quantisation per",
            "channel. No published ONNX file takes part: the package index, where the weights come from, has none. ONNX",
            "Runtime fuses less of this graph than of one that its own transformer optimiser has rewritten; that is how it",
            "comes out of the box.", ""]
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser()
    for name in ("tool", "asset", "onnx", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    peers = {name: Onnx(options.onnx / f"{name}.onnx") for name in ("float", "int8")}
    text = page(measure(Ours(options.tool, options.asset, options.work), peers, options.rounds))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
