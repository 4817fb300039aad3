"""Drift of a window as its record has it, from the kept daily profiles."""

from typing import Any

from flows.steps.monitor.measures.watched_model import WatchedModel
from flows.steps.monitor.measures.window_signals import ONE_DAY, WindowSpan
from monitoring.drift.window_drift import ModelProfiles, compute_alarm_budget, compute_window_drift
from monitoring.permutation import count_memory_days
from monitoring.windows.window_records import LargestDrift, ScoreReference
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import select_profile_columns
from penumbra.core.settings import MonitorSettings
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.daily.shadow_profiles import ShadowProfileStore


def measure_drift(monitor: MonitorSettings, known: ModelProfiles, span: WindowSpan) -> tuple[dict[str, Any], str]:
    """Measure the drift of a window.

    Args:
        monitor: The settings' section `monitor`.
        known: The profiles of the model that answered, as `read_model_profiles` returns them.
        span: The window's days.

    Returns:
        The fields `columns`, `prediction`, `compared` and `drift` of the window's record, empty where too few days are
        known; and why the predictions aren't judged, "" where they are.
    """
    found = compute_window_drift(known, span.begin, monitor.window_days, compute_alarm_budget(monitor))
    said, largest = found.result.prediction, found.result.largest
    if largest is None:
        return {}, found.limits
    live = [day for day in found.scored if day in known.answered]
    fields = {
        "columns": found.result.columns,
        "prediction": said,
        "compared": ScoreReference(found.scored[0], found.scored[-1], len(found.scored), len(live)) if said else None,
        "drift": LargestDrift(found.result.ratio, found.result.column, largest.days, largest.shift),
    }
    return fields, found.limits


def read_model_profiles(
    shadow: ShadowProfileStore, profiles: ProfileStore, model: WatchedModel, span: WindowSpan
) -> ModelProfiles:
    """Read what a window of a model is judged for drift by.

    Args:
        shadow: The profiles of what models said in the shadow.
        profiles: The daily profiles of answers and references.
        model: The model.
        span: The window's days.

    Returns:
        The model's profiles of its first days and of the latest. The days of the shadow are those up to the first that
        the model answered, and none where it is unknown what it learnt from.
    """
    binning, reference = profiles.binning(model.version), profiles.reference(model.version)
    own = [day for day in profiles.days(model.version) if day < span.end and (not model.learnt or day > model.learnt)]
    length = span.end - span.begin
    first = own[: max(len(reference), length.days)]
    latest = span.end - count_memory_days(length.days) * ONE_DAY
    answered = profiles.window(latest, span.end, model.version)
    if first:
        answered |= profiles.window(first[0], min(first[-1] + ONE_DAY, latest), model.version)
    said = select_profile_columns(answered, binning, [PREDICTION_COLUMN])
    scored = {day: each for day, each in said.items() if not model.learnt or day > model.learnt}
    if model.learnt:
        before = shadow.read(model.version, binning, model.learnt + ONE_DAY, min(own, default=span.end) + ONE_DAY)
        scored |= {day: each + scored[day] if day in scored else each for day, each in before.items()}
    return ModelProfiles(binning, reference, answered, scored)
