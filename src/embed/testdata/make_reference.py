#!/usr/bin/env python3
"""Makes the reference files of the embedder's tests from the published model.

usage: make_reference.py MODEL_DIR     (needs numpy and tokenizers)

sentences.txt   read: one text a line
sentences.f32   written: their vectors, by a float forward pass of our own
tokens.txt      written: hard strings (JSON), a tab, the reference tokenizer's ids
"""
import json
import random
import struct
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

HERE = Path(__file__).parent
LAYERS, HEADS, EPSILON = 6, 12, 1e-12


def read_weights(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    return {
        name: np.frombuffer(data, np.float32, int(np.prod(t["shape"])), 8 + length + t["data_offsets"][0])
        .reshape(t["shape"]).astype(np.float64)
        for name, t in header.items() if t.get("dtype") == "F32"
    }


def erf(x):
    """Series and continued fraction are not needed: numpy has no erf, math has."""
    from math import erf as one
    return np.vectorize(one)(x)


def norm(w, name, x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * w[name + ".weight"] + w[name + ".bias"]


def dense(w, name, x):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def forward(w, ids):
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:len(ids)]
    x = norm(w, "embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][0])
    for i in range(LAYERS):
        at = f"encoder.layer.{i}."
        q, k, v = (dense(w, at + "attention.self." + n, x).reshape(len(ids), HEADS, -1).transpose(1, 0, 2)
                   for n in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(x.shape)
        x = norm(w, at + "attention.output.LayerNorm", x + dense(w, at + "attention.output.dense", mixed))
        inner = dense(w, at + "intermediate.dense", x)
        inner = inner / 2 * (1 + erf(inner / np.sqrt(2)))
        x = norm(w, at + "output.LayerNorm", x + dense(w, at + "output.dense", inner))
    mean = x.mean(0)
    return (mean / np.linalg.norm(mean)).astype("<f4")


RANGES = [(0x20, 0x7E)] * 8 + [
    (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x620, 0x64A), (0x905, 0x939),
    (0xE01, 0xE3A), (0x1E00, 0x1EFF), (0x1F00, 0x1F15), (0x2010, 0x2027), (0x20A0, 0x20B5), (0x2100, 0x214F),
    (0x3001, 0x30FF), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xF900, 0xFA2D), (0xFF01, 0xFF5E), (0x1F300, 0x1F5FF),
    (0x20000, 0x2A6D6), (0x1D400, 0x1D454)]

HARD = [
    "", " ", "\t\n\r ", "Hello, World!", "HELLO world", "unaffable", "antidisestablishmentarianism", "naïve café",
    "re\u0301sume\u0301 résumé", "Ångström ångström", "İstanbul ISTANBUL ıstanbul", "Straße STRASSE ẞ", "ΑΣΣΟΣ Σίσυφος",
    "Ёлка ёлка Й", "你好，世界", "東京タワーへ行く", "한국어 텍스트", "가각힣", "नमस्ते", "ภาษาไทย", "שָׁלוֹם", "مرحبًا",
    "x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101, "e\u0301" * 100, "a\u200bb", "a\u00adb", "a\u0000b", "a\ufffdb", "\ufeffhi",
    "a\u00a0b\u2003c\u3000d", "a\u2028b\u2029c\u0085d", "a\x0bb\x0cc", "don't can't I'll", "U.S.A. e.g. i.e.", "1,234.56 -7 +8",
    "C++ C# .NET node.js", "foo_bar fooBar foo-bar", "https://example.org/a?b=c&d=%20#e", "mail@example.org", "$5 €5 £5 ¥5",
    "x=y*z; /* c */", "a—b–c…d", "“quoted” ‘single’ «guillemets»", "😀 emoji 👍🏽 👨‍👩‍👧", "①②③ ½ ² ™ ®", "ﬁ ﬂ ﬃ", "Ｆｕｌｌ　Ｗｉｄｔｈ",
    "## ##ing #hash", "[ CLS ]", "\u0301", "\u0301\u0302 a", "ǆ ǅ Ǆ", "ŉ", "\u1e9b\u0323", "\u212b \u2126 \u212a", "豈更車", "\U0002f800",
    "\u1100\u1161\u11a8", "a" * 50 + "ß" * 60, "word " * 300, "supercalifragilisticexpialidocious " * 40, "\U0001d54f math",
]


def make_tokens(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    tokenizer.encode_special_tokens = True
    dice = random.Random(9)
    strings = list(HARD)
    for _ in range(300):
        parts = []
        for _ in range(dice.randint(1, 8)):
            first, last = dice.choice(RANGES)
            parts.append("".join(chr(dice.randint(first, last)) for _ in range(dice.randint(1, 7))) + dice.choice(["", " "]))
        strings.append("".join(parts))
    with open(HERE / "tokens.txt", "w", encoding="ascii", newline="\n") as out:
        for text in strings:
            ids = tokenizer.encode(text).ids
            out.write(json.dumps([text, ids], separators=(",", ":")) + "\n")
    return tokenizer


def main():
    folder = Path(sys.argv[1])
    tokenizer = make_tokens(folder)
    weights = read_weights(folder / "model.safetensors")
    check = forward(weights, tokenizer.encode("This is an example sentence").ids)
    assert np.allclose(check[:5], [0.0677, 0.0635, 0.0487, 0.0793, 0.0374], atol=6e-5), check[:5]
    with open(HERE / "sentences.f32", "wb") as out:
        for line in (HERE / "sentences.txt").read_text(encoding="utf-8").splitlines():
            out.write(forward(weights, tokenizer.encode(line).ids).tobytes())


if __name__ == "__main__":
    main()
