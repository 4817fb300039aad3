"""What of a window isn't judged, or not as usual, and why: few rows, few days, labels that haven't come."""

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add

from flows.steps.monitor.measures.watched_model import WatchedModel
from flows.steps.monitor.measures.window_signals import ONE_DAY, WindowSpan
from monitoring.drift.window_drift import ModelProfiles, compute_alarm_budget
from monitoring.faults.expectations import MIN_DAY_ROWS, Expectations
from monitoring.losses.realised_loss import MIN_BAND_DAYS
from monitoring.permutation import count_memory_days, has_enough_days
from monitoring.windows.window_records import WindowLoss
from penumbra.core.histograms import OutcomeSums
from penumbra.core.metrics.losses import ALL_LOSSES, MANY_CLIPPED, describe_clipping
from penumbra.core.settings import MonitorSettings, Settings
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import list_names
from penumbra.core.text.tables import format_number

LARGE_EXCESS = 0.01  # of the reference's mean loss: what the live fit loses more there is said


def list_window_limits(
    settings: Settings,
    model: WatchedModel,
    known: ModelProfiles,
    span: WindowSpan,
    outcomes: Sequence[OutcomeSums],
    before: Sequence[OutcomeSums],
    loss: WindowLoss | None,
    predictions: str,
    shortage: str,
) -> Iterator[str]:
    """List what of a window isn't judged.

    Args:
        settings: The settings' sections `monitor` and `promotion` are read.
        model: The model that answered.
        known: Its daily profiles.
        span: The window's days.
        outcomes: The outcome sums of these days, at least one.
        before: Those of the days before it that are judged together with it.
        loss: The realised loss; None where it isn't known.
        predictions: Why the drift of the predictions isn't judged; "" where it is.
        shortage: Why the loss can't be estimated before the labels arrive; "" where it can.

    Yields:
        A clause each. What the settings switch off isn't named.
    """
    if words := describe_uncounted_rows(model.version, span):
        yield words
    if words := describe_fault_limits(settings.monitor, model, span):
        yield words
    if settings.monitor.on_drift:
        words = _describe_drift_limits(settings.monitor, known, span) or predictions
        yield from [words] if words else []
    if settings.monitor.on_loss and (words := describe_loss_limits(settings, model, outcomes, before)):
        yield words
    if loss is None and shortage:
        yield f"loss can't be estimated without labels: {shortage}"
    if loss and (words := describe_refit_excess(model)):
        yield words
    if loss and loss.clipped > MANY_CLIPPED:
        yield f"loss: {describe_clipping({ALL_LOSSES: loss.clipped}, model.ceiling)}"


def describe_uncounted_rows(version: str, span: WindowSpan) -> str:
    """Describe which of a window's rows are of other versions than the one that answered most.

    Args:
        version: The version that answered most.
        span: The window's days.

    Returns:
        Words; "" where one version answered all.
    """
    if not span.uncounted:
        return ""
    rows, others = format_count(sum(span.uncounted.values()), "row"), list_names(sorted(span.uncounted))
    return f"drift, loss and labels are of version {version} alone: {rows} by version {others} aren't counted"


def describe_refit_excess(model: WatchedModel) -> str:
    """Describe by how much the limits of the loss are raised, as the model is worse than its reference says.

    Args:
        model: The model that answered.

    Returns:
        Words; "" where that is less than one in a hundred of the reference's loss.
    """
    if model.excess <= LARGE_EXCESS * model.losses.mean:
        return ""
    return (
        f"loss: the limit is raised by {format_number(model.excess)}, which the model loses more on the "
        "reference's rows than its recipe did before it learnt from them"
    )


def describe_fault_limits(monitor: MonitorSettings, model: WatchedModel, span: WindowSpan) -> str:
    """Describe what of a window can't be judged for data faults, or not by the day.

    Args:
        monitor: The settings' section `monitor`.
        model: The model that answered, with what is expected of a day.
        span: The window's days.

    Returns:
        Words; "" where each day is judged, or `monitor.on_faults` is off.
    """
    if not monitor.on_faults:
        return ""
    if model.norms is None:
        return "data faults aren't judged: the live model's reference has too few days to say what is normal"
    groups = model.norms.group_days(span.days, span.rows)
    few = [group for group in groups if 0 < span.count_rows(group) < MIN_DAY_ROWS]
    if few and len(few) == sum(span.count_rows(group) > 0 for group in groups):
        return f"data faults aren't judged: {_describe_rows(span, few[-1])}, and it takes {MIN_DAY_ROWS}"
    return "; ".join(_list_group_limits(model.norms, span, groups, few))


def _list_group_limits(
    norms: Expectations, span: WindowSpan, groups: Sequence[list[dt.date]], few: Sequence[list[dt.date]]
) -> Iterator[str]:
    ends = [span.begin - ONE_DAY, *(group[-1] for group in groups)]
    own = [[day for day in group if day > end] for end, group in zip(ends, groups, strict=False)]
    reached = [number for number, group in enumerate(groups) if len(group) > len(own[number]) and group not in few]
    if len(reached) == 1:
        yield f"data faults are judged on {name_days(groups[reached[0]])} together, as a day has too few rows"
    elif reached:
        days = name_days([day for number in reached for day in own[number]])
        yield f"data faults are judged on {days} together with days before, as each has too few rows"
    elif norms.block_days > 1:
        yield f"data faults are judged by {norms.period}, as a day has too few rows"
    if few:
        days = name_days([day for group, days in zip(groups, own, strict=True) if group in few for day in days])
        yield f"data faults aren't judged on {days}: fewer than {MIN_DAY_ROWS} rows"


def name_days(days: Sequence[dt.date]) -> str:
    """Name days.

    Args:
        days: The days, ascending.

    Returns:
        Words: those that follow each other as a span.
    """
    spans: list[list[dt.date]] = []
    for day in days:
        if not spans or day > spans[-1][-1] + ONE_DAY:
            spans.append([])
        spans[-1].append(day)
    return ", ".join(f"{each[0]} to {each[-1]}" if len(each) > 1 else str(each[0]) for each in spans)


def _describe_rows(span: WindowSpan, group: Sequence[dt.date]) -> str:
    rows = span.count_rows(group)
    if group[0] >= span.begin:
        return f"the window has {format_count(rows, 'row')}"
    return f"the window and the days before it have {format_count(rows, 'row')} in {format_count(len(group), 'day')}"


def _describe_drift_limits(monitor: MonitorSettings, known: ModelProfiles, span: WindowSpan) -> str:
    first = span.end - count_memory_days(monitor.window_days) * ONE_DAY
    latest = sum(profile.rows > 0 for day, profile in known.answered.items() if day >= first)
    return describe_day_limits("drift", monitor, latest, sum(day.rows > 0 for day in known.reference.values()))


def describe_day_limits(kind: str, monitor: MonitorSettings, latest: int, reference: int) -> str:
    """Describe that a kind of alarm can't be raised, for lack of days.

    Args:
        kind: "drift" or "loss".
        monitor: The settings' section `monitor`.
        latest: The number of days with rows that are judged: the window's, and those before it.
        reference: The number of the reference's.

    Returns:
        Words; "" where there are days enough.
    """
    if has_enough_days(latest, reference, compute_alarm_budget(monitor)):
        return ""
    return (
        f"{kind} can't be an alarm: the latest {format_count(latest, 'day')} and the {reference} of "
        "the model's reference can be mixed "
        f"in too few ways for one false alarm in {monitor.one_in} windows"
    )


def describe_loss_limits(
    settings: Settings,
    model: WatchedModel,
    outcomes: Sequence[OutcomeSums],
    before: Sequence[OutcomeSums] = (),
) -> str:
    """Describe why a window's loss isn't judged, or not on all of its days.

    Args:
        settings: The settings' sections `monitor` and `promotion` are read.
        model: The model that answered.
        outcomes: The outcome sums of the window's days, at least one.
        before: Those of the days before it that are judged together with it.

    Returns:
        Words, which say where labels that are late have it judged; "" where it is judged on all days with rows.
    """
    whole, counted = reduce(add, outcomes), sum(day.labels > 0 for day in outcomes)
    days = sum(day.rows > 0 for day in outcomes)
    if whole.due < whole.rows:
        return f"loss isn't judged yet: {whole.due:,} of {format_count(whole.rows, 'label is', 'labels are')} due"
    if counted < MIN_BAND_DAYS:
        arrived = f"{whole.arrived:,} of {format_count(whole.due, 'label has', 'labels have')} arrived"
        is_late = whole.arrived < whole.due and days >= MIN_BAND_DAYS
        return (
            f"loss isn't judged: {arrived}, on {format_count(counted, 'day')} enough of them, and it takes "
            f"{MIN_BAND_DAYS} days{' (judged again once the others have)' if is_late else ''}"
        )
    latest = counted + sum(day.labels > 0 for day in before)
    if words := describe_day_limits("loss", settings.monitor, latest, len(model.losses.sums)):
        return words
    if counted < days:
        few = f"fewer than {settings.promotion.coverage:.0%} of the labels have arrived"
        return f"loss is judged on {counted} of {format_count(days, 'day')}: on the others {few}"
    return ""
