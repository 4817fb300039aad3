"""What the card of a version needs beside the facts of its bundle; nothing is computed that training hasn't already."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.steps.train.held_out import score_named_slices
from flows.steps.train.release.outcome import TrainingOutcome, sum_cpu_seconds
from monitoring.dashboard.model_cards.card_pages import ModelCard, format_card, render_card
from monitoring.dashboard.model_cards.card_sections import build_card
from penumbra.core.metrics.losses import get_primary_metric
from penumbra.core.text.json_values import replace_non_finite
from penumbra.core.text.masking import mask_settings
from penumbra.data.batches import DataStore
from penumbra.registry.bundles.manifest import CARD_FILE, CARD_FILES
from penumbra.sources.row_reading import find_row_reading
from penumbra.training.evaluation import group_scores
from penumbra.training.split import SPLIT_PARTS

MAX_DESCRIPTION = 4000  # characters; MLflow takes 5,000


def write_card_files(outcome: TrainingOutcome, facts: Mapping[str, Any], folder: Path) -> ModelCard:
    """Write records and card of a version that isn't registered yet.

    Args:
        outcome: The result of the training.
        facts: What its bundle.json will hold.
        folder: The folder of the bundle, in which the files of `CARD_FILES` are written.

    Returns:
        The card.
    """
    text = json.dumps(collect_card_records(outcome), indent=1, default=str)
    card = build_card(json.loads(json.dumps(facts, default=str)), json.loads(text))
    for name, content in zip(CARD_FILES, (text, format_card(card), render_card(card)), strict=True):
        (folder / name).write_text(content)
    return card


def read_card_beginning(folder: Path) -> str:
    """Read what the registry shows of a version: the beginning of its card, up to the data sheet.

    Args:
        folder: The folder of its bundle.

    Returns:
        Markdown of at most 4,000 characters; "" where the bundle has no card.
    """
    card = folder / CARD_FILE
    if not card.exists():
        return ""
    beginning = card.read_text().partition("\n## Data sheet")[0].rstrip()
    shown = beginning if len(beginning) <= MAX_DESCRIPTION else f"{beginning[: MAX_DESCRIPTION - 1]}…"
    return f"{shown}\n\nThe whole card is the artifact `bundle/{CARD_FILE}` of the version's run.\n"


def collect_card_records(outcome: TrainingOutcome) -> dict[str, Any]:
    """Collect what the card of a version needs beside the facts of its bundle.

    Args:
        outcome: The result of the training.

    Returns:
        In types of JSON, without infinite numbers: "purpose" and other texts of `problem/`, "batches" with their rows,
        "intervals", "models" and "calibration" of the scores, "gate", "slices" (by the loss), "worst", with sensitive
        columns "groups" and "fairness", "numbers" with the ranges of the features, and "cost".
    """
    gate, matrices = outcome.gate, outcome.matrices
    by_slice = score_named_slices(outcome.plan, matrices, outcome.winner, gate.rows)
    records = {
        **_describe_problem(outcome),
        "batches": _list_batches(outcome),
        "intervals": {name: [each.value, each.low, each.high] for name, each in gate.intervals.items()},
        "models": [{"model": each.candidate, "scores": each.scores} for each in outcome.tested],
        "calibration": outcome.tested[0].curves.get("calibration", []),
        "gate": gate.report.facts(),
        "slices": by_slice.filter(pl.col("metric") == get_primary_metric(matrices.task)).to_dicts(),
        "worst": gate.worst.to_dicts(),
        "numbers": _list_ranges(outcome),
        "cost": _sum_cost(outcome),
    }
    if groups := gate.groups:
        records["groups"] = group_scores.score_groups(groups.candidate).to_dicts()
        records["fairness"] = group_scores.compare_groups(groups.candidate, groups.kind).to_dicts()
    finite: dict[str, Any] = replace_non_finite(mask_settings(records))
    return finite


def _describe_problem(outcome: TrainingOutcome) -> dict[str, Any]:
    """The words of `problem/`, and what its contract says of a row."""
    problem, schema = outcome.matrices.problem, outcome.matrices.problem.schema
    return {
        "purpose": problem.purpose,
        "source": problem.source_notes,
        "row": inspect.getdoc(schema.Row) or "",
        "labelled": inspect.getdoc(schema.Labelled) or "",
        "target": inspect.getdoc(schema.target) or "",
        "time": schema.TIME,
        "has_made_up_days": find_row_reading(problem).has_made_up_days,
        "key": list(schema.Row.primary_key()),
    }


def _list_batches(outcome: TrainingOutcome) -> list[dict[str, Any]]:
    store, sizes = DataStore(outcome.settings.data, outcome.matrices.problem), outcome.matrices.arrays.sizes
    split = outcome.plan.split
    return [
        {"batch": batch, "part": part, "rows": sizes[batch], "rejected": store.quarantine(batch).height}
        for part in SPLIT_PARTS
        for batch in getattr(split, part)
    ]


def _list_ranges(outcome: TrainingOutcome) -> list[dict[str, Any]]:
    """The lowest and the highest value of each number that the released model has learnt from."""
    inputs, columns = outcome.matrices.arrays.read("inputs"), outcome.matrices.columns
    found = []
    for position in columns["numeric"]:
        values = inputs[:, position]
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (None, None)
        missing = 1 - len(known) / len(values)
        found.append({"feature": columns["names"][position], "low": low, "high": high, "missing": missing})
    return found


def _sum_cost(outcome: TrainingOutcome) -> dict[str, float]:
    return {
        "trials": sum(trial.cpu_seconds > 0 for trial in [*outcome.trials, *outcome.tested]),
        "cpu_seconds": sum_cpu_seconds(outcome),
        "latency_us": outcome.cost.microseconds,
        "size_bytes": outcome.cost.size,
    }
