"""What stands for the names and files that `problem/` leaves out, computed from its schema."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import dataframely as dy
import msgspec
import polars as pl
import polars.selectors as cs
from dataframely.random import Generator

from penumbra.core.problem import ProblemSchema, list_sensitive_columns
from penumbra.features import Category, Feature, Number

OPTIONAL_FILES = ("features", "slices", "rules")
CATEGORY_DTYPES = (pl.String, pl.Enum, pl.Categorical, pl.Boolean)
EXAMPLE_TIME, EXAMPLE_SEED, EXAMPLE_DRAWS = dt.datetime(2024, 3, 1, 12), 1, 100


def build_default_features(schema: ProblemSchema) -> tuple[Feature, ...]:
    """Make a feature of each column of `Row` but its key, its time and what is sensitive.

    Args:
        schema: The problem's schema.

    Returns:
        Numbers as `Number`, text, Enums and Booleans as `Category`; dates, times and what is nested are left out, and
        what `SENSITIVE` reads.
    """
    left_out = {schema.TIME, *schema.Row.primary_key(), *list_sensitive_columns(schema)}
    dtypes = {name: column.dtype for name, column in schema.Row.columns().items() if name not in left_out}
    kinds = {name: Number if dtype.is_numeric() else Category for name, dtype in dtypes.items() if _is_input(dtype)}
    return tuple(kind(name) for name, kind in kinds.items())


def sample_example(schema: ProblemSchema) -> dict[str, Any]:
    """Draw a record that keeps the contract, at noon of a fixed day where the contract allows that.

    Args:
        schema: The problem's schema.

    Returns:
        JSON values by column of `Row`, the same ones every time; empty where none is found that keeps all rules.
    """
    for times in ({schema.TIME: [EXAMPLE_TIME]}, None):
        try:
            with dy.Config(max_sampling_iterations=EXAMPLE_DRAWS):
                rows = schema.Row.sample(1, overrides=times, generator=Generator(EXAMPLE_SEED))
        except Exception:  # whatever a rule raises; the checks of the schema say then that the example is missing
            continue
        rounded = rows.with_columns(cs.float().round(2))
        row = (rounded if schema.Row.is_valid(rounded) else rows).row(0, named=True)
        return {name: value for name, value in msgspec.to_builtins(row).items() if value is not None}
    return {}


def _is_input(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or isinstance(dtype, CATEGORY_DTYPES)


# By name; "baseline" None: the constant that does best by `promotion.loss`.
OPTIONAL_NAMES: Mapping[str, Callable[[ProblemSchema], Any]] = {
    "EXAMPLE": sample_example,
    "OUTCOME": lambda schema: {},
    "QUESTION": lambda schema: "",
    "CHECKS": lambda schema: (),
    "SENSITIVE": lambda schema: {},
    "CONVERSIONS": lambda schema: (),
    "FEATURES": build_default_features,
    "baseline": lambda schema: None,
    "DAY": lambda schema: pl.col(schema.TIME).dt.date(),
    "SLICES": lambda schema: {},
    "RULES": lambda schema: (),
    "OBSERVED_DECISIONS": lambda schema: (),
}
