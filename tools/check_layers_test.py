#!/usr/bin/env python3
"""Each rule of check_layers.py, broken on purpose."""
import tempfile
import unittest
from pathlib import Path

from check_layers import check


class Layers(unittest.TestCase):
    def complaints(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            tree = {"base/base.h": "", "base/buf.h": "", "store/store.h": '#include "base/base.h"\n'}
            tree.update(files)
            for name, text in tree.items():
                path = root / "src" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check(root)

    def assert_refused(self, files, words):
        complaints = self.complaints(files)
        self.assertEqual(len(complaints), 1, complaints)
        self.assertIn(words, complaints[0])

    def test_clean_tree(self):
        self.assertEqual(self.complaints({
            "store/local.c": '#include "base/buf.h"\n#include "store/store.h"\n#include "store/store_internal.h"\n',
            "store/store_internal.h": "",
            "engine/guard.c": "#include <duckdb.h>\n",
            "engine/engine.h": "",
            "gateway/server.c": '#include <microhttpd.h>\n#include "engine/engine.h"\n',
        }), [])

    def test_upward(self):
        self.assert_refused({"base/buf.c": '\n#include "store/store.h"\n'}, "src/base/buf.c:2: ")

    def test_vector_stands_on_base_alone(self):
        self.assert_refused({"vector/x.c": '#include "store/store.h"\n'}, "vector must not see store")

    def test_iceberg_without_engine(self):
        self.assert_refused({"iceberg/x.c": '#include "engine/engine.h"\n', "engine/engine.h": ""}, "must not see engine")

    def test_private_header(self):
        self.assert_refused({"iceberg/x.c": '#include "store/local.h"\n', "store/local.h": ""}, "private to store")

    def test_internal_header_of_base(self):
        self.assert_refused({"store/x.c": '#include "base/x_internal.h"\n', "base/x_internal.h": ""}, "private to base")

    def test_engine_header_elsewhere(self):
        self.assert_refused({"dataset/x.c": "#  include <duckdb.h>\n"}, "belongs to src/engine")
        self.assert_refused({"dataset/x.c": "#include <microhttpd.h>\n"}, "belongs to src/gateway")

    def test_unknown_module(self):
        self.assert_refused({"magic/x.c": ""}, "has no layer")

    def test_missing_header(self):
        self.assert_refused({"store/x.c": '#include "base/nothing.h"\n'}, "does not exist")

    def test_cycle(self):
        self.assert_refused({"store/a.h": '#include "store/b.h"\n', "store/b.h": '#include "store/a.h"\n'}, "include each other")


if __name__ == "__main__":
    unittest.main()
