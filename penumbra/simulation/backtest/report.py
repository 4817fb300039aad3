"""What a backtest came to: the table, the picture, the settings that it recommends, and the line for machines."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from penumbra.core.metrics.loss_names import describe_loss_name
from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count
from penumbra.core.text.intervals import format_limits, format_signed
from penumbra.core.text.tables import align_columns, format_number
from penumbra.simulation.backtest.policies import ModelFit
from penumbra.simulation.backtest.trials import UNTRAINED_POLICY, PolicyResult
from penumbra.training.evaluation import charts

RESULT_HEADER = ["[95 %]", "than weekly", "[95 %]", "retrained", "promoted", "for worse", "rejected", "rolled back"]
RESULT_HEADER += ["from better", "CPU s"]


def format_result_table(results: Sequence[PolicyResult], standard: PolicyResult, loss: str) -> str:
    """Format the table of results.

    Args:
        results: The results of trials.
        standard: The one that the others are compared with.
        loss: The name of the loss, such as "log_loss".

    Returns:
        A line for each policy; intervals are over days, mistakes in hindsight.
    """
    return align_columns(
        [["", describe_loss_name(loss), *RESULT_HEADER], *(_format_cells(result, standard) for result in results)]
    )


def format_backtest_title(standard: PolicyResult, first: dt.date) -> str:
    """Format the title: the days from `first` (day 0) on that `standard` served, and their rows; returns a line."""
    days = np.unique(standard.days)
    begin, end = (first + dt.timedelta(days=int(day)) for day in (days[0], days[-1]))
    return f"{begin} to {end}: {format_count(len(days), 'day')}, {format_count(len(standard.days), 'row')} with a label"


def write_backtest_picture(
    results: Sequence[PolicyResult], standard: PolicyResult, first: dt.date, folder: Path
) -> Path:
    """Write the picture as SVG and as PNG.

    Args:
        results: The results of trials.
        standard: The one that the others are compared with.
        first: The date of day 0.
        folder: Where the pictures are written.

    Returns:
        The path of the SVG.
    """
    from vl_convert import vegalite_to_png, vegalite_to_svg

    spec, path = build_backtest_picture(results, standard, first), folder / "backtest.svg"
    path.write_text(vegalite_to_svg(spec))
    path.with_suffix(".png").write_bytes(vegalite_to_png(spec, scale=2))
    return path


def _format_cells(result: PolicyResult, standard: PolicyResult) -> list[str]:
    count, more = result.run.count, ["", ""]
    if result is not standard:
        beyond = result.loss_difference(standard)
        more = [format_signed(beyond.value), format_limits(beyond.low, beyond.high, format_signed)]
    loss = result.loss
    happened = count("retrain"), count("promote"), result.false_promotions
    undone = count("reject"), count("roll back"), result.false_rollbacks
    figures = [f"{each}" for each in (*happened, *undone)]
    limits = format_limits(loss.low, loss.high)
    return [result.name, format_number(loss.value), limits, *more, *figures, f"{result.cpu_seconds:.0f}"]


def describe_equal_results(results: Sequence[PolicyResult]) -> str:
    """Describe which policies had the same models answer on the same days, as their rows in the table are equal.

    Args:
        results: The results of trials.

    Returns:
        A line for each group of such policies, under one that says what they have in common; "" if there are none.
    """
    groups: dict[tuple[tuple[int, ModelFit], ...], list[str]] = {}
    for result in results:
        groups.setdefault(tuple(result.run.served.items()), []).append(" ".join(result.name.split()))
    lines = [f"  {' = '.join(names)}" for names in groups.values() if len(names) > 1]
    return "\n".join(["By these policies the same models answered on the same days:", *lines]) if lines else ""


def recommend_policy(
    results: Sequence[PolicyResult], standard: PolicyResult, settings: Settings
) -> PolicyResult | None:
    """Recommend a policy.

    Of the tested policies without a false rollback that lose at most the tolerance more than the standard it is the one
    with the longest look in the shadow, then the one with the fewest retrainings.

    Args:
        results: The results of trials.
        standard: Weekly retraining.
        settings: Sections [backtest] (`tolerance`) and [promotion] (`shadow_days`) are read.

    Returns:
        Its result; None if there is none, or it retrains as often as the standard.
    """
    most = standard.loss.value * (1 + settings.backtest.tolerance)
    fit = [r for r in results if r.trial.policy.tested and not r.false_rollbacks and r.loss.value <= most]
    best = min(fit, key=lambda r: (-_shadow_days(r, settings), r.run.count("retrain"), r.loss.value), default=None)
    return best if best and best.run.count("retrain") < standard.run.count("retrain") else None


def format_advice(results: Sequence[PolicyResult], standard: PolicyResult, settings: Settings) -> str:
    """Describe the recommended settings, why, and whether a plain schedule does better.

    Args:
        results: The results of trials.
        standard: Weekly retraining.
        settings: As for `recommend_policy`.

    Returns:
        Some lines.
    """
    tolerance, best = settings.backtest.tolerance, recommend_policy(results, standard, settings)
    if best is None:
        beaten = f"No policy with a promotion test comes within {tolerance:.1%} of weekly retraining with less work and"
        return "\n".join([f"{beaten} no false\nrollback.", *_describe_untested(standard, results)])
    return "\n".join(
        [
            _format_settings(best, settings),
            _explain_choice(best, standard, tolerance),
            *_describe_untested(best, results),
        ]
    )


def _format_settings(best: PolicyResult, settings: Settings) -> str:
    policy = best.trial.policy
    alarms = f"on_drift = {policy.on_drift}, on_loss = {policy.on_loss}".lower()
    monitor = f"every_days = {policy.every_days}, {alarms}, cooldown_days = {policy.cooldown_days}"
    learnt = f", learning from the last {policy.learn_days} days" if policy.learn_days else ""
    return f"Recommended: [monitor] {monitor}; [promotion] shadow_days = {_shadow_days(best, settings)}{learnt}."


def _explain_choice(best: PolicyResult, standard: PolicyResult, tolerance: float) -> str:
    beyond, work = best.loss_difference(standard), [each.run.count("retrain") for each in (best, standard)]
    return (
        f"Of all tested policies within {tolerance:.1%} of weekly retraining and without a false rollback it has the "
        f"longest\nlook in the shadow, and then the fewest retrainings: {work[0]} where weekly has {work[1]}, for "
        f"{beyond.format_difference()} a row."
    )


def _describe_untested(best: PolicyResult, results: Sequence[PolicyResult]) -> list[str]:
    """Return lines on the untested policy that does better with the fewest retrainings, [] if none does."""
    plain = [r for r in results if not r.trial.policy.tested and r.loss.value < best.loss.value]
    if not plain:
        return []
    first = min(plain, key=lambda r: r.run.count("retrain"))
    retrains, promotions = (first.run.count(what) for what in ("retrain", "promote"))
    losses = f"{format_number(first.loss.value)} where {best.name} has {format_number(best.loss.value)}"
    if not retrains:
        return [f"Never retraining does better on these days: {losses}."]
    return [
        f'"{first.name}", which has no promotion test, does better on these days: {losses}, with '
        f"{format_count(retrains, 'retraining')}.",
        f"{first.false_promotions} of its {promotions} promotions were for the worse, and nothing would have kept "
        "out a broken model.",
    ]


def _shadow_days(result: PolicyResult, settings: Settings) -> int:
    return int(result.trial.promotion.get("shadow_days", settings.promotion.shadow_days))


def format_results_json(results: Sequence[PolicyResult], loss: str) -> str:
    """Format results as JSON.

    Args:
        results: The results of trials.
        loss: The name of the loss, such as "log_loss".

    Returns:
        One object with an object for each policy by its name, whose mean loss stands under the loss's name.
    """
    return json.dumps(
        {
            r.name: {
                loss: round(r.loss.value, 5),
                "retrains": r.run.count("retrain"),
                "promotions": r.run.count("promote"),
                "cpu_s": round(r.cpu_seconds, 1),
            }
            for r in results
        }
    )


def build_backtest_picture(
    results: Sequence[PolicyResult], standard: PolicyResult, first: dt.date
) -> charts.VegaLiteSpec:
    """Build the picture: the mean loss since the beginning less that of never retraining, and the differences.

    Args:
        results: The results of trials, "never" among them.
        standard: The one that the others are compared with.
        first: The date of day 0.

    Returns:
        A Vega-Lite specification.
    """
    never = next(result for result in results if result.name == UNTRAINED_POLICY)
    points = [point for result in results for point in _cumulative_gain(result, never, first)]
    ends = [
        {"slice": r.name, "model": r.name, "value": beyond.value, "low": beyond.low, "high": beyond.high}
        for r in results
        if r is not standard
        for beyond in [r.loss_difference(standard)]
    ]
    title = "Loss a row since the beginning, less that of never retraining"
    return charts.stack_charts(
        charts.build_time_chart(title, points, "policy", "loss a row, less never's"),
        charts.build_slice_chart(
            f"Loss a row more than {standard.name}, with 95 % intervals over days",
            ends,
            "policy",
            f"loss a row, less {standard.name}'s",
        ),
    )


def _cumulative_gain(result: PolicyResult, never: PolicyResult, first: dt.date) -> list[dict[str, object]]:
    days, positions = np.unique(result.days, return_inverse=True)
    gain = np.bincount(positions, result.losses - never.losses).cumsum() / np.bincount(positions).cumsum()
    dates = [(first + dt.timedelta(days=int(day))).isoformat() for day in days]
    return [
        {"model": result.name, "date": date, "value": value} for date, value in zip(dates, gain.tolist(), strict=True)
    ]
