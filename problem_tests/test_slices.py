"""The slices and the day of each row."""

import polars as pl
import pytest

from problem_tests.sample import Sample


def test_every_slice_and_the_day_can_be_computed(sample: Sample) -> None:
    slices = sample.problem.slices
    for name, expression in {"DAY": slices.DAY, **slices.SLICES}.items():
        expected = pl.Date if name == "DAY" else pl.String
        try:
            values = sample.rows.select(expression.alias(name))[name]
        except Exception as error:  # whatever polars raises for an expression
            pytest.fail(f"problem/slices.py: {name}: {type(error).__name__}: {error}", pytrace=False)
        if values.dtype != expected:
            pytest.fail(f"problem/slices.py: {name} has the dtype {values.dtype}: expected {expected}", pytrace=False)
        if values.null_count() == values.len():
            pytest.fail(f"problem/slices.py: {name} is null in all {values.len():,} rows", pytrace=False)
