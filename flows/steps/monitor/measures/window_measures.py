"""The measures of a window: its record but for the verdict, which depends on earlier windows and on the ledger.

Windows can be measured side by side; they are judged one after the other (flows/steps/monitor/due_windows.py).
"""

import datetime as dt
from dataclasses import dataclass, replace

import polars as pl

from flows.steps.monitor.measures import late_labels, window_limits, window_signals
from flows.steps.monitor.measures.attribution_drift import measure_attribution_drift
from flows.steps.monitor.measures.drift_signals import measure_drift, read_model_profiles
from flows.steps.monitor.measures.group_differences import measure_group_differences
from flows.steps.monitor.measures.outcomes import OutcomeReader
from flows.steps.monitor.measures.watched_model import WatchedModel
from flows.steps.monitor.measures.window_signals import WindowSpan, get_day_start
from flows.steps.monitor.monitor_pass import MonitorPass
from monitoring.windows.recurring_faults import describe_faults
from monitoring.windows.response import WindowSignals
from monitoring.windows.window_records import Window
from penumbra.core.text.counts import format_count
from penumbra.logs.daily.shadow_profiles import ShadowProfileStore
from penumbra.logs.replicas.heartbeats import ReplicaCoverage
from penumbra.registry.bundles.manifest import UnfitBundle
from penumbra.registry.pointers import CANDIDATE_ALIAS


@dataclass(frozen=True)
class MeasuredWindow:
    """A window that waits for its verdict.

    Attributes:
        window: Its record, with an empty verdict and reason.
        signals: What it showed, but for whether there is data to learn from.
        data_version: The data version that its model was made from.
    """

    window: Window
    signals: WindowSignals
    data_version: str


def measure_window(monitor_pass: MonitorPass, rows: pl.DataFrame, begin: dt.date) -> MeasuredWindow | str:
    """Measure a window.

    Args:
        monitor_pass: What is read from.
        rows: The number of rows by day and model, as `count_daily_answers` returns it.
        begin: The first day of a window that has rows.

    Returns:
        The measures; or why there are none, in words.

    Raises:
        BrokenBundle: The bundle of its model is damaged.
        MlflowException: The registry can't be read.
    """
    end = begin + dt.timedelta(days=monitor_pass.settings.monitor.window_days)
    answered = _count_answers(rows, begin, end)
    name, *others = answered
    try:
        model = monitor_pass.model(name)
    except UnfitBundle as reason:
        return str(reason)
    uncounted = {other: answered[other] for other in others}
    return _measure_span(
        monitor_pass, model, WindowSpan(begin, end, monitor_pass.now, sum_rows_by_day(rows), uncounted)
    )


def sum_rows_by_day(rows: pl.DataFrame) -> dict[dt.date, int]:
    """Sum the numbers of rows of all models.

    Args:
        rows: The number of rows by day and model, as `count_daily_answers` returns it.

    Returns:
        The number of rows of each day that has any.
    """
    return dict(rows.group_by("day").agg(pl.col("rows").sum()).iter_rows())


def _count_answers(rows: pl.DataFrame, begin: dt.date, end: dt.date) -> dict[str, int]:
    """The rows of the window that each model answered; the window is of the first one, which answered most."""
    within = rows.filter(pl.col("day") >= begin, pl.col("day") < end)
    found = within.group_by("model").agg(pl.col("rows").sum()).sort("rows", "model", descending=True)
    return dict(found.iter_rows())


def _measure_span(monitor_pass: MonitorPass, model: WatchedModel, span: WindowSpan) -> MeasuredWindow:
    settings, estimate = monitor_pass.settings, monitor_pass.unlabelled.begin_estimate(model, span)
    shadow = ShadowProfileStore(settings.monitor.folder, monitor_pass.index)
    known = read_model_profiles(shadow, monitor_pass.profiles, model, span)
    drift, unjudged = measure_drift(settings.monitor, known, span)
    reader = OutcomeReader(settings, monitor_pass.index, model, known.binning, span)
    memory = window_signals.find_memory_span(settings.monitor, known, span)
    before, outcomes = replace(reader, span=memory).outcomes(), reader.outcomes()
    losses = window_signals.measure_losses(settings, outcomes, before, model, known.binning)
    recent = dict(zip([*memory.days, *span.days], [*before, *outcomes], strict=True))
    faults = list(window_signals.list_window_faults(settings.monitor, monitor_pass.index, model, span))
    candidate = (monitor_pass.models.aliases() or {}).get(CANDIDATE_ALIAS)
    shortage = monitor_pass.unlabelled.describe_shortage(model)
    limits = list(
        window_limits.list_window_limits(
            settings, model, known, span, outcomes, before, losses["loss"], unjudged, shortage
        )
    )
    limits += _describe_missing(monitor_pass.coverage, span)
    window = Window(
        begin=span.begin,
        end=span.end,
        model=model.version,
        rows=span.count_rows(span.days) - sum(span.uncounted.values()),
        verdict="",
        reason="",
        judged=span.now,
        shadow=window_signals.measure_disagreement(monitor_pass.index, candidate, model, span),
        faults=faults,
        explanation=monitor_pass.explainer.explain(model, known, span, recent, {**drift, **losses}),
        limits=limits,
        awaited=late_labels.list_awaited_days(reader, outcomes),
        groups=measure_group_differences(span.days, outcomes, model, settings.gate.fairness_limit),
        attributions=measure_attribution_drift(
            monitor_pass.index, model.version, model.attributions, span.begin, span.end
        ),
        estimated=estimate(),
        **drift,
        **losses,
    )
    return MeasuredWindow(window, _read_signals(window, model.age(span.end)), str(model.facts.get("data_version", "")))


def _read_signals(window: Window, age: int | None) -> WindowSignals:
    drift, nearest = window.drift, window.loss and window.loss.nearest
    return WindowSignals(
        faults=list(describe_faults(window.faults).values()),
        column=drift.column if drift else "",
        ratio=drift.ratio if drift else None,
        stretch=window.drift_stretch,
        loss=nearest.mean if nearest else None,
        threshold=nearest.threshold if nearest else None,
        loss_stretch=window.loss_stretch,
        model=window.model,
        age=age,
        limits=window.limits,
    )


def _describe_missing(coverage: ReplicaCoverage | None, span: WindowSpan) -> list[str]:
    """What a window lacks as a replica was lost with it."""
    begin, end = get_day_start(span.begin), get_day_start(span.end)
    if coverage is None or not coverage.list_lost_within(begin, end):
        return []
    if missing := coverage.count_missing(begin, end):
        return [
            f"{format_count(missing, 'answer is', 'answers are')} missing, which replicas that were lost had "
            "not shipped yet"
        ]
    return ["what replicas that were lost answered after their last heartbeat is missing"]
