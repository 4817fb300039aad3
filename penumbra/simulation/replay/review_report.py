"""Reviews in a replay's report: the queue, agreement, the estimated error beside the true one, and the gain."""

import html
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from penumbra.core.task import TaskKind
from penumbra.core.text.counts import format_count
from penumbra.core.text.intervals import NO_INTERVAL
from penumbra.reviews.measures.agreement import Agreement, measure_agreement
from penumbra.reviews.measures.error_rates import describe_mean_error, estimate_error, name_error
from penumbra.reviews.measures.estimates import WeightedEstimate

MAX_SHOWN_REASONS = 6
ReviewSteps = Sequence[dict[str, Any]]


def compute_review_figures(steps: ReviewSteps, kind: TaskKind) -> dict[str, Any]:
    """Compute the figures of a replay's reviews.

    Args:
        steps: The days as they were played; of each "reviews", see `SimulatedReviewers.review_day`.
        kind: The task's kind.

    Returns:
        Plain JSON: `reviewed` (cases that people decided), `agreement` (Krippendorff's alpha), and the estimated error
        with its interval beside that of all rows: `error_rate`, or of numbers `mean_error`. None where there is none.
    """
    name, estimate = name_error(kind).replace(" ", "_"), _estimate_steps_error(steps, kind)
    return {
        "reviewed": estimate.answered,
        "agreement": _round(_measure_steps_agreement(steps, kind).alpha),
        name: _round(estimate.value),
        f"{name}_low": _round(estimate.low),
        f"{name}_high": _round(estimate.high),
        f"true_{name}": _round(_compute_true_error(steps)),
    }


def describe_reviews(steps: ReviewSteps, kind: TaskKind, label_days: int) -> Iterator[str]:
    """Describe a replay's reviews.

    Args:
        steps: The days as they were played.
        kind: The task's kind.
        label_days: How many days after a row its outcome arrives.

    Yields:
        Sentences about the queue, agreement, the estimated error beside the true one, and what the labels of people
        brought; one that nothing was picked.
    """
    reviews = [step["reviews"] for step in steps]
    picked, rows = sum(review["cases"] for review in reviews), sum(step["rows"] for step in steps)
    if not picked:
        yield "Reviews: no row was picked."
        return
    statuses = sum((Counter(review["statuses"]) for review in reviews), Counter())
    ends = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
    yield (
        f"Reviews: {picked:,} of {format_count(rows, 'row was', 'rows were')} picked "
        f"({_describe_reasons(steps)}); {ends}."
    )
    yield f"Two people, one row: {_measure_steps_agreement(steps, kind)}."
    yield _describe_error(steps, kind)
    contradicted = sum(review["contradicted"] for review in reviews)
    yield (
        f"What that brought: {format_count(statuses['decided'], 'label')} {format_count(label_days, 'day')} before the "
        "outcomes, which contradict "
        f"{contradicted:,} of them."
    )


def build_review_table(steps: ReviewSteps, kind: TaskKind) -> str:
    """Build the table of the queue by day.

    Args:
        steps: The days as they were played.
        kind: The task's kind.

    Returns:
        HTML: of each day its rows, how many were picked and why, what came of them, and the error estimated and true.
    """
    names = ("day", "rows", "picked", "why", "what came of them", f"{name_error(kind)} estimated", "of all rows")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in _list_day_cells(step, kind)) for step in steps)
    rows = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _describe_error(steps: ReviewSteps, kind: TaskKind) -> str:
    estimated, true = describe_mean_error(_estimate_steps_error(steps, kind), kind), _compute_true_error(steps)
    covered = [each for each in (_is_covered([step], kind) for step in steps) if each is not None]
    return (
        f"By their answers: {estimated}; by all outcomes {_format_error(true, kind)}. A day's interval holds the true "
        f"one of that day on {sum(covered)} of {format_count(len(covered), 'day')}."
    )


def _estimate_steps_error(steps: ReviewSteps, kind: TaskKind) -> WeightedEstimate:
    """Estimate the mean error of all rows of some days from what people answered."""
    cases = [case for step in steps for case in step["reviews"]["picked"]]
    errors = pl.Series([error for *_, error in cases], dtype=pl.Float64)
    return estimate_error(errors, [chance for chance, *_ in cases], [is_deferred for _, is_deferred, _ in cases], kind)


def _measure_steps_agreement(steps: ReviewSteps, kind: TaskKind) -> Agreement:
    """Measure how far those agree who answered a case each for themselves."""
    return measure_agreement([case for step in steps for case in step["reviews"]["targets"]], kind)


def _compute_true_error(steps: ReviewSteps) -> float:
    """Compute the mean error of all rows of some days with an outcome; NaN without any."""
    known = sum(step["reviews"]["known"] for step in steps)
    return sum(step["reviews"]["error"] for step in steps) / known if known else math.nan


def _describe_reasons(steps: ReviewSteps) -> str:
    """Describe how many cases of some days were picked for which reason, the most frequent first."""
    counts = sum((Counter(step["reviews"]["reasons"]) for step in steps), Counter())
    shown = [f"{reason} {count:,}" for reason, count in counts.most_common(MAX_SHOWN_REASONS)]
    overlap = "; some for several" if counts.total() > sum(step["reviews"]["cases"] for step in steps) else ""
    return ", ".join([*shown, *(["…"] if len(counts) > MAX_SHOWN_REASONS else [])]) + overlap


def _list_day_cells(step: dict[str, Any], kind: TaskKind) -> list[str]:
    review = step["reviews"]
    statuses = ", ".join(f"{status} {count:,}" for status, count in review["statuses"].items())
    estimate, true = _estimate_steps_error([step], kind), _compute_true_error([step])
    cells = [step["day"], f"{step['rows']:,}", f"{review['cases']:,}", _describe_reasons([step]), statuses]
    return [*cells, _format_estimate(estimate, kind), _format_error(true, kind)]


def _is_covered(steps: ReviewSteps, kind: TaskKind) -> bool | None:
    """Whether the interval has the true error; None where one of the two is unknown."""
    estimate, true = _estimate_steps_error(steps, kind), _compute_true_error(steps)
    is_known = estimate.answered and estimate.has_limits and not math.isnan(true)
    return estimate.low <= true <= estimate.high if is_known else None


def _format_estimate(estimate: WeightedEstimate, kind: TaskKind) -> str:
    value, low, high = (_format_error(each, kind) for each in (estimate.value, estimate.low, estimate.high))
    limits = f"(95 %: {low} to {high})" if estimate.has_limits else NO_INTERVAL
    return f"{value} {limits}" if estimate.answered else "none"


def _format_error(value: float, kind: TaskKind) -> str:
    if not math.isfinite(value):
        return "unknown"
    return f"{value:.4g}" if kind == "regression" else f"{100 * value:.1f} %"


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 5)
