"""Tests of what is derived from a batch's raw files."""

import math

import polars as pl
import pytest

from penumbra.core.checks.feature_checks import EXPECTED_DTYPES
from penumbra.core.encoding import derive_features
from penumbra.data.partitions.derivation import COMPUTABLE_KINDS
from penumbra.features import Difference, Hour, Month, Weekday

INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
PER_SECOND, ZONES = {"ms": 10**3, "us": 10**6, "ns": 10**9}, (None, "UTC", "Asia/Kathmandu")
CALENDAR_ENDS = (-8_334_601_228_800, 8_210_266_876_799)  # seconds since 1970: beyond, polars' calendar has no date
ZONE_SECONDS = (-50_400, 0, 50_400)  # zones are up to 14 hours off


def list_last_moments(per_second):
    """The ends of a Datetime's integers, and those of the calendar by the clock of any zone."""
    near = [(end + shift) * per_second for end in CALENDAR_ENDS for shift in ZONE_SECONDS]
    return [-(2**63) + 1, *(moment for moment in near if abs(moment) < 2**63), 2**63 - 1]


ZONE = ("America/New_York",)
FURTHER_ARGUMENTS = {Difference: ("b",), Hour: ZONE, Month: ZONE, Weekday: ZONE}
ENDS = {
    **{dtype(): pl.select(dtype.min().alias("min"), dtype.max().alias("max")).row(0) for dtype in INTEGERS},
    **{dtype(): (-math.inf, math.inf, math.nan) for dtype in (pl.Float32, pl.Float64)},
    pl.Decimal(38, 38): ("-0." + "9" * 38, "0." + "9" * 38),
    pl.Decimal(38, 0): ("-" + "9" * 38, "9" * 38),
    pl.Boolean(): (False, True),
    pl.String(): ("", "\x00", "é" * 1000),
    pl.Enum(["", "é"]): ("", "é"),
    pl.Categorical(): ("", "é"),
    pl.Date(): (-(2**31) + 1, 2**31 - 1),
    pl.Time(): (0, 86_400 * 10**9 - 1),
    **{pl.Datetime(unit, zone): list_last_moments(each) for unit, each in PER_SECOND.items() for zone in ZONES},
}


@pytest.mark.parametrize("kind", COMPUTABLE_KINDS)
def test_kinds_that_ingest_takes_for_computable_are_so_at_both_ends_of_every_dtype(kind):
    dtypes = [dtype for dtype in ENDS if EXPECTED_DTYPES[kind][0](dtype)]
    assert dtypes
    for dtype in dtypes:
        rows = pl.DataFrame({"a": pl.Series([*ENDS[dtype], None]).cast(dtype)}).with_columns(b=pl.col("a").reverse())
        feature = kind("a", *FURTHER_ARGUMENTS.get(kind, ()))
        assert derive_features([feature], rows).height == rows.height
