"""A quick way to read a record: msgspec decodes what is plainly right in a third of the time that pydantic takes.

pydantic's model is the contract. Whatever isn't plainly right, be it wrong or only unusual, is for pydantic to judge;
property tests hold the two equal on all that is accepted here.
"""

import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NoReturn, Optional, Union, get_args, get_origin

import annotated_types
import msgspec
from pydantic import AfterValidator, AllowInfNan, AwareDatetime, NaiveDatetime

from kinds import Check, Record

REMEMBERED = 10_000  # strings of one column that are known to match its pattern
INSTANT = r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
ZONE = r"(Z|[+-]\d\d:\d\d)"
BOUNDS = {annotated_types.Ge: "ge", annotated_types.Gt: "gt", annotated_types.Le: "le", annotated_types.Lt: "lt"}
LENGTHS = {annotated_types.MinLen: "min_length", annotated_types.MaxLen: "max_length"}
LARGEST = 2**63 - 1  # msgspec's bounds are no larger
CANNOT_DECODE = (msgspec.MsgspecError, ValueError, RecursionError)

Convert = Callable[[Any], Any]


class Unsure(ValueError):
    """Only pydantic can tell."""


class Patterns:
    """Strings that pydantic has found to match: its patterns aren't Python's. They are learnt from accepted records."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.known: set[Any] = {None}

    def __call__(self, value: Any) -> Any:
        return value if value in self.known else _unsure()

    def learn(self, value: Any) -> None:
        if len(self.known) < REMEMBERED:
            self.known.add(value)


class Quick:
    """Reads records with these fields (annotation and default of each, as pydantic has them) that keep the checks."""

    def __init__(self, fields: Mapping[str, tuple[Any, Any]], checks: Sequence[Check]) -> None:
        """Raises Unsure where a field is of a kind that msgspec may understand otherwise than pydantic."""
        self._names = tuple(fields)
        self._converts: list[tuple[int, Convert]] = []
        members = [self._member(place, *field) for place, field in enumerate(fields.values())]
        renamed = {f"field{place}": name for place, name in enumerate(fields)}
        struct: Any = msgspec.defstruct("Record", members, rename=renamed, kw_only=True, forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(struct).decode
        self._decode_list = msgspec.json.Decoder(list[struct]).decode
        self._keeps = [check.scalar for check in checks]

    def one(self, body: bytes) -> dict[str, Any] | None:
        """The record in a JSON object, or None where pydantic must look at it."""
        try:
            return self._record(self._decode(body))
        except CANNOT_DECODE:
            return None

    def many(self, body: bytes) -> list[dict[str, Any]] | None:
        """The records in a JSON array, or None."""
        try:
            return [self._record(each) for each in self._decode_list(body)]
        except CANNOT_DECODE:
            return None

    def learn(self, record: Record) -> None:
        """A record that pydantic has accepted."""
        values = list(record.values())
        for place, convert in self._converts:
            if isinstance(convert, Patterns):
                convert.learn(values[place])

    def _record(self, decoded: Any) -> dict[str, Any]:
        values = list(msgspec.structs.astuple(decoded))
        for place, convert in self._converts:
            values[place] = convert(values[place])
        record = dict(zip(self._names, values))  # noqa: B905 (both are of the struct's length)
        for keeps in self._keeps:
            if not keeps(record):
                raise Unsure
        return record

    def _member(self, place: int, annotation: Any, default: Any) -> tuple[Any, ...]:
        """A field of the struct; what the struct can't say becomes a conversion."""
        core, *metadata = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
        core, optional = _without_none(core)
        type_, converts = _type(core)
        meta: dict[str, Any] = {}
        for item in metadata:
            converts += self._constraint(place, item, type_, meta)
        self._converts += [(place, _unless_none(convert) if optional else convert) for convert in converts]
        said = Annotated[type_, msgspec.Meta(**meta)] if meta else type_
        return f"field{place}", Optional[said] if optional else said, *([] if default is ... else [default])  # noqa: UP045

    def _constraint(self, place: int, item: Any, type_: Any, meta: dict[str, Any]) -> list[Convert]:
        name = BOUNDS.get(type(item)) or LENGTHS.get(type(item))
        if name:
            return _bound(item, name, getattr(item, name), type_, meta)
        if isinstance(item, AfterValidator):
            return [item.func]  # type: ignore[list-item]
        if isinstance(item, AllowInfNan):  # JSON has neither
            return []
        if set(getattr(item, "__dict__", {})) == {"pattern"}:
            return [Patterns(place)]
        return _unsure()


def quick(fields: Mapping[str, tuple[Any, Any]], checks: Sequence[Check]) -> Quick | None:
    """None where all is for pydantic."""
    try:
        return Quick(fields, checks)
    except Unsure:
        return None


def _bound(item: Any, name: str, bound: Any, type_: Any, meta: dict[str, Any]) -> list[Convert]:
    one_sided = all(key[0] != name[0] for key in meta)  # msgspec takes lt or le, gt or ge
    if name in LENGTHS.values() or (type_ in (int, float) and abs(bound) <= LARGEST and one_sided):
        meta[name] = bound
        return []
    keeps = getattr(operator, name)
    return [lambda value: value if keeps(value, bound) else _unsure()]


def _without_none(core: Any) -> tuple[Any, bool]:
    if get_origin(core) not in (Union, type(int | None)) or type(None) not in get_args(core):
        return core, False
    (other,) = (each for each in get_args(core) if each is not type(None))
    return other, True


def _type(core: Any) -> tuple[Any, list[Convert]]:
    """msgspec's type, and how to go on from there."""
    if core in (AwareDatetime, NaiveDatetime):
        matches = re.compile(INSTANT + (ZONE if core is AwareDatetime else ""), re.ASCII).fullmatch
        read = dt.datetime.fromisoformat
        return str, [lambda text: read(text) if matches(text) else _unsure()]
    if core in (bool, int, float, str) or get_origin(core) is Literal:
        return core, []
    return _unsure()


def _unless_none(convert: Convert) -> Convert:
    if isinstance(convert, Patterns):
        return convert
    return lambda value: None if value is None else convert(value)


def _unsure() -> NoReturn:
    raise Unsure
