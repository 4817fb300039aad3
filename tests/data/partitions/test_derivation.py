"""Tests of what is derived from a batch's raw files."""

import math

import polars as pl
import pytest

from penumbra.core.checks.feature_checks import EXPECTED_DTYPES
from penumbra.core.encoding import derive_features
from penumbra.data.partitions.derivation import COMPUTABLE_KINDS
from penumbra.features import Difference

INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
ENDS = {
    **{dtype(): pl.select(dtype.min().alias("min"), dtype.max().alias("max")).row(0) for dtype in INTEGERS},
    **{dtype(): (-math.inf, math.inf, math.nan) for dtype in (pl.Float32, pl.Float64)},
    pl.Decimal(38, 38): ("-0." + "9" * 38, "0." + "9" * 38),
    pl.Decimal(38, 0): ("-" + "9" * 38, "9" * 38),
    pl.Boolean(): (False, True),
    pl.String(): ("", "\x00", "é" * 1000),
    pl.Enum(["", "é"]): ("", "é"),
    pl.Categorical(): ("", "é"),
}


@pytest.mark.parametrize("kind", COMPUTABLE_KINDS)
def test_kinds_that_ingest_takes_for_computable_are_so_at_both_ends_of_every_dtype(kind):
    dtypes = [dtype for dtype in ENDS if EXPECTED_DTYPES[kind][0](dtype)]
    assert dtypes
    for dtype in dtypes:
        rows = pl.DataFrame({"a": pl.Series([*ENDS[dtype], None]).cast(dtype)}).with_columns(b=pl.col("a").reverse())
        feature = kind("a", "b") if kind is Difference else kind("a")
        assert derive_features([feature], rows).height == rows.height
