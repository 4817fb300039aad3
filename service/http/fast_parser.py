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

from penumbra.features import ColumnCheck, Record

MAX_KNOWN_STRINGS = 10_000  # strings of one column that are known to match its pattern
INSTANT_PATTERN = r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
ZONE_PATTERN = r"(Z|[+-]\d\d:\d\d)"
BOUND_NAMES = {annotated_types.Ge: "ge", annotated_types.Gt: "gt", annotated_types.Le: "le", annotated_types.Lt: "lt"}
LENGTH_NAMES = {annotated_types.MinLen: "min_length", annotated_types.MaxLen: "max_length"}
MAX_BOUND = 2**63 - 1  # msgspec's bounds are no larger
DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)

Converter = Callable[[Any], Any]


class NeedsPydantic(ValueError):
    """Only pydantic can tell."""


class KnownMatches:
    """Strings that pydantic has found to match: its patterns aren't Python's. They are learnt from accepted records."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.known: set[Any] = {None}

    def __call__(self, value: Any) -> Any:
        return value if value in self.known else _raise_needs_pydantic()

    def learn(self, value: Any) -> None:
        if len(self.known) < MAX_KNOWN_STRINGS:
            self.known.add(value)


class FastParser:
    """Reads records with these fields (annotation and default of each, as pydantic has them) that keep the checks."""

    def __init__(self, fields: Mapping[str, tuple[Any, Any]], checks: Sequence[ColumnCheck]) -> None:
        """Raises Unsure where a field is of a kind that msgspec may understand otherwise than pydantic."""
        self._names = tuple(fields)
        self._converts: list[tuple[int, Converter]] = []
        members = [self._member(place, *field) for place, field in enumerate(fields.values())]
        renamed = {f"field{place}": name for place, name in enumerate(fields)}
        struct: Any = msgspec.defstruct("Record", members, rename=renamed, kw_only=True, forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(struct).decode
        self._decode_list = msgspec.json.Decoder(list[struct]).decode
        self._keeps = [check.scalar for check in checks]

    def parse_one(self, body: bytes) -> dict[str, Any] | None:
        """The record in a JSON object, or None where pydantic must look at it."""
        try:
            return self._record(self._decode(body))
        except DECODE_ERRORS:
            return None

    def parse_batch(self, body: bytes) -> list[dict[str, Any]] | None:
        """The records in a JSON array, or None."""
        try:
            return [self._record(each) for each in self._decode_list(body)]
        except DECODE_ERRORS:
            return None

    def learn(self, record: Record) -> None:
        """A record that pydantic has accepted."""
        values = list(record.values())
        for place, convert in self._converts:
            if isinstance(convert, KnownMatches):
                convert.learn(values[place])

    def _record(self, decoded: Any) -> dict[str, Any]:
        values = list(msgspec.structs.astuple(decoded))
        for place, convert in self._converts:
            values[place] = convert(values[place])
        record = dict(zip(self._names, values))  # noqa: B905 (both are of the struct's length)
        for keeps in self._keeps:
            if not keeps(record):
                raise NeedsPydantic
        return record

    def _member(self, place: int, annotation: Any, default: Any) -> tuple[Any, ...]:
        """A field of the struct; what the struct can't say becomes a conversion."""
        core, *metadata = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
        core, optional = _without_none(core)
        type_, converts = _resolve_type(core)
        meta: dict[str, Any] = {}
        for item in metadata:
            converts += self._constraint(place, item, type_, meta)
        self._converts += [(place, _unless_none(convert) if optional else convert) for convert in converts]
        said = Annotated[type_, msgspec.Meta(**meta)] if meta else type_
        return f"field{place}", Optional[said] if optional else said, *([] if default is ... else [default])  # noqa: UP045

    def _constraint(self, place: int, item: Any, type_: Any, meta: dict[str, Any]) -> list[Converter]:
        name = BOUND_NAMES.get(type(item)) or LENGTH_NAMES.get(type(item))
        if name:
            return _constrain_bound(item, name, getattr(item, name), type_, meta)
        if isinstance(item, AfterValidator):
            return [item.func]  # type: ignore[list-item]
        if isinstance(item, AllowInfNan):  # JSON has neither
            return []
        if set(getattr(item, "__dict__", {})) == {"pattern"}:
            return [KnownMatches(place)]
        return _raise_needs_pydantic()


def build_fast_parser(fields: Mapping[str, tuple[Any, Any]], checks: Sequence[ColumnCheck]) -> FastParser | None:
    """None where all is for pydantic."""
    try:
        return FastParser(fields, checks)
    except NeedsPydantic:
        return None


def _constrain_bound(item: Any, name: str, bound: Any, type_: Any, meta: dict[str, Any]) -> list[Converter]:
    one_sided = all(key[0] != name[0] for key in meta)  # msgspec takes lt or le, gt or ge
    if name in LENGTH_NAMES.values() or (type_ in (int, float) and abs(bound) <= MAX_BOUND and one_sided):
        meta[name] = bound
        return []
    keeps = getattr(operator, name)
    return [lambda value: value if keeps(value, bound) else _raise_needs_pydantic()]


def _without_none(core: Any) -> tuple[Any, bool]:
    if get_origin(core) not in (Union, type(int | None)) or type(None) not in get_args(core):
        return core, False
    (other,) = (each for each in get_args(core) if each is not type(None))
    return other, True


def _resolve_type(core: Any) -> tuple[Any, list[Converter]]:
    """msgspec's type, and how to go on from there."""
    if core in (AwareDatetime, NaiveDatetime):
        matches = re.compile(INSTANT_PATTERN + (ZONE_PATTERN if core is AwareDatetime else ""), re.ASCII).fullmatch
        read = dt.datetime.fromisoformat
        return str, [lambda text: read(text) if matches(text) else _raise_needs_pydantic()]
    if core in (bool, int, float, str) or get_origin(core) is Literal:
        return core, []
    return _raise_needs_pydantic()


def _unless_none(convert: Converter) -> Converter:
    if isinstance(convert, KnownMatches):
        return convert
    return lambda value: None if value is None else convert(value)


def _raise_needs_pydantic() -> NoReturn:
    raise NeedsPydantic
