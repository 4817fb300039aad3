"""The business rules, how often each fired, and how many rows wait for people to look at them."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count
from penumbra.core.text.tables import format_table
from penumbra.logs.queries.rule_counts import RuleCounts, count_rules
from penumbra.rules import Rule


def report_rules(settings: Settings, rules: Sequence[Rule]) -> Iterator[str]:
    """Report on the rules for people.

    Args:
        settings: Sections [service], [labels] (the index's folder) and [rules] are read.
        rules: The rules of the code.

    Yields:
        Paragraphs.
    """
    counts = count_rules(settings.service.predictions, settings.labels.folder)
    if not settings.rules.apply:
        yield "Rules are off (rules.apply in settings.toml)."
    yield (
        format_table(tabulate_rules(rules, counts))
        if rules
        else "There are no rules: problem/rules.py is where they would stand."
    )
    yield f"Of {format_count(counts.predictions, 'prediction')} in the log, {_format_review(counts)}."
    if counts.fallbacks:
        substitutes = " and ".join(
            f"{count:,} by the {substitute}" for substitute, count in counts.fallbacks.most_common()
        )
        yield f"The live model failed on some records: {substitutes} were answered."


def collect_rule_counts(settings: Settings, rules: Sequence[Rule]) -> dict[str, Any]:
    """Collect what is known of the rules, for machines.

    Args:
        settings: Sections [service], [labels] (the index's folder) and [rules] are read.
        rules: The rules of the code.

    Returns:
        "apply", "rules" (rows of `tabulate_rules`), "predictions", "reviewed", "waiting" (None if not known) and
        "fallbacks" (numbers by what answered), in types of JSON.
    """
    counts = count_rules(settings.service.predictions, settings.labels.folder)
    return {
        "apply": settings.rules.apply,
        "rules": tabulate_rules(rules, counts).to_dicts(),
        "predictions": counts.predictions,
        "reviewed": counts.reviewed,
        "waiting": counts.waiting,
        "fallbacks": dict(counts.fallbacks),
    }


def tabulate_rules(rules: Sequence[Rule], counts: RuleCounts) -> pl.DataFrame:
    """Tabulate how often each rule fired and failed.

    Args:
        rules: The rules of the code.
        counts: The counts of the log.

    Returns:
        A row for each rule in the order in which they are tried, then those that only the log knows: "rule", "stage",
        "what it does" (strings), "fired", "failed" (integers).
    """
    ordered = sorted(rules, key=lambda rule: rule.stage != "before")
    current = [(rule.name, rule.stage, f"when {rule.when.words}: {rule.then.words}") for rule in ordered]
    removed = sorted((counts.rules.keys() | counts.failed.keys()) - {rule.name for rule in rules})
    lines = current + [(name, "", "is no rule any more") for name in removed]
    return pl.DataFrame(
        [(*line, counts.rules[line[0]], counts.failed[line[0]]) for line in lines],
        schema=["rule", "stage", "what it does", "fired", "failed"],
        orient="row",
    )


def _format_review(counts: RuleCounts) -> str:
    if not counts.reviewed:
        return "none was routed to review"
    routed = f"{counts.reviewed:,} were routed to review"
    if counts.waiting is None:
        return f"{routed} (how many wait is not known: `penumbra labels` brings the index of labels up to date)"
    return f"{routed}, of which {counts.waiting:,} wait for a label"
