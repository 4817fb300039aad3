"""What became of the tables that were scored: in words, and for JSON."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flows.steps.score.score_order import ScoreRefused
from flows.steps.score.table_job import TableReceipt, name_title
from penumbra.core.columns import BROKEN_RULES_COLUMN
from penumbra.core.problem import ProblemSchema
from penumbra.core.text.counts import format_count
from penumbra.core.text.errors import LastingRefusal
from penumbra.core.text.masking import mask_address
from penumbra.core.text.quoting import list_names
from penumbra.data.partitions.contract_rules import UNREADABLE_RULE
from penumbra.data.partitions.conversion import describe_dtype

BROKEN_CONTRACT = (
    f"{BROKEN_RULES_COLUMN} names each row's reasons there; column|rule is a rule of the column in problem/schema.py"
)
UNREADABLE = (
    f", column|{UNREADABLE_RULE} a value that isn't one of its dtype, such as another word than the Enum's, or a time "
    "in another form than problem/source.py has it (ISO 8601 without time_format and CONVERSIONS)"
)
LIMITS = {
    "nullability": "a value",
    "min": "at least {}",
    "min_exclusive": "more than {}",
    "max": "at most {}",
    "max_exclusive": "less than {}",
    "min_length": "a length of at least {}",
    "max_length": "a length of at most {}",
    "is_in": "one of {}",
    "regex": "text that matches {}",
}
ScoredTables = Sequence[tuple[TableReceipt, bool]]


class NothingAnswered(LastingRefusal):
    """No row of a table has an answer; names the table and where the reasons are."""


def format_receipts(scored: ScoredTables, schema: ProblemSchema) -> Iterator[str]:
    """Say what became of each table.

    Args:
        scored: The receipts, each with whether the table was scored now.
        schema: The problem's, whose rules are told that rows without an answer break.

    Yields:
        Lines of text.
    """
    for receipt, is_new in scored:
        facts = receipt.facts
        when = f"{receipt.time:%Y-%m-%d %H:%M} UTC"
        if not is_new and facts.answered:
            yield f"{_name_table(receipt)}: nothing new, scored on {when}"
            yield from _format_missing(receipt)
            yield from _format_rejected(receipt, schema, is_new)
            continue
        answers = (
            f"{facts.answered:,} of {format_count(facts.rows, 'row')} answered" if facts.answered else "no row answered"
        )
        versions = " and ".join(f"version {version}" for version in facts.versions)
        by = f" by {versions}, in {mask_address(receipt.output)}" if versions else ""
        yield f"{_name_table(receipt)}: {answers}{by}" + ("" if is_new else f", as on {when}")
        if receipt.is_queried:
            yield f"  the rows are those that the query found on {receipt.table.time:%Y-%m-%d %H:%M} UTC"
        if is_new and receipt.table.reason:
            yield f"  all rows are scored and logged anew, as {receipt.table.reason}"
        yield from _format_missing(receipt)
        if facts.fired:
            yield f"  rules: {_list_counts(facts.fired)}"
        yield from _format_rejected(receipt, schema)


def require_answers(scored: ScoredTables) -> None:
    """Require of each table with rows that one of them has an answer, so that nobody takes a table for done.

    Args:
        scored: As for `format_receipts`.

    Raises:
        NothingAnswered: Tables have none.
    """
    if lost := [receipt for receipt, _ in scored if receipt.facts.rows and not receipt.facts.answered]:
        raise NothingAnswered(
            f"no row of {list_names(map(_name_table, lost))} has an answer: see "
            f"{mask_address(lost[0].rejected)} for the reasons, and mend the table, or how problem/source.py reads "
            "tables; what is written in another way than SOURCE says has options such as --separator"
        )


def describe_receipts(scored: ScoredTables) -> list[dict[str, Any]]:
    """Describe what became of each table.

    Args:
        scored: The receipts, each with whether the table was scored now.

    Returns:
        Of each table what JSON has: `table`, `is_new`, `rows`, `answered`, `rejected`, and so on.
    """
    from msgspec import to_builtins

    return [
        {
            "table": receipt.table.name,
            "is_new": is_new,
            "queried": f"{receipt.table.time:%Y-%m-%dT%H:%M:%SZ}" if receipt.is_queried else None,
            **to_builtins(receipt.facts),
            "output": mask_address(receipt.output),
            "rejected_output": mask_address(receipt.rejected),
        }
        for receipt, is_new in scored
    ]


def require_all_scored(refused: Sequence[str]) -> None:
    """Refuse a run of which some tables couldn't be scored, once what became of the others is said.

    Args:
        refused: A sentence for each.

    Raises:
        ScoreRefused: There are some; says which and why.
    """
    if refused:
        many = f"{len(refused)} tables can't be scored: " if len(refused) > 1 else ""
        raise ScoreRefused(many + "; ".join(refused))


def _format_missing(receipt: TableReceipt) -> Iterator[str]:
    """Say which columns the table doesn't have, beside those that may be meant; nothing where it has all."""
    if missing := receipt.facts.missing:
        unread = f"; not read: {list_names(receipt.facts.unread)}" if receipt.facts.unread else ""
        yield f"  no column {list_names(missing)}: read as missing{unread}"


def _format_rejected(receipt: TableReceipt, schema: ProblemSchema, is_new: bool = True) -> Iterator[str]:
    """Say how many rows have no answer, why, and where they are; nothing where all have one."""
    if rejected := receipt.facts.rejected:
        rows = format_count(rejected, "row") if is_new else format_count(rejected, "row is still", "rows are still")
        yield f"  {rows} without an answer ({_list_counts(receipt.facts.reasons)}), in {mask_address(receipt.rejected)}"
        if expected := [*_list_expectations(receipt.facts.reasons, schema)]:
            yield f"  expected: {'; '.join(expected)}"
        is_unreadable = any(reason.endswith(f"|{UNREADABLE_RULE}") for reason in receipt.facts.reasons)
        if any("|" in reason for reason in receipt.facts.reasons):
            yield f"  {BROKEN_CONTRACT}{UNREADABLE if is_unreadable else ''}"


def _list_expectations(reasons: Iterable[str], schema: ProblemSchema) -> Iterator[str]:
    """What the values of columns should have been, by the rules that they break."""
    columns = schema.Row.columns()
    for name, _, rule in (reason.rpartition("|") for reason in reasons):
        if name in columns and rule == UNREADABLE_RULE:
            yield f"{name} {describe_dtype(columns[name].dtype)}"
        elif name in columns and rule in LIMITS:
            limit: Any = getattr(columns[name], rule, None)
            yield f"{name} {LIMITS[rule].format(list_names(map(str, limit)) if rule == 'is_in' else limit)}"


def _name_table(receipt: TableReceipt) -> str:
    return name_title(receipt.table.name, receipt.is_queried)


def _list_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
