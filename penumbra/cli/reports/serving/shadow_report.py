"""The models in the shadow: how much of the traffic each has answered, and how far it agrees with the live model."""

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.tables import format_table
from penumbra.logs.lag import METRICS_FILE, measure_backlog
from penumbra.logs.lag_alarms import list_lag_alarms
from penumbra.logs.schema import STATUS_OK
from penumbra.logs.shadow.shadow_log import load_shadow_state
from penumbra.logs.shadow.shadow_state import ShadowProgress
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.pointers import CANDIDATE_ALIAS, read_refusal, read_shadow_versions

MAX_HEARTBEAT_AGE_SECONDS = 10.0
KEEP_COLLECTING = "keep collecting"


def report_shadow(settings: Settings) -> Iterator[str]:
    """Report on the shadow for people.

    Args:
        settings: Sections [service], [shadow] and [ledger] are read.

    Yields:
        Paragraphs.
    """
    present = _list_present_models(settings)
    if present:
        yield format_table(pl.DataFrame([_build_role_row(settings.service.predictions, *model) for model in present]))
        for model in present:
            yield from _explain_progress(*model)
            yield from _quote_last_verdict(settings, *model)
    else:
        yield (
            "Nobody is in the shadow: while the service runs, it takes the candidate of a training into it, and the "
            "previous model after a promotion."
        )
    version, reason = read_refusal(settings.service.state)
    if version:
        yield f"Version {version} is refused: {reason}"
    yield _describe_heartbeat(settings)
    yield from list_lag_alarms(settings, read_shadow_versions(settings.service.state), dt.datetime.now(dt.UTC))


def collect_shadow_roles(settings: Settings) -> dict[str, Any]:
    """Collect what is known of the shadow, for machines.

    Args:
        settings: Sections [service] and [shadow] are read.

    Returns:
        "models" (a row for each role, as in the report), "refused" (version and reason, "" for nobody) and "state" (a
        sentence), in types of JSON.
    """
    models = [_build_role_row(settings.service.predictions, *model) for model in _list_present_models(settings)]
    refused = "\n".join(read_refusal(settings.service.state)).strip()
    return {"models": models, "refused": refused, "state": _describe_heartbeat(settings)}


def _list_present_models(settings: Settings) -> list[tuple[str, str, ShadowProgress]]:
    """List role, version and progress of each model that is in the shadow."""
    models = load_shadow_state(settings.service.shadow_log, repair=False).models
    roles = read_shadow_versions(settings.service.state)
    return [(role, version, models[version]) for role, version in roles.items() if version in models]


def _build_role_row(predictions: Path, role: str, version: str, progress: ShadowProgress) -> dict[str, Any]:
    scored = sum(progress.statuses.values())
    waiting = sum(lag.rows for lag in measure_backlog(predictions, progress))
    answered = progress.statuses.get(STATUS_OK, 0)
    return {
        "role": role,
        "version": version,
        "since": f"{progress.began:%Y-%m-%d %H:%M}",
        "answered": answered,
        "not answered": scored - answered,
        "waiting": waiting,
        "coverage": _format_percent(answered, scored + waiting),
        "compared": progress.compared,
        "mean difference": f"{progress.difference / progress.compared:.4g}" if progress.compared else "",
        "other decisions": _format_percent(progress.differing, progress.decided),
    }


def _format_percent(part: int, total: int) -> str:
    return format_share(part / total) if total else ""


def _explain_progress(role: str, version: str, progress: ShadowProgress) -> Iterator[str]:
    answered = progress.statuses.get(STATUS_OK, 0)
    if set(progress.statuses) - {STATUS_OK}:
        yield _format_failures(version, progress)
    if answered and not progress.compared:
        yield (
            f"Version {version} can be compared on none of {format_count(answered, 'row')}: a rule or a "
            "fallback had a say in each."
        )
    if not progress.statuses:
        yield (
            f"Version {version} has answered nothing yet: it answers what others than itself are asked from "
            f"{progress.began:%Y-%m-%d %H:%M} UTC on, and what they were asked in the hours before."
        )


def _quote_last_verdict(settings: Settings, role: str, version: str, progress: ShadowProgress) -> Iterator[str]:
    """What the last pass of `penumbra promote` said of a candidate, and what it waits for."""
    entries = open_ledger(settings).entries() if role == CANDIDATE_ALIAS else []
    said = [entry for entry in entries if entry.kind == "verdict" and entry.versions.get(role) == version]
    if said and said[-1].verdict == KEEP_COLLECTING:
        head = f"Version {version} at {said[-1].time:%Y-%m-%d %H:%M} UTC (`penumbra promote`): {said[-1].reason}."
        yield "\n  - ".join([head, *said[-1].details])


def _format_failures(version: str, progress: ShadowProgress) -> str:
    counts = [f"{count:,} {status}" for status, count in sorted(progress.statuses.items()) if status != STATUS_OK]
    return f"Version {version} gave no answer: {', '.join(counts)}. Each has its reason in the shadow log."


def _describe_heartbeat(settings: Settings) -> str:
    if not settings.shadow.enabled:
        return "The shadow is off (shadow.enabled in settings.toml)."
    try:
        age = time.time() - (settings.service.shadow_log / METRICS_FILE).stat().st_mtime
    except OSError:
        return "The shadow has not run yet: `make serve` starts it."
    if age > MAX_HEARTBEAT_AGE_SECONDS:
        return f"The shadow isn't running: it last looked for work {age:,.0f} s ago."
    return "The shadow is running."
