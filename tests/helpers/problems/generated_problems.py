"""Problems drawn at random: contracts with columns of any dtype and any limit, and requests that keep or break them."""

import datetime as dt
import decimal
import itertools
import json
import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import polars as pl

from penumbra.core.checks.expression_checks import sample_columns
from penumbra.core.checks.feature_checks import find_check_faults, find_feature_faults
from penumbra.features import (
    Category,
    ClockMinutes,
    ColumnCheck,
    Difference,
    Expression,
    Feature,
    Hour,
    Month,
    NotAbove,
    Number,
    ValidClock,
    Weekday,
)
from penumbra.logs.append_log import encode_json
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import Contract

Options = dict[str, Any]
ColumnMaker = Callable[[random.Random, Options], dy.Column]

UNITS = ("ms", "us", "ns")
ZONES = (None, "UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Etc/GMT+12")
WORDS = ("", "a", "b", "é", "true", "1", "a\nb", '"', "\u2028", "\U0001f600", "\x00", "null")
PATTERNS = (r"^[a-z]{1,3}$", r"^\d+$", r"a|é", r"^$", r"\bb", r"(?i)^TRUE$")
MOMENTS = (dt.datetime.min, dt.datetime(1, 1, 2), dt.datetime(1677, 9, 22), dt.datetime(1970, 1, 1))
MOMENTS += (dt.datetime(2024, 2, 29, 23), dt.datetime(2261, 12, 31), dt.datetime(9999, 12, 30), dt.datetime.max)
# JSON of values whose reading is anything but plain; each is tried for every column.
SPELLINGS = (
    *("null", "true", "false", "0", "-0", "-0.0", "1", "1.0", "1.5", "-1", "1e0", "1e3", "1E+2", "1e-1", "1e400"),
    *("5e-324", "0.1", "3.4028236e38", "9007199254740993", "9223372036854775807", "9223372036854775808", "NaN"),
    *("18446744073709551615", "18446744073709551616", "-9223372036854775809", "1" * 400, "Infinity", "-Infinity"),
    *("01", "+1", ".5", "1.", "0x1", '"1"', '"1.0"', '"-0"', '"1e1"', '"NaN"', '"Infinity"', '" 1"', '"\u0661"', '""'),
    *('"12.345"', '"99999999999999999999999999999999999999"', '"1e-40"', '"true"', '"TRUE"', '"a"', '"\\u0061"'),
    *('"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"a\\u0000"', '"é"', '"e\\u0301"', '"YQ=="', '"*"', '"_-8="'),
    *("[]", "[1]", "[1,2]", "[1.0,2]", "[1.5,2]", "[null]", "[[1,2],[3,4]]", '["a"]', "[true]", "[1,2,]", "[" * 300),
    *("{}", '{"a":1}', '{"a":1,"b":"c"}', '{"a":1.0,"b":"c"}', '{"a":1,"a":2,"b":"c"}', '{"a":1,"b":"c","d":0}'),
    *('"2024-03-01"', '"2024-02-30"', '"20240301"', '"2024-W09-5"', '"2024-061"', '"+2024-03-01"', '"0000-01-01"'),
    *('"0001-01-01"', '"9999-12-31"', '"10000-01-01"', '"2024-03-01T24:00:00Z"', '"2024-03-01T23:59:60Z"'),
    *(f'"2024-03-01{sign}12:00:00{zone}"' for sign in "Tt _" for zone in ("", "Z", "z", "+02:00", "+0200", "+02")),
    *(f'"2024-03-01T12:00:00{zone}"' for zone in ("+00:60", "-00:00", "+23:59", "+24:00", "-12:60", "+01:30:30", " Z")),
    *(f'"0001-01-01T00:00:00{zone}"' for zone in ("", "Z", "+01:00", "-01:00", "+14:00", "-12:00")),
    *(f'"9999-12-31T23:59:59{zone}"' for zone in ("", "Z", "+01:00", "-01:00", "+14:00", "-12:00")),
    *('"1677-09-21T00:12:43Z"', '"2262-04-11T23:47:17Z"', '"1600-01-01T00:00:00"', '"2024-03-10T02:30:00"'),
    *('"2024-03-01T12:00"', '"2024-03-01T12"', '"2024-03-01T12:00:00.1234567Z"', '"2024-03-01T12:00:00,5Z"'),
    *('"12:30"', '"12:30:00"', '"12:30:00.1234567"', '"24:00:00"', '"23:59:60"', '"12:30:00Z"', '"12:30:00+02:00"'),
    *('"PT1.5S"', '"P1D"', '"P1DT1H"', '"-P1D"', '"P999999999D"', '"P106751991D"', '"P1Y"', '"1:30:00"', '"1 day"'),
    *("1710000000", '"1710000000"', "1710000000000", "86400", "86399.5", "-1e-9"),
)  # fmt: skip


def draw_schema(draw: random.Random, name: str = "Row") -> type[dy.Schema]:
    """A contract of a few columns, `id` and the time `at` among them."""
    columns: dict[str, Any] = {"id": dy.Int64(primary_key=True), "at": _make_datetime(draw, {"nullable": False})}
    for number in range(draw.randint(1, 4)):
        options: Options = {"nullable": draw.random() < 0.5}
        make = draw.choice(COLUMN_MAKERS)
        columns[draw.choice((f"c{number}", f"ä {number}", f"_c{number}", f"model_{number}"))] = make(draw, options)
    return type(name, (dy.Schema,), {"__module__": __name__, **columns})


def draw_problem(draw: random.Random) -> Any:
    """A problem of such a contract, which takes requests, with every feature and check that `load_problem` accepts."""
    row = draw_schema(draw)
    while any(good is bad for good, bad in RequestMaker(row).columns.values()):
        row = draw_schema(draw)
    outcome = draw.choice((dy.Bool, dy.Float64, lambda **given: dy.Enum(["x", "y", "z"], **given)))(nullable=True)
    labelled = type("Labelled", (row,), {"__module__": __name__, "happened": outcome})
    schema = SimpleNamespace(
        Row=row,
        Labelled=labelled,
        TIME="at",
        CHECKS=list_checks(row),
        EXAMPLE={},
        OUTCOME={"happened": None},
        target=lambda: pl.col("happened"),
    )
    features = SimpleNamespace(FEATURES=list_features(row))
    return SimpleNamespace(schema=schema, features=features, rules=SimpleNamespace(RULES=(), OBSERVED_DECISIONS=()))


def list_features(row: type[dy.Schema]) -> tuple[Feature, ...]:
    names = list(row.columns())
    found: list[Feature] = []
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        found += [Number(name), Category(name), ClockMinutes(name), Difference(name, other)]
        found += [kind(name, "America/New_York") for kind in (Hour, Weekday, Month)]
        found.append(Expression(f"{name} minute", pl.col(name).dt.minute(), row))
    legal = [feature for feature in found if not list(find_feature_faults(feature, row))]
    return tuple({feature.name: feature for feature in legal}.values())


def list_checks(row: type[dy.Schema]) -> tuple[ColumnCheck, ...]:
    names = list(row.columns())
    found: list[ColumnCheck] = [ValidClock(name) for name in names[1:]]
    found += [NotAbove(name, other) for name, other in itertools.pairwise(names)]
    return tuple(check for check in found if not list(find_check_faults(check, row)))


class RequestMaker:
    """Draws records of a contract as JSON text, of which most keep it."""

    def __init__(self, row: type[dy.Schema]) -> None:
        """Sort the literals that are tried for each column by whether the column takes them."""
        self.columns = {name: _sort_literals(row, name) for name in row.columns()}

    def draw_record(self, draw: random.Random, broken: float = 0.3) -> str:
        """An object; with this probability a column or two have a value that they don't take."""
        chosen = {name: draw.choice(good) for name, (good, _) in self.columns.items()}
        if draw.random() < broken:
            for name in draw.sample(list(chosen), draw.randint(1, 2)):
                chosen[name] = draw.choice(self.columns[name][1])
        pairs = [f"{json.dumps(name)}:{literal}" for name, literal in chosen.items() if draw.random() > 0.01]
        return "{" + ",".join(draw.sample(pairs, len(pairs)) if draw.random() < 0.2 else pairs) + "}"

    def draw_body(self, draw: random.Random) -> bytes:
        """A record, sometimes one that isn't even an object or JSON."""
        record = self.draw_record(draw).encode("utf-8", "surrogatepass")
        return draw.choice(MUTATIONS)(draw, record) if draw.random() < 0.1 else record


MUTATIONS: Sequence[Callable[[random.Random, bytes], bytes]] = (
    lambda draw, record: record[: draw.randint(0, len(record))],
    lambda draw, record: b"\xef\xbb\xbf" + record,
    lambda draw, record: b" \t\r\n" + record + b"\n ",
    lambda draw, record: record + draw.choice((b"}", b",", b"\x00", b"x", record)),
    lambda draw, record: record[:-1] + b',"unknown":1}',
    lambda draw, record: record[:-1] + b"," + record[1:],
    lambda draw, record: record.replace(b":", draw.choice((b" : ", b"::", b":\x00")), 1),
    lambda draw, record: record.replace(b'"', b"'"),
    lambda draw, record: b"[" * draw.choice((1, 2, 2000)) + record,
    lambda draw, record: draw.choice((b"null", b"1", b'"a"', b"true", b"NaN", b"{}", b"", b"[]", b"[[]]")),
    lambda draw, record: bytes(draw.randrange(256) if draw.random() < 0.05 else byte for byte in record),
)


def _sort_literals(row: type[dy.Schema], name: str) -> tuple[list[str], list[str]]:
    """The literals that a column takes, and those that it doesn't; twice the same list where it takes none."""
    alone = type("Alone", (dy.Schema,), {"__module__": __name__, name: row.columns()[name]})
    contract = Contract(alone, (), {}, 1)
    good, bad = [], []
    for literal in dict.fromkeys((*_list_typical_literals(alone, name), *SPELLINGS)):
        try:
            contract.parse_one(f"{{{json.dumps(name)}:{literal}}}".encode("utf-8", "surrogatepass"))
            good.append(literal)
        except RequestRefused:
            bad.append(literal)
    return good or bad, bad


def _list_typical_literals(row: type[dy.Schema], name: str) -> list[str]:
    column = row.columns()[name]
    limits = [getattr(column, limit, None) for limit in ("min", "max", "min_exclusive", "max_exclusive")]
    values = [value for value in (*limits, *(getattr(column, "is_in", None) or ())) if value is not None]
    values += list(getattr(column, "categories", None) or ())
    try:
        values += sample_columns(row, [name], 30)[name].to_list()
    except (
        Exception,
        pl.exceptions.PanicException,
    ):  # dataframely can't sample what a check, or a pattern with a length, demands
        values += [dt.datetime(2024, 3, 1), dt.timedelta(hours=1), decimal.Decimal(1), 2, "a"]
    return [encode_json(value).decode() for value in values]


def _make_integer(draw: random.Random, options: Options) -> dy.Column:
    bits, signed = draw.choice((8, 16, 32, 64)), draw.random() < 0.5
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    make = getattr(dy, f"{'Int' if signed else 'UInt'}{bits}")
    least, most = sorted(draw.choice((low, high, low + 1, high - 1, 0, 1, 7, 1759)) for _ in range(2))
    limits = draw.choice(
        ({}, {"min": low, "max": high}, {"min": max(least, low)}, {"max": most}, {"is_in": [0, 1, most]})
    )
    if draw.random() < 0.2:
        options["check"] = lambda column: column % 2 == 0
    return make(**options, **limits)


def _make_float(draw: random.Random, options: Options) -> dy.Column:
    most = draw.choice((0.0, 1.0, 0.1, 5e-324, 1e30, 3e38))
    limits = draw.choice(({}, {"min": -most, "max": most}, {"max_exclusive": most}, {"min_exclusive": -most}))
    return draw.choice((dy.Float32, dy.Float64))(**options, **limits)


def _make_decimal(draw: random.Random, options: Options) -> dy.Column:
    precision = draw.randint(1, 38)
    scale = draw.randint(0, precision)
    limits = draw.choice(({}, {"min": decimal.Decimal(0)})) if scale < precision else {}
    return dy.Decimal(precision, scale, **options, **limits)


def _make_string(draw: random.Random, options: Options) -> dy.Column:
    if draw.random() < 0.2:
        options["check"] = draw.choice((lambda column: column != "a", {"known": lambda column: column.is_not_null()}))
    limits = draw.choice(({}, {"regex": draw.choice(PATTERNS)}, {"min_length": 1, "max_length": 3}, {"max_length": 0}))
    return dy.String(**options, **limits)


def _make_date(draw: random.Random, options: Options) -> dy.Column:
    least, most = sorted(draw.choice(MOMENTS).date() for _ in range(2))
    return dy.Date(**options, **draw.choice(({}, {"min": least, "max": most}, {"resolution": "1mo"})))


def _make_datetime(draw: random.Random, options: Options) -> dy.Column:
    unit, zone = draw.choice(UNITS), draw.choice(ZONES)
    moments = [moment for moment in MOMENTS if 1678 < moment.year < 2261] if unit == "ns" else list(MOMENTS)
    least, most = sorted(draw.choice(moments).replace(tzinfo=dt.UTC if zone else None) for _ in range(2))
    limits = draw.choice(({}, {}, {"min": least, "max": most}, {"min": least}, {"resolution": "1h"}))
    return dy.Datetime(time_unit=unit, time_zone=zone, **options, **limits)  # type: ignore[arg-type]


def _make_time(draw: random.Random, options: Options) -> dy.Column:
    return dy.Time(**options, **draw.choice(({}, {"max": dt.time(12, 30)}, {"resolution": "30m"})))


def _make_duration(draw: random.Random, options: Options) -> dy.Column:
    limits = draw.choice(({}, {"min": dt.timedelta(0), "max": dt.timedelta(days=1)}, {"resolution": "1h"}))
    return dy.Duration(time_unit=draw.choice(UNITS), **options, **limits)  # type: ignore[arg-type]


def _make_nested(draw: random.Random, options: Options) -> dy.Column:
    inner = draw.choice(FLAT_MAKERS)(draw, {"nullable": draw.random() < 0.5})
    if draw.random() < 0.3:
        return dy.Struct({"a": inner, "b": dy.String(nullable=True)}, **options)
    return dy.Array(inner, 2, **options) if draw.random() < 0.5 else dy.List(inner, max_length=3, **options)


FLAT_MAKERS: tuple[ColumnMaker, ...] = (
    _make_integer,
    _make_float,
    _make_decimal,
    _make_string,
    _make_date,
    _make_datetime,
    _make_time,
    _make_duration,
    lambda draw, options: dy.Bool(**options),
    lambda draw, options: dy.Enum(draw.sample(WORDS, 3), **options),
    lambda draw, options: dy.Categorical(**options),
    lambda draw, options: dy.Binary(**options),
)
COLUMN_MAKERS = (*FLAT_MAKERS, _make_integer, _make_datetime, _make_nested)
