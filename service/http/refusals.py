"""Refused requests: one shape of body for all of them, always valid JSON."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NotRequired, Self

import msgspec
from pydantic import ValidationError, with_config
from typing_extensions import TypedDict

from penumbra.core.text.counts import format_count
from penumbra.core.text.faulty_values import describe_expected_value, format_shown_value
from penumbra.rules import Rule

MAX_DETAILS = 100
MAX_FAULTS_PER_RECORD = 1000


class Fault(TypedDict):
    """One fault of a request.

    `index` counts a list's records from 0; `value` is cut to 100 characters; `rule` is the name of the business rule
    that refuses the record, where the contract doesn't.
    """

    index: NotRequired[int]
    rule: NotRequired[str]
    field: NotRequired[str]
    value: NotRequired[str]
    expected: str


@with_config(title="Problem")
class ErrorBody(TypedDict):
    """The body of every 4xx and 5xx answer."""

    error: str
    details: list[Fault]


class RequestRefused(Exception):
    """A request is refused: carries the HTTP status, a sentence for the client, the faults and additional headers."""

    def __init__(
        self,
        status: int,
        error: str,
        details: Sequence[Fault] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(error)
        self.status = status
        self.details = details
        self.headers = headers

    def forget_frames(self) -> Self:
        """Return the refusal itself, without the frames that raised it, which keep what the request had sent."""
        self.__traceback__ = self.__context__ = None
        return self

    def encode_body(self) -> bytes:
        """Return the response's body as JSON."""
        return msgspec.json.encode({"error": str(self), "details": self.details})


def build_contract_refusal(
    broken: Sequence[tuple[int | None, ValidationError]], total: int, consequence: str, nullable: Collection[str] = ()
) -> RequestRefused:
    """Build the refusal of records that break the contract.

    Args:
        broken: For each such record, its index in the list (None for a single record) and pydantic's error.
        total: The number of records in the request.
        consequence: What the refusal means, such as "nothing was predicted".
        nullable: The fields of which null is a value.

    Returns:
        A refusal with status 400 where one of them isn't JSON, else 422, with at most `MAX_DETAILS` faults.
    """
    for index, error in broken:
        if message := _find_json_error(error):
            where = "the body" if index is None else f"record {index}"
            return RequestRefused(400, f"{where} is not valid JSON: {message}")
    details: list[Fault] = []
    for index, error in broken:
        details.extend(list_record_faults(error, index, nullable))
        if len(details) >= MAX_DETAILS:
            break
    return RequestRefused(422, _summarise(broken, total, len(details), consequence), details[:MAX_DETAILS])


def list_record_faults(error: ValidationError, index: int | None, nullable: Collection[str] = ()) -> Iterator[Fault]:
    """List the faults of one record.

    Args:
        error: pydantic's error.
        index: The record's position in the list, or None for a single record.
        nullable: The fields of which null is a value.

    Yields:
        The faults; none where there are more than `MAX_FAULTS_PER_RECORD`.
    """
    if error.error_count() > MAX_FAULTS_PER_RECORD:
        return
    position: Any = {} if index is None else {"index": index}
    for item in error.errors(include_url=False):
        for fault in _list_item_faults(item, nullable):
            yield {**position, **fault}


def _summarise(
    broken: Sequence[tuple[int | None, ValidationError]], total: int, n_listed: int, consequence: str
) -> str:
    subject = (
        "the record breaks"
        if broken[0][0] is None
        else f"{len(broken)} of {format_count(total, 'record breaks', 'records break')}"
    )
    faults = max(n_listed, sum(error.error_count() for _, error in broken))
    listed = (
        "" if n_listed == faults and faults <= MAX_DETAILS else f"; listed are {min(n_listed, MAX_DETAILS)} of them"
    )
    return f"{subject} the contract ({faults} fault{'s' * (faults != 1)}{listed}), {consequence}"


def _find_json_error(error: ValidationError) -> str | None:
    if error.error_count() != 1:
        return None
    first = error.errors(include_url=False)[0]
    return first["msg"].removeprefix("Invalid JSON: ") if first["type"] == "json_invalid" else None


def _list_item_faults(item: Any, nullable: Collection[str]) -> list[Fault]:
    if item["type"] == "check":
        return [_make_fault(**fault) if "value" in fault else fault for fault in item["ctx"]["faults"]]
    expected, field = describe_expected_value(item, nullable), ".".join(map(str, item["loc"]))
    if item["type"] == "missing":
        return [{"field": field, "expected": expected}]
    return [
        _make_fault(field, item["input"], expected)
        if field
        else {"value": format_shown_value(item["input"]), "expected": expected}
    ]


def _make_fault(field: str, value: Any, expected: str) -> Fault:
    return {"field": field, "value": format_shown_value(value), "expected": expected}


def build_rule_refusal(refused: Sequence[tuple[int | None, Rule]], total: int, n_answered: int = 0) -> RequestRefused:
    """Build the refusal (422) of records that rules refuse.

    Args:
        refused: For each such record, its index in the list (None for a single record) and the rule.
        total: The number of records in the request.
        n_answered: How many of them, at its beginning, were answered when it was sent before.

    Returns:
        A refusal with at most `MAX_DETAILS` faults.
    """
    index, rule = refused[0]
    subject = (
        "the record is" if index is None else f"{len(refused)} of {format_count(total, 'record is', 'records are')}"
    )
    details = [_make_rule_fault(*pair) for pair in refused]
    consequence = f"only the first {n_answered} were answered, earlier" if n_answered else "nothing was predicted"
    return RequestRefused(422, f"{subject} refused ({rule.name}: {rule.reason}), {consequence}", details[:MAX_DETAILS])


def _make_rule_fault(index: int | None, rule: Rule) -> Fault:
    position: Any = {} if index is None else {"index": index}
    return {**position, "rule": rule.name, "expected": f"not that {rule.when.words}: {rule.reason}"}
