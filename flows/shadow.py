"""`make shadow`: who is in the shadow, how much of the traffic each has answered, and how far it agrees with the live
model."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from flows.labels import table
from flows.printing import show
from settings import Settings
from stores import log
from stores.pointers import in_shadow
from stores.shadow import METRICS, OK, REFUSED, ROLES, Progress, last_state

STALE_SECONDS = 10.0
USUAL_BYTES = 600  # of a logged prediction, as long as nothing is known


def report(chosen: Settings) -> Iterator[str]:
    """The paragraphs to print."""
    state, models = chosen.service.state, last_state(chosen.service.shadow, repair=False).models
    places = [(role, version) for role in ROLES if (version := in_shadow(state, role))]
    known = [(role, version, models[version]) for role, version in places if version in models]
    if known:
        yield table(pl.DataFrame([_row(chosen.service.predictions, *each) for each in known]))
        yield from (_failures(version, progress) for _, version, progress in known if set(progress.statuses) - {OK})
    else:
        yield "Nobody is in the shadow: a candidate is from `make train` on, the previous model after a promotion."
    if refused := _read(state / REFUSED):
        version, _, reason = refused.partition("\n")
        yield f"Version {version} is refused: {reason}"
    yield _heartbeat(chosen)


def _row(predictions: Path, role: str, version: str, progress: Progress) -> dict[str, Any]:
    done = sum(progress.statuses.values())
    left = sum(_left(progress, path.stem, size) for path, size in log.sizes(predictions).items())
    waiting = round(left / (progress.bytes / done if done else USUAL_BYTES))
    answered = progress.statuses.get(OK, 0)
    return {
        "role": role,
        "version": version,
        "since": f"{progress.began:%Y-%m-%d %H:%M}",
        "answered": answered,
        "not answered": done - answered,
        "waiting": waiting,
        "coverage": _percent(answered, done + waiting),
        "mean difference": f"{progress.difference / progress.compared:.4f}" if progress.compared else "",
        "other decisions": _percent(progress.differing, progress.decided),
    }


def _left(progress: Progress, segment: str, size: int) -> int:
    return sum(end - start for spans in progress.todo(segment, size) for start, end in spans)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _failures(version: str, progress: Progress) -> str:
    counts = [f"{count:,} {status}" for status, count in sorted(progress.statuses.items()) if status != OK]
    return f"Version {version} gave no answer: {', '.join(counts)}. Each has its reason in the shadow log."


def _heartbeat(chosen: Settings) -> str:
    if not chosen.shadow.enabled:
        return "The shadow is off (shadow.enabled in settings.toml)."
    try:
        age = time.time() - (chosen.service.shadow / METRICS).stat().st_mtime
    except OSError:
        return "The shadow has not run yet: `make serve` starts it."
    if age > STALE_SECONDS:
        return f"The shadow isn't running: it last looked for work {age:,.0f} s ago."
    return "The shadow is running."


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


if __name__ == "__main__":
    show(report)
