"""One form for a value, whichever client it came from.

A table's columns are (name, kind): an Iceberg type word such as "long" or
"decimal(12,2)", or ("list", kind), ("struct", {name: kind}), ("map", key, value).
Clients hand out the same value as an int, a text, a Decimal or a datetime;
`normal` makes them equal when they mean the same, and only then.
"""
import datetime as dt
import decimal
import re
import struct
import uuid

MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?$")
CLOCK = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?$")


def micros(fraction):
    digits = (fraction or "").ljust(9, "0")
    assert digits[6:] == "000", f"more than microseconds: {fraction}"
    return int(digits[:6])


def moment(value, zoned):
    if isinstance(value, str):
        parts = MOMENT.match(value)
        assert parts, f"not a moment: {value!r}"
        year, month, day, hour, minute, second = (int(part) for part in parts.groups()[:6])
        zone = parts.group(8)
        value = dt.datetime(year, month, day, hour, minute, second, micros(parts.group(7)))
        if zone not in (None, "Z", "UTC"):
            hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
            offset = dt.timedelta(hours=hours, minutes=minutes)
            value += offset if zone[0] == "-" else -offset
    elif value.tzinfo is not None:
        assert zoned, f"a time zone where none belongs: {value!r}"
        value = value.astimezone(dt.timezone.utc).replace(tzinfo=None)
    return value.isoformat(timespec="microseconds")


def clock(value):
    if isinstance(value, str):
        parts = CLOCK.match(value)
        assert parts, f"not a time of day: {value!r}"
        value = dt.time(*(int(part) for part in parts.groups()[:3]), micros(parts.group(4)))
    return value.isoformat(timespec="microseconds")


def exact(value, kind):
    scale = int(kind.rstrip(")").split(",")[1])
    with decimal.localcontext(decimal.Context(prec=60)):
        return str(decimal.Decimal(str(value)).quantize(decimal.Decimal(1).scaleb(-scale)))


def real(value, single):
    value = float(value)
    if single:
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    return repr(value)


def octets(value):
    """Bytes as hexadecimal digits; a text is taken to be digits already."""
    return value.lower() if isinstance(value, str) else bytes(value).hex()


def identity(value):
    if isinstance(value, (bytes, bytearray)):
        value = uuid.UUID(bytes=bytes(value))
    return str(value).lower()


def truth(value):
    if isinstance(value, str):
        return {"true": True, "false": False, "1": True, "0": False}[value.lower()]
    return bool(value)


def pairs(value):
    if isinstance(value, dict):
        if set(value) == {"key", "value"} and isinstance(value["key"], list):
            return list(zip(value["key"], value["value"]))
        return list(value.items())
    return [(item["key"], item["value"]) if isinstance(item, dict) else tuple(item) for item in value]


def nested(kind, value):
    if kind[0] == "list":
        return [normal(kind[1], item) for item in value]
    if kind[0] == "map":
        return sorted([normal(kind[1], key), normal(kind[2], item)] for key, item in pairs(value))
    if hasattr(value, "asDict"):
        value = value.asDict()
    if isinstance(value, (list, tuple)):
        value = dict(zip(kind[1], value))
    assert set(value) == set(kind[1]), f"members {sorted(value)}, not {sorted(kind[1])}"
    return {name: normal(inner, value[name]) for name, inner in kind[1].items()}


PLAIN = {
    "boolean": truth, "int": int, "long": int, "string": str, "uuid": identity, "time": clock,
    "date": lambda value: str(value)[:10], "float": lambda value: real(value, True),
    "double": lambda value: real(value, False), "timestamp": lambda value: moment(value, False),
    "timestamptz": lambda value: moment(value, True), "binary": octets,
}


def normal(kind, value):
    if value is None:
        return None
    if isinstance(kind, tuple):
        return nested(kind, value)
    if kind.startswith("decimal"):
        return exact(value, kind)
    return PLAIN["binary" if kind.startswith("fixed") else kind](value)


def hollow(kind, value):
    """A normal value as an engine has it whose lists, maps and structs cannot be NULL."""
    if not isinstance(kind, tuple):
        return value
    if kind[0] == "struct":
        return {name: hollow(inner, None if value is None else value[name]) for name, inner in kind[1].items()}
    if kind[0] == "list":
        return [hollow(kind[1], item) for item in value or []]
    return [[key, hollow(kind[2], item)] for key, item in value or []]


def order(row):
    """Rows with NULLs have an order too."""
    return [(value is not None, repr(value)) for value in row]


def normal_rows(columns, rows):
    """Rows (tuples or dictionaries) in the normal form, sorted."""
    made = []
    for row in rows:
        if hasattr(row, "asDict"):
            row = row.asDict()
        values = [row[name] for name, _ in columns] if isinstance(row, dict) else list(row)
        assert len(values) == len(columns), f"{len(values)} values for {len(columns)} columns"
        made.append([normal(kind, value) for (_, kind), value in zip(columns, values)])
    return sorted(made, key=order)
