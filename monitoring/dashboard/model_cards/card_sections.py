"""The sections of a card, from the facts of a bundle and the records that a training leaves beside them."""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby

from monitoring.dashboard.model_cards.card_evidence import (
    NOT_RECORDED,
    Facts,
    cut_table,
    format_optional,
    list_evidence_sections,
)
from monitoring.dashboard.model_cards.card_pages import CardSection, CardTable, ModelCard
from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.masking import mask_settings
from penumbra.core.text.quoting import escape_text
from penumbra.core.text.tables import format_number, format_significant
from penumbra.training.split import SPLIT_PARTS, format_batch_range

WATTS_PER_CORE = 12.0
SHOWN_SECTIONS = ("data", "training", "uncertainty", "labels", "gate", "promotion")
SHOWN_SETTINGS = ("monitor.on_faults", "monitor.accept")  # of other sections: which days are learnt from
# Who answers and where things lie: neither model nor verdict would be another.
OTHER_SETTINGS = frozenset(
    (
        *("data.folder", "data.derived", "data.remote", "data.commit", "training.folder", "training.failures"),
        *("labels.folder", "labels.max_lag_seconds", "promotion.approve", "promotion.approvers"),
        "promotion.approval_days",
    )
)
MAX_BATCH_ROWS = 12
MAX_WHOLE_BOUND = 1e15  # of a range's end: larger ones aren't exact
MADE_UP_DAYS = (
    "The rows have no time: they were dealt to made-up days, by which the batches are called. So nothing is known of "
    "when they were collected or how the model ages, and intervals over days take rows for related that merely stand "
    "beside each other."
)
PART_WORDS = {
    "train": "learnt from in trials",
    "validation": "chose among candidates",
    "test": "gave the scores",
    "release_only": "learnt from, not judged on",
}


def build_card(facts: Facts, records: Facts, version: str = "") -> ModelCard:
    """Build the card of a model version.

    Args:
        facts: The content of its bundle.json.
        records: The content of its card.json; what an older version lacks is said to be not recorded.
        version: Its number; "" where it isn't registered yet.

    Returns:
        The card.
    """
    name = facts.get("settings", {}).get("registry", {}).get("model", "model")
    gate = records.get("gate", {}).get("overall", NOT_RECORDED)
    batches = [batch for part in SPLIT_PARTS for batch in facts.get(part, [])]
    made_up = " (made-up days)" if records.get("has_made_up_days") else ""
    learnt = (
        f"learnt from {format_count(len(batches), 'batch', 'batches')}, {batches[0]} to {batches[-1]}{made_up}"
        if batches
        else "batches not recorded"
    )
    summary = f"{facts.get('candidate', 'a model')}, {learnt}; the gate: {gate}."
    sections = (
        _describe_use(records),
        _describe_data(facts, records),
        *list_evidence_sections(facts, records),
        _describe_limits(facts, records),
        _describe_cost(records),
        _describe_lineage(facts, version),
    )
    return ModelCard(f"{name}, version {version}" if version else name, summary, sections)


def _describe_use(records: Facts) -> CardSection:
    purpose = records.get("purpose")
    if purpose is None:
        return CardSection("Intended use", ["What the model is for was not recorded with this version."])
    if not purpose:
        return CardSection(
            "Intended use", ["problem/__init__.py doesn't say what the model is for: its docstring stands here."]
        )
    paragraphs = (paragraph.removeprefix("Intended use:").lstrip() for paragraph in purpose.split("\n\n"))
    return CardSection("Intended use", [paragraph[:1].upper() + paragraph[1:] for paragraph in paragraphs])


def _describe_data(facts: Facts, records: Facts) -> CardSection:
    labels, is_made_up = facts.get("settings", {}).get("labels", {}), records.get("has_made_up_days", False)
    pairs = [
        ("a row", records.get("row") or NOT_RECORDED),
        ("the outcome", records.get("labelled") or NOT_RECORDED),
        ("the target", records.get("target") or NOT_RECORDED),
        ("collected", records.get("source") or NOT_RECORDED),
        ("time of a row", f"{records.get('time', NOT_RECORDED)}{', on made-up days' if is_made_up else ''}"),
        ("key", ", ".join(records.get("key", [])) or "none" if "key" in records else NOT_RECORDED),
        ("labels are due", f"{labels['delay_hours']:g} hours after" if "delay_hours" in labels else NOT_RECORDED),
        ("data version", str(facts.get("data_version", NOT_RECORDED))),
        ("days left out", _describe_left_out(facts)),
    ]
    rejected = sum(each["rejected"] for each in records.get("batches", []))
    paragraphs = [MADE_UP_DAYS] if is_made_up else []
    paragraphs += [str(remark).partition("\nNext: ")[0] for remark in facts.get("remarks", [])]
    paragraphs += (
        [f"Rows that broke the contract and are in quarantine: {rejected:,}."] if records.get("batches") else []
    )
    left_out = [
        [day, "; ".join(f"{column}: {text}" if column else text for column, text in faults)]
        for day, faults in facts.get("left_out", {}).items()
    ]
    return CardSection(
        "Data sheet",
        paragraphs,
        pairs,
        [
            CardTable(
                "Batches; the released model has learnt from all of them",
                ["batch", "in the trials", "rows", "rejected"],
                _list_batches(facts, records),
            ),
            cut_table("Days left out, with their data faults", ["day", "faults"], left_out),
        ],
    )


def _list_batches(facts: Facts, records: Facts) -> list[list[str]]:
    """A row for each batch, or where there are many for all that served the same part of the trials."""
    batches = list(records.get("batches", []))
    if not batches:
        return [[batch, PART_WORDS[part], "", ""] for part in SPLIT_PARTS for batch in facts.get(part, [])]
    is_long = len(batches) > MAX_BATCH_ROWS
    rows = []
    for part, group in groupby(batches, lambda batch: batch["part"]):
        found = list(group)
        for some in [found] if is_long else [[batch] for batch in found]:
            name = format_batch_range([str(batch["batch"]) for batch in some])
            counted = f"{name} ({len(some)})" if len(some) > 1 else name
            sums = (sum(batch[column] for batch in some) for column in ("rows", "rejected"))
            rows.append([counted, PART_WORDS[part], *(f"{number:,}" for number in sums)])
    return rows


def _describe_left_out(facts: Facts) -> str:
    if "left_out" not in facts:
        return NOT_RECORDED
    return f"{len(facts['left_out'])}" if facts["left_out"] else "none"


def _describe_limits(facts: Facts, records: Facts) -> CardSection:
    numbers = [
        [each["feature"], _format_bound(each["low"]), _format_bound(each["high"]), format_share(each["missing"])]
        for each in records.get("numbers", [])
    ]
    categories = [
        [name, f"{len(counts):,}", *_describe_rare(counts)] for name, counts in facts.get("counts", {}).items()
    ]
    paragraphs = [
        "The model has learnt nothing of numbers outside these ranges, nor of other values of categories than those "
        "that it knows: such rows are answered as the estimator happens to treat them, unless a business rule refuses "
        "them.",
        "Its scores hold for rows like those of the test batches. Whether later rows still are, the monitor says: "
        "drift, loss on mature labels, calibration.",
        *([] if numbers else ["Ranges of numbers were not recorded with this version."]),
    ]
    return CardSection(
        "Limits",
        paragraphs,
        (),
        [
            cut_table("Numbers in the rows learnt from", ["feature", "lowest", "highest", "missing"], numbers),
            cut_table(
                "Categories in the rows learnt from", ["feature", "values", "the rarest, and its rows"], categories
            ),
        ],
    )


def _format_bound(value: float | None) -> str:
    """The end of a range; whole numbers in full."""
    is_whole = value is not None and float(value).is_integer() and abs(value) < MAX_WHOLE_BOUND
    return f"{value:,.0f}" if is_whole else format_optional(value)


def _describe_rare(counts: Mapping[str, int]) -> Iterator[str]:
    rarest = min(counts.items(), key=lambda each: (each[1], each[0]), default=None)
    yield f"{escape_text(rarest[0])} ({rarest[1]:,})" if rarest else ""


def _describe_cost(records: Facts) -> CardSection:
    cost = records.get("cost")
    if cost is None:
        return CardSection("Cost", ["The cost of training was not recorded with this version."])
    hours = cost["cpu_seconds"] * WATTS_PER_CORE / 3600
    pairs = [
        ("fits", f"{cost['trials']} in trials, and the released one"),
        (
            "processor time",
            f"{cost['cpu_seconds']:,.1f} CPU seconds, user and system, of all fits, searches and scores",
        ),
        ("energy, estimated", f"{format_significant(hours)} Wh = CPU seconds · {WATTS_PER_CORE:g} W a core / 3600"),
        ("a single row", f"{format_number(cost['latency_us'])} µs in the served form, the median"),
        ("size", f"{cost['size_bytes'] / 1e6:.3f} MB"),
    ]
    about = (
        f"Energy is not measured. A busy core of a server takes about {WATTS_PER_CORE:g} W: memory, cooling and idle "
        "machines aren't in it, nor are ingest, the gate and serving."
    )
    return CardSection("Cost", [about], pairs)


def _describe_lineage(facts: Facts, version: str) -> CardSection:
    pairs = [("version", version)] if version else []
    names = {"code": "revision", "data": "data_version", "recipe": "recipe", "plan": "fingerprint"}
    pairs += [(name, str(facts.get(key, NOT_RECORDED))) for name, key in names.items()]
    parameters = ", ".join(f"{key}={value}" for key, value in facts.get("parameters", {}).items())
    own = f"as problem/candidates.py has {facts.get('candidate', 'the candidate')} in that code; none were searched for"
    pairs += [("parameters", parameters or own)]
    environment = [[name, str(value)] for name, value in facts.get("environment", {}).items()]
    return CardSection(
        "Lineage",
        [],
        pairs,
        [
            CardTable("Environment", ["what", "version"], environment),
            CardTable(
                "Settings that model and verdict follow from; bundle.json has all",
                ["setting", "value"],
                _list_settings(facts),
            ),
        ],
    )


def _list_settings(facts: Facts) -> list[list[str]]:
    """The settings by which the model and the gate's verdict are what they are; the threshold of two classes alone."""
    settings = mask_settings(facts.get("settings", {}))
    every = {f"{section}.{key}": value for section, values in settings.items() for key, value in values.items()}
    hidden = OTHER_SETTINGS if "threshold" in facts else {*OTHER_SETTINGS, "training.threshold"}
    names = [name for section in SHOWN_SECTIONS for name in every if name.startswith(f"{section}.")]
    return [
        [name, _format_setting(every[name])]
        for name in (*names, *SHOWN_SETTINGS)
        if name in every and name not in hidden
    ]


def _format_setting(value: object) -> str:
    """A value as settings.toml has it; texts without quotation marks."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
