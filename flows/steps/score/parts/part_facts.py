"""What became of the rows of parts of a table: counts, versions, and columns that are missing or not read."""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

import msgspec


class PartFacts(msgspec.Struct):
    """What became of the rows of a part, or of several.

    Attributes:
        rows: How many there are.
        answered: How many have an answer.
        rejected: How many broke the contract, or were refused by a rule.
        reasons: How many were rejected for which reason: a rule of the contract, or the name of a business rule.
        fired: How many answers which business rule had a part in.
        versions: How many were answered by which version of the model.
        missing: The columns of the contract that the table doesn't have, so that they are null in all rows.
        unread: The columns of the table that nothing reads.
    """

    rows: int = 0
    answered: int = 0
    rejected: int = 0
    reasons: dict[str, int] = {}
    fired: dict[str, int] = {}
    versions: dict[str, int] = {}
    missing: list[str] = []
    unread: list[str] = []


def sum_facts(parts: Sequence[PartFacts]) -> PartFacts:
    """Return what became of the rows of several `parts` together."""

    def count(name: str) -> dict[str, int]:
        return dict(sum((Counter(getattr(part, name)) for part in parts), Counter[str]()))

    def unite(name: str) -> list[str]:
        return list(dict.fromkeys(column for part in parts for column in getattr(part, name)))

    numbers = {name: sum(map(attrgetter(name), parts)) for name in ("rows", "answered", "rejected")}
    counts = {name: count(name) for name in ("reasons", "fired", "versions")}
    lists = {name: unite(name) for name in ("missing", "unread")}
    return msgspec.convert({**numbers, **counts, **lists}, PartFacts)
