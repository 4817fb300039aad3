"""What became of the tables that were scored: in words, and for JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from flows.steps.score.table_job import TableReceipt
from penumbra.core.text.masking import mask_address

ScoredTables = Sequence[tuple[TableReceipt, bool]]


def format_receipts(scored: ScoredTables) -> Iterator[str]:
    """Say what became of each table.

    Args:
        scored: The receipts, each with whether the table was scored now.

    Yields:
        Lines of text.
    """
    for receipt, is_new in scored:
        facts = receipt.facts
        if not is_new:
            yield f"{receipt.table.name}: nothing new, scored on {receipt.time:%Y-%m-%d %H:%M} UTC"
            continue
        versions = " and ".join(f"version {version}" for version in facts.versions) or "no version"
        place = mask_address(receipt.output)
        yield f"{receipt.table.name}: {facts.answered:,} of {facts.rows:,} rows answered by {versions}, in {place}"
        if facts.fired:
            yield f"  rules: {_list_counts(facts.fired)}"
        if facts.rejected:
            reasons = _list_counts(facts.reasons)
            yield f"  {facts.rejected:,} rows without an answer ({reasons}), in {mask_address(receipt.rejected)}"


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
            **to_builtins(receipt.facts),
            "output": mask_address(receipt.output),
            "rejected_output": mask_address(receipt.rejected),
        }
        for receipt, is_new in scored
    ]


def _list_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
