#!/usr/bin/env python3
"""The other soak: texts come and change, and all the while somebody searches them, asks them, and asks SQL.

    make soak-mixed                 10 minutes
    TARN_SOAK_SECONDS=60 make soak-mixed

There are never more texts, documents and words than in the beginning, so that
neither the index nor what is kept for answers has a reason to grow. What was
asked is new every time. Each answer must be there, and memory must end
to grow (soak.py).
"""
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.soak.soak import Soak, main # noqa: E402

TEXTS, DOCUMENTS, BATCH = 400, 12, 4
WORDS = ("harbour crane quay lighter pilot tide cargo ballast anchor winch ferry warden rota night lamp rope customs ledger "
         "berth dredger foghorn storm repair steel engine diesel grain timber coal certificate inspection weather").split()


class Mixed(Soak):
    STEPS = "rows"

    def sentence(self, dice, words=12):
        return " ".join(dice.choice(WORDS) for _ in range(words)).capitalize() + "."

    def text(self, dice):
        return " ".join(self.sentence(dice) for _ in range(3))

    def prepare(self):
        dice = random.Random(self.seed)
        rows = [{"id": i, "mark": i % 7, "body": self.text(dice)} for i in range(TEXTS)]
        made = self.server.request("PUT", "/datasets/notes/rows", params={"key": "id"}, json=rows)
        assert made.status_code == 200, made.text
        for i in range(DOCUMENTS):
            self.bring_document(self.server, dice, i)
        for dataset, column in (("notes", "body"), ("papers__pages", "text")):
            made = self.server.post("/vectors/indexes", json={"dataset": dataset, "text_columns": [column]}, params={"wait": 120})
            assert made.status_code == 200, made.text

    def bring_document(self, server, dice, number):
        body = "\n\n".join(self.text(dice) for _ in range(3)).encode()
        return self.expect(server.post("/ingest/documents", params={"dataset": "papers", "name": f"paper-{number}.txt"}, data=body))

    def work(self):
        return [(self.write_rows,), (self.write_documents,), (self.search, 1), (self.search, 2), (self.ask,), (self.query, 1),
                (self.query, 2)]

    def write_rows(self):
        dice, server = random.Random(f"{self.seed} rows"), self.connection()
        while self.running():
            rows = [{"id": i, "mark": i % 7, "body": self.text(dice)} for i in dice.sample(range(TEXTS), BATCH)]
            if self.expect(server.request("PUT", "/datasets/notes/rows", json=rows)):
                self.count("rows", BATCH)

    def write_documents(self):
        dice, server = random.Random(f"{self.seed} documents"), self.connection()
        while self.running():
            if self.bring_document(server, dice, dice.randrange(DOCUMENTS)):
                self.count("documents")

    def search(self, number):
        dice, server = random.Random(f"{self.seed} search {number}"), self.connection()
        while self.running():
            body = {"index": dice.choice(["notes", "papers__pages"]), "query": self.sentence(dice, 5), "k": 5,
                    "mode": dice.choice(["hybrid", "vector", "keyword"])}
            if body["index"] == "notes" and dice.random() < 0.5:
                body["filter"] = f"mark = {dice.randrange(7)}"
            if self.expect(server.post("/search", json=body)):
                self.count("searches")

    def ask(self):
        dice, server = random.Random(f"{self.seed} answers"), self.connection()
        while self.running():
            body = {"index": dice.choice(["notes", "papers__pages"]), "question": f"Who has the {self.sentence(dice, 4)}?"}
            if self.expect(server.post("/rag", json=body)):
                self.count("answers")

    def query(self, number):
        dice, server = random.Random(f"{self.seed} queries {number}"), self.connection()
        while self.running():
            word = dice.choice(WORDS)
            text = (f"SELECT mark, count(*) AS n FROM notes WHERE body LIKE '%{word}%' AND id <> {dice.randrange(1 << 40)} "
                    "GROUP BY mark ORDER BY mark")
            answer = server.post("/query/sql", json={"sql": text})
            if self.expect(answer):
                self.count("queries")

    def finish(self):
        left = self.server.sql("SELECT count(*) AS n FROM notes")[0]["n"]
        if left != TEXTS:
            self.violate(f"{left} texts, not {TEXTS}")


if __name__ == "__main__":
    sys.exit(main(Mixed))
