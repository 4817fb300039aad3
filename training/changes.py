"""What differs between two runs: in data, code, settings, environment and parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

from training.summary import span

Facts = Mapping[str, Any]


def changes(before: Facts, after: Facts) -> list[str]:
    """A sentence for each kind of difference between the facts of two runs; none where all is the same."""
    return [*_data(before, after), *_code(before, after), *_values(before, after)]


def _data(before: Facts, after: Facts) -> Iterator[str]:
    if before["data_version"] != after["data_version"]:
        yield f"data: version {before['data_version'][:8]} → {after['data_version'][:8]}"
    for part in ("train", "validation", "test"):
        old, new = before.get(part) or [], after.get(part) or []
        if old != new:
            yield f"{part} batches: {_span(old)} → {_span(new)}"


def _code(before: Facts, after: Facts) -> Iterator[str]:
    old, new = before["files"], after["files"]
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if changed:
        yield f"code: {', '.join(changed)} (git diff {_commit(before)} {_commit(after)} -- {' '.join(changed)})"


def _values(before: Facts, after: Facts) -> Iterator[str]:
    for title in ("candidate", "parameters", "settings", "environment"):
        old, new = _flat(before[title], title), _flat(after[title], title)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield f"{name}: {_shown(old.get(name))} → {_shown(new.get(name))}"


def _flat(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: value}
    return {key: each for part, inner in value.items() for key, each in _flat(inner, f"{name}.{part}").items()}


def _commit(facts: Facts) -> str:
    return str(facts["revision"])[:10]


def _span(batches: list[str]) -> str:
    return span(batches) if batches else "none"


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)
