"""`problem/features.py` and `problem/slices.py`: what the model reads of a row, and where it is looked at closely."""

from collections.abc import Mapping

import polars as pl

from penumbra.drafting.draft import CALENDAR_KINDS, DraftColumn, FeatureKind, ProblemDraft
from penumbra.drafting.files.python_code import Brackets, Code, format_code, format_value

KIND_NAMES: Mapping[FeatureKind, str] = {
    "number": "Number",
    "category": "Category",
    "clock": "ClockMinutes",
    "hour": "Hour",
    "weekday": "Weekday",
    "month": "Month",
}
DOCSTRING = '"""A row\'s model inputs, each defined once. Nothing here may be known only later."""\n'
MAX_SLICES, MAX_SLICE_VALUES = 4, 12  # of those that are written unasked


def render_features(draft: ProblemDraft) -> str:
    """Write `problem/features.py`.

    Args:
        draft: The draft, in which at least one column has a feature.

    Returns:
        The file's text.
    """
    features = [_write_feature(column, kind) for column in draft.columns for kind in column.features]
    kinds = {KIND_NAMES[kind] for column in draft.columns for kind in column.features}
    lines = [
        DOCSTRING,
        f"from penumbra.features import {', '.join(sorted({'Feature', *kinds}))}",
        "",
        format_code(Brackets("FEATURES: tuple[Feature, ...] = (", features, is_spread=True)),
        "",
    ]
    return "\n".join(lines)


def _write_feature(column: DraftColumn, kind: FeatureKind) -> Code:
    zone = [format_value(column.time_zone or "UTC")] if kind in CALENDAR_KINDS else []
    return Brackets(f"{KIND_NAMES[kind]}(", [format_value(column.name), *zone])


def render_slices(draft: ProblemDraft) -> str:
    """Write `problem/slices.py`.

    Args:
        draft: The draft.

    Returns:
        The file's text; "" where no column has a few values that are known beforehand.
    """
    slices = [_write_slice(column) for column in draft.columns if _is_sliced(column)][:MAX_SLICES]
    if not slices:
        return ""
    docstring = '"""Where a model is looked at more closely: groups of rows whose scores are shown by themselves."""'
    written = format_code(Brackets("SLICES = {", slices, "}", is_spread=len(slices) > 1))
    return f"{docstring}\n\nimport polars as pl\n\n{written}\n"


def _is_sliced(column: DraftColumn) -> bool:
    has_few_values = column.dtype == pl.Boolean or 1 < len(column.categories) <= MAX_SLICE_VALUES
    return bool(column.features) and has_few_values


def _write_slice(column: DraftColumn) -> Code:
    name = format_value(column.name)
    return f"{name}: pl.col({name}).cast(pl.String)"
