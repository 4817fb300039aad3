"""The days that nothing is learnt from in words: how many, why, and what to do about them."""

import json
import re
from collections.abc import Sequence
from itertools import chain, zip_longest

from flows.steps.train.exclusions.excluded_days import ExcludedDays
from penumbra.core.text.counts import format_count, format_share

SHOWN_FAULTS, SHOWN_DAYS = 3, 7
MUCH = 0.1  # of the rows: so many rarely have faults
FIGURE = re.compile(r"""(?<![\w.'"-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w'"-]|\.\d)""")  # of no name, date or quoted value


def describe_excluded_days(days: ExcludedDays, share: float = 0.0, on_faults: bool = True) -> str:
    """Describe the excluded days, how ever many, in two lines.

    Args:
        days: What `find_excluded_days` returned.
        share: The share of the rows with an outcome that are of these days, from 0 to 1.
        on_faults: The setting `monitor.on_faults`: whether faults were looked for.

    Returns:
        How many days and rows are left out and why, where all of them are listed, and what to do about them; "" if
        there are none, or that the check was skipped.
    """
    if not on_faults:
        return "No day was looked at for data faults: monitor.on_faults = false."
    if not days:
        return ""
    first, last = min(days), max(days)
    span = (
        f"a day with data faults, {last}"
        if len(days) == 1
        else f"{format_count(len(days), 'day')} with data faults, {first} to {last}"
    )
    much = "that is much: see first whether these are faults. " if share > MUCH else ""
    return (
        f"Nothing is learnt from {format_share(share)} of the rows, {span}: {_summarise_faults(days)}\n"
        f"Next: {much}`penumbra quarantine` lists them. What was mended comes by `penumbra ingest --again`; what is no "
        "fault is accepted by its date, by the name of its column on all days, or by both: of these all by "
        f"monitor.accept = {json.dumps(_list_accepting_phrases(days))} in settings.toml."
    )


def _list_accepting_phrases(days: ExcludedDays) -> list[str]:
    """What `monitor.accept` would need for all faults: the days where they are few, else the columns."""
    if len(days) <= SHOWN_DAYS:
        return sorted(days)
    columns = {column for faults in days.values() for column, _ in faults if column}
    return [*sorted(columns), *(day for day, faults in sorted(days.items()) if any(not column for column, _ in faults))]


def _summarise_faults(days: ExcludedDays) -> str:
    """The faults that most days have, each once with the range of its figures, and on how many days if not on all."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for _, text in chain.from_iterable(days.values()):
        alike.setdefault(tuple(FIGURE.split(text)), []).append(text)
    kinds = sorted(alike.items(), key=lambda kind: -len(kind[1]))
    shown = [
        _merge_figures(words, texts) + (f" on {len(texts)} of them" if len(texts) < len(days) else "")
        for words, texts in kinds[:SHOWN_FAULTS]
    ]
    return "; ".join([*shown, *([f"and {len(kinds) - SHOWN_FAULTS} more"] if len(kinds) > SHOWN_FAULTS else [])])


def _merge_figures(words: Sequence[str], texts: Sequence[str]) -> str:
    """One text for several that differ in their figures alone: "40 to 100% of amount is missing"."""
    columns = zip(*(FIGURE.findall(text) for text in texts), strict=True)
    ordered = [sorted(set(figures), key=lambda each: float(each.replace(",", ""))) for figures in columns]
    ranges = [figures[0] if len(figures) == 1 else f"{figures[0]} to {figures[-1]}" for figures in ordered]
    return "".join(chain.from_iterable(zip_longest(words, ranges, fillvalue="")))


def list_excluded_spans(days: ExcludedDays) -> str:
    """List the excluded days, those on end with the same faults in one line.

    Args:
        days: What `find_excluded_days` returned.

    Returns:
        A line for each span of days, under one that says how many they are; "" if there are none.
    """
    spans: list[tuple[list[str], list[str]]] = []
    for day, found in sorted(days.items()):
        faults = [text for _, text in found]
        if not spans or spans[-1][1] != faults:
            spans.append(([], faults))
        spans[-1][0].append(day)
    lines = [f"  {_name_span(each)}: {'; '.join(faults)}" for each, faults in spans]
    return (
        "\n".join([f"Left out of training for data faults: {format_count(len(days), 'day')}", *lines]) if days else ""
    )


def _name_span(days: list[str]) -> str:
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]} ({format_count(len(days), 'day')})"
