"""The sections of a card on how good a version is: scores, the gate, slices, and groups of sensitive columns."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from monitoring.dashboard.model_cards.card_pages import CardSection, CardTable
from penumbra.core.text.intervals import format_limits
from penumbra.core.text.quoting import escape_text
from penumbra.core.text.tables import format_number, format_significant
from penumbra.registry.bundles.manifest import LIMITS_FACT
from penumbra.training.evaluation.evaluate import get_metric_title

NOT_RECORDED = "not recorded"
MAX_ROWS = 40  # of a table
INTERVALS = "95 % intervals over days (none where these are too few)"
NOTHING_WORSE = (
    "A search by all features and pairs of them found no slice that is surely worse than others on the same day."
)
Facts = Mapping[str, Any]


def list_evidence_sections(facts: Facts, records: Facts) -> list[CardSection]:
    """List the sections on how good a version is.

    Args:
        facts: The content of its bundle.json.
        records: The content of its card.json.

    Returns:
        "Results", "Gate", "Slices" and "Fairness".
    """
    return [
        _describe_results(facts, records),
        _describe_gate(records),
        _describe_slices(records),
        _describe_fairness(records),
    ]


def cut_table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> CardTable:
    """Make a table of at most 40 rows, whose caption says how many there are.

    Args:
        caption: What it shows.
        columns: The names of its columns.
        rows: All of its rows.

    Returns:
        The table.
    """
    cut = f" ({MAX_ROWS} of {len(rows)})" if len(rows) > MAX_ROWS else ""
    return CardTable(caption + cut, columns, rows[:MAX_ROWS])


def format_optional(value: float | None) -> str:
    """Return a number of a record with four significant digits; "" for `value` None."""
    return "" if value is None else format_significant(value)


def _describe_results(facts: Facts, records: Facts) -> CardSection:
    intervals, metrics = records.get("intervals", {}), facts.get("metrics", {})
    rows = [[get_metric_title(name), _format_interval(interval)] for name, interval in intervals.items()]
    rows = rows or [[get_metric_title(name), format_number(value)] for name, value in metrics.items()]
    names = list(metrics)
    others = [
        [each["model"], *(format_optional(each["scores"].get(name)) for name in names)]
        for each in records.get("models", [])
    ]
    curve = [
        [format_number(p["predicted"]), format_number(p["observed"]), f"{p['rows']:,}"]
        for p in records.get("calibration", [])
    ]
    paragraph = (
        "The recipe was fitted on the batches before the test ones and scored on rows that it had not learnt from."
    )
    test = ", ".join(facts.get("test", [])) or NOT_RECORDED
    pairs = [("test batches", test)]
    pairs += [("decides for true from", f"{facts['threshold']:g}")] if "threshold" in facts else []
    pairs += [("how sure an answer is", _describe_sureness(facts[LIMITS_FACT]))] if LIMITS_FACT in facts else []
    importance = [
        [each["feature"], *(format_optional(each[name]) for name in ("value", "low", "high"))]
        for each in facts.get("importance", [])
    ]
    return CardSection(
        "Results",
        [paragraph, *([] if intervals else ["Intervals were not recorded with this version."])],
        pairs,
        [
            CardTable(f"Metrics, with {INTERVALS}", ["metric", "value"], rows),
            CardTable("Beside other models on the same rows", ["model", *map(get_metric_title, names)], others),
            CardTable("Calibration: what was predicted, what happened", ["predicted", "observed", "rows"], curve),
            cut_table(
                "Importance: what the loss rises by if a feature is shuffled, on average, at least and at most",
                ["feature", "mean", "least", "most"],
                importance,
            ),
        ],
    )


def _describe_sureness(limits: Facts) -> str:
    return (
        f"sets and intervals are made to hold the truth in {limits['coverage']:.0%} of the cases, "
        f"by {limits['method']} conformal prediction on {limits['rows']:,} held-out rows"
    )


def _describe_gate(records: Facts) -> CardSection:
    if "gate" not in records:
        return CardSection("Gate", ["The gate's report was not recorded with this version."])
    rows = [
        [
            each["name"],
            each["verdict"],
            format_optional(each["measured"]),
            format_optional(each["limit"]),
            each["sentence"],
        ]
        for each in records["gate"]["checks"]
    ]
    table = CardTable("Checks", ["check", "verdict", "measured", "limit", "in words"], rows)
    return CardSection("Gate", [f"The verdict: {records['gate']['overall']}."], (), [table])


def _describe_slices(records: Facts) -> CardSection:
    if "slices" not in records:
        return CardSection("Slices", ["Scores of slices were not recorded with this version."])
    rows = [[each["slice"], f"{each['rows']:,}", str(each["days"]), _format_limits(each)] for each in records["slices"]]
    metric = get_metric_title(records["slices"][0]["metric"]) if rows else ""
    worst = [
        [each["slice"], f"{each['rows']:,}", _format_limits(each, "excess")]
        for each in records.get("worst", [])
        if (each["low"] or 0) > 0
    ]
    none = [] if rows else ["problem/slices.py names no slices."]
    none += [] if worst else [NOTHING_WORSE]
    return CardSection(
        "Slices",
        none,
        (),
        [
            cut_table(f"{metric} by slice, with {INTERVALS}", ["slice", "rows", "days", metric], rows),
            cut_table("Surely worse than others on the same day", ["slice", "rows", "more loss"], worst),
        ],
    )


def _describe_fairness(records: Facts) -> CardSection:
    if "groups" not in records:
        return CardSection(
            "Fairness",
            ["No sensitive column was named at its training (SENSITIVE of problem/schema.py): no group is known."],
        )
    compared = [
        [
            *(each["column"], each["comparison"].replace("_", " "), _format_limits(each)),
            *(escape_text(each["highest"]), escape_text(each["lowest"]), format_optional(each["ratio"])),
        ]
        for each in records["fairness"]
    ]
    shown = _select_groups(records["groups"])
    groups = [
        [
            *(f"{each['column']}={escape_text(each['group'])}", each["metric"].replace("_", " ")),
            *(f"{each['rows']:,}", _format_limits(each)),
        ]
        for each in shown
    ]
    cut = f" ({len(shown)} of {len(records['groups'])})" if len(shown) < len(records["groups"]) else ""
    few = [] if compared else ["No sensitive column has two groups with rows enough to be compared."]
    return CardSection(
        "Fairness",
        few,
        (),
        [
            CardTable(
                f"Largest differences between groups, with {INTERVALS}, for all pairs together",
                ["groups of", "difference in", "value", "highest", "lowest", "ratio"],
                compared,
            ),
            CardTable(f"Metrics by group, with {INTERVALS}{cut}", ["group", "metric", "rows", "value"], groups),
        ],
    )


def _select_groups(groups: Sequence[Facts]) -> list[Facts]:
    """Select as many of the metrics of groups of each sensitive column, so that none hides another."""
    columns = {column: list(rows) for column, rows in groupby(groups, itemgetter("column"))}
    return [each for rows in columns.values() for each in rows[: max(MAX_ROWS // len(columns), 1)]]


def _format_limits(row: Facts, value: str = "value") -> str:
    return _format_interval([row[value], row["low"], row["high"]])


def _format_interval(interval: Sequence[float | None]) -> str:
    value, low, high = interval
    return f"{format_optional(value)} {format_limits(low, high, format_significant)}"
