"""Avro files read whole, changed, and written again: just enough for manifests and their lists."""
import io
import json
import struct
import zlib
from pathlib import Path

MAGIC = b"Obj\x01"


class Avro:
    """header: key -> bytes; schema: parsed; rows: dictionaries in the file's order."""

    def __init__(self, path):
        self.path = Path(path)
        source = io.BytesIO(self.path.read_bytes())
        assert source.read(4) == MAGIC, path
        self.header = dict(read_map(source, lambda s: s.read(read_long(s))))
        self.schema = json.loads(self.header["avro.schema"])
        self.sync, self.rows = source.read(16), []
        while True:
            if not source.read(1):
                break
            source.seek(-1, 1)
            count, data = read_long(source), source.read(read_long(source))
            if self.header.get("avro.codec", b"null") == b"deflate":
                data = zlib.decompress(data, -15)
            block = io.BytesIO(data)
            self.rows += [read_value(block, self.schema) for _ in range(count)]
            assert source.read(16) == self.sync

    def save(self):
        self.header["avro.schema"] = json.dumps(self.schema).encode()
        self.header["avro.codec"] = b"null"
        out, block = io.BytesIO(), io.BytesIO()
        out.write(MAGIC)
        write_long(out, len(self.header))
        for key, value in self.header.items():
            write_bytes(out, key.encode())
            write_bytes(out, value)
        write_long(out, 0)
        out.write(self.sync)
        for row in self.rows:
            write_value(block, self.schema, row)
        write_long(out, len(self.rows))
        write_bytes(out, block.getvalue())
        out.write(self.sync)
        self.path.write_bytes(out.getvalue())
        return self


def read_long(source):
    shift = number = 0
    while True:
        byte = source.read(1)[0]
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return (number >> 1) ^ -(number & 1)


def write_long(out, value):
    number = (value << 1) ^ (value >> 63)
    while number > 0x7F:
        out.write(bytes([number & 0x7F | 0x80]))
        number >>= 7
    out.write(bytes([number]))


def write_bytes(out, value):
    write_long(out, len(value))
    out.write(value)


def read_blocks(source, item):
    while count := read_long(source):
        if count < 0:
            count, _ = -count, read_long(source)
        for _ in range(count):
            yield item(source)


def read_map(source, value):
    return list(read_blocks(source, lambda s: (s.read(read_long(s)).decode(), value(s))))


def kind_of(schema):
    return schema if isinstance(schema, str) else "union" if isinstance(schema, list) else \
        kind_of(schema["type"]) if isinstance(schema["type"], (dict, list)) else schema["type"]


def read_value(source, schema):
    kind = kind_of(schema)
    if kind == "record":
        return {field["name"]: read_value(source, field["type"]) for field in schema["fields"]}
    if kind == "union":
        return read_value(source, schema[read_long(source)])
    if kind == "array":
        return list(read_blocks(source, lambda s: read_value(s, schema["items"])))
    if kind == "map":
        return dict(read_map(source, lambda s: read_value(s, schema["values"])))
    if kind in ("int", "long"):
        return read_long(source)
    if kind in ("bytes", "string"):
        data = source.read(read_long(source))
        return data.decode() if kind == "string" else data
    if kind == "fixed":
        return source.read(schema["size"])
    if kind == "boolean":
        return source.read(1) == b"\x01"
    return {"null": lambda: None, "float": lambda: struct.unpack("<f", source.read(4))[0],
            "double": lambda: struct.unpack("<d", source.read(8))[0]}[kind]()


def write_value(out, schema, value):
    kind = kind_of(schema)
    if kind == "record":
        for field in schema["fields"]:
            write_value(out, field["type"], value[field["name"]])
    elif kind == "union":
        at = next(i for i, branch in enumerate(schema) if (kind_of(branch) == "null") == (value is None))
        write_long(out, at)
        write_value(out, schema[at], value)
    elif kind == "array":
        if value:
            write_long(out, len(value))
            for item in value:
                write_value(out, schema["items"], item)
        write_long(out, 0)
    elif kind in ("int", "long"):
        write_long(out, value)
    elif kind in ("bytes", "string"):
        write_bytes(out, value.encode() if kind == "string" else value)
    elif kind == "fixed":
        out.write(value)
    elif kind == "boolean":
        out.write(b"\x01" if value else b"\x00")
    elif kind in ("float", "double"):
        out.write(struct.pack("<f" if kind == "float" else "<d", value))
