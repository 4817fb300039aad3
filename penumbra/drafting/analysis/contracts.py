"""The contract of a column, drawn so widely that the rows of the next months keep it: dtype, range, nulls, values."""

import datetime as dt
import itertools
import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.core.text.quoting import quote_value
from penumbra.drafting.reading.profiles import ColumnProfile
from penumbra.drafting.reading.readings import Reading
from penumbra.drafting.reading.words import (
    CLOCK_WORDS,
    CODE_WORDS,
    COUNT_WORDS,
    ENTITY_WORDS,
    KEY_WORDS,
    OPEN_WORDS,
    has_word_of,
)

INTEGERS = {8: pl.Int8(), 16: pl.Int16(), 32: pl.Int32(), 64: pl.Int64()}  # by their bits
KNOWN_RANGES = {
    **dict.fromkeys(("lat", "latitude"), (-90, 90)),
    **dict.fromkeys(("lon", "lng", "long", "longitude"), (-180, 180)),
}
CALENDAR = {"month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59), "week": (1, 53), "weekday": (0, 7)}
ROUND_DIGITS = (1, 2, 5, 10)
MIN_ROWS_WITHOUT_NULL = 100  # from which on a column without a missing value is one that never has any
MAX_ENUM_VALUES = 30
MAX_FEW_WORDS = 5  # of letters alone, which are no codes, whatever their column is called
MIN_VALUE_ROWS = 5  # of each value of an Enum, in either half of the sample
MIN_TEXT_LENGTH = 20
GROWTH_PARTS = 4  # of the rows by time, of which each lies above the one before where a number grows
EARLIEST, LATEST = dt.date(1900, 1, 1), dt.date(2099, 12, 31)


@dataclass(frozen=True)
class ColumnContract:
    """What a column has to keep.

    Attributes:
        dtype: The contract's dtype.
        nullable: Whether a value may be missing.
        minimum: The least value; None for no bound.
        maximum: The greatest value; None for no bound.
        categories: The values of an Enum; empty for other dtypes.
        max_length: The most characters of a text; None for other dtypes.
        reason: What isn't plain about it, as a phrase.
    """

    dtype: pl.DataType
    nullable: bool
    minimum: Any = None
    maximum: Any = None
    categories: tuple[str, ...] = ()
    max_length: int | None = None
    reason: str = ""


def draw_contract(name: str, reading: Reading, profile: ColumnProfile, values: pl.Series) -> ColumnContract:
    """Draw the contract of a column.

    Args:
        name: The column's name.
        reading: How it is read.
        profile: What all rows say of it.
        values: Its values in the sample, as `order_by_time` orders them.

    Returns:
        The contract.
    """
    dtype, nullable = reading.dtype, profile.missing > 0 or profile.rows < MIN_ROWS_WITHOUT_NULL
    if dtype == pl.String:
        doubt = reading.reason or ("by its name" if _is_open_by_name(name, profile) else _find_doubt(profile, values))
        return _draw_text(profile, nullable, doubt)
    if dtype.is_numeric():
        return _draw_number(name, dtype, profile, values, nullable)
    if isinstance(dtype, pl.Date | pl.Datetime):
        return ColumnContract(dtype, nullable, *_bound_times(dtype, profile))
    return ColumnContract(dtype, nullable)


def round_outward(value: float) -> int:
    """Round a number up to the next of 1, 2, 5, 10, 20, 50 and so on.

    Args:
        value: A number.

    Returns:
        The least such number that isn't below it; 0 for 0 and less.
    """
    if value <= 0:
        return 0
    unit = 10 ** math.floor(math.log10(value))
    return next(math.ceil(digit * unit) for digit in ROUND_DIGITS if digit * unit >= value)


def fit_integer(minimum: int, maximum: int) -> pl.DataType:
    """Find the smallest integer type.

    Args:
        minimum: The least value.
        maximum: The greatest value.

    Returns:
        Int8 to Int64; where none holds both UInt64, or Int64 if there are negative ones.
    """
    for bits, dtype in INTEGERS.items():
        if -(2 ** (bits - 1)) <= minimum and maximum < 2 ** (bits - 1):
            return dtype
    return pl.UInt64() if minimum >= 0 else pl.Int64()


def _draw_text(profile: ColumnProfile, nullable: bool, doubt: str) -> ColumnContract:
    """An Enum, or text where there is a reason to expect other values."""
    if profile.words and not doubt:
        reason = f"closed: each value has {MIN_VALUE_ROWS} rows and more in either half of the data"
        return ColumnContract(pl.Enum(profile.words), nullable, categories=profile.words, reason=reason)
    longest = max(MIN_TEXT_LENGTH, round_outward(2 * profile.max_length))
    return ColumnContract(pl.String(), nullable, max_length=longest, reason=f"open to other values: {doubt}")


def _is_open_by_name(name: str, profile: ColumnProfile) -> bool:
    """Whether things come and go that are called so; codes do, but for a few words without a digit."""
    words = profile.words
    has_few_words = words is not None and len(words) <= MAX_FEW_WORDS and not any(map(str.isdigit, "".join(words)))
    return has_word_of(ENTITY_WORDS if has_few_words else OPEN_WORDS, name)


def _find_doubt(profile: ColumnProfile, values: pl.Series) -> str:
    """Why other values are to be expected than those that there are."""
    if profile.words is None or len(profile.words) > MAX_ENUM_VALUES:
        return f"there are {profile.distinct:,}"
    middle = len(values) // 2
    halves = [dict(half.value_counts(name="rows").iter_rows()) for half in (values.head(middle), values[middle:])]
    rare = [word for word in profile.words if min(half.get(word, 0) for half in halves) < MIN_VALUE_ROWS]
    return f"{quote_value(rare[0])} is seldom or new" if rare else ""


def _draw_number(
    name: str, dtype: pl.DataType, profile: ColumnProfile, values: pl.Series, nullable: bool
) -> ColumnContract:
    least, most = profile.minimum, profile.maximum
    first, last = CALENDAR.get(name.lower(), (0, 1))
    if dtype.is_integer() and first <= least and most <= last:
        return ColumnContract(pl.Int8(), nullable, first, last)
    first, last = KNOWN_RANGES.get(name.lower(), (0, 0))
    if first <= least < most <= last:
        return ColumnContract(pl.Int16() if dtype.is_integer() else pl.Float64(), nullable, first, last)
    spread = most - least or abs(most) or 1
    if is_growing(values):
        width: pl.DataType = (pl.UInt64() if dtype == pl.UInt64 else pl.Int64()) if dtype.is_integer() else pl.Float64()
        return ColumnContract(width, nullable, 0 if least >= 0 else None, reason="grows with time: no maximum")
    maximum = round_outward(most + spread) if most > 0 else 0
    minimum = -round_outward(spread - least) if least < 0 else 0 if _is_never_negative(name, dtype, most) else -maximum
    if dtype.is_integer():
        return _draw_integer(minimum, maximum, nullable)
    return ColumnContract(pl.Float64(), nullable, minimum, maximum)


def _is_never_negative(name: str, dtype: pl.DataType, most: float) -> bool:
    """Whether numbers that so far aren't below 0 never will be: flags, codes, and what is counted or paid, by name."""
    is_flag = dtype.is_integer() and most <= 1
    return is_flag or has_word_of(COUNT_WORDS | KEY_WORDS | CODE_WORDS | CLOCK_WORDS, name)


def _draw_integer(minimum: int, maximum: int, nullable: bool) -> ColumnContract:
    """A bound that no type holds is none."""
    dtype = fit_integer(minimum, maximum)
    is_held = maximum < 2**63
    return ColumnContract(dtype, nullable, minimum if minimum >= -(2**63) else None, maximum if is_held else None)


def order_by_time(rows: pl.DataFrame, name: str, time: str) -> pl.Series:
    """Order the values of a column by time; numbers that may grow with it whichever order the rows of one time have.

    Args:
        rows: The values of all columns, oldest row first.
        name: The column.
        time: The column with the rows' times, which a made-up time isn't among.

    Returns:
        The values, oldest first, and of one time the least number first where the first quarter lies below the last:
        other numbers don't grow, however they are ordered.
    """
    values = rows[name]
    if time not in rows.columns or not values.dtype.is_numeric():
        return values
    first, last = (
        part(values.drop_nulls(), values.count() // GROWTH_PARTS) for part in (pl.Series.head, pl.Series.tail)
    )
    if first.is_empty() or first.max() > last.min():  # type: ignore[operator]
        return values
    return rows.select(time, name).sort(time, name)[name]


def is_growing(values: pl.Series) -> bool:
    """Tell whether numbers grow with time, as counters and sums do.

    Args:
        values: Numbers as `order_by_time` orders them; nulls don't matter.

    Returns:
        Whether each quarter of the rows lies above the one before.
    """
    numbers = values.drop_nulls()
    size = len(numbers) // GROWTH_PARTS
    parts = [numbers.slice(n * size, size) for n in range(GROWTH_PARTS)] if size > 1 else []
    ends: list[tuple[Any, Any]] = [(part.min(), part.max()) for part in parts]
    is_rising = all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(ends))
    return bool(ends) and is_rising and ends[0][1] < ends[-1][0]


def _bound_times(dtype: pl.DataType, profile: ColumnProfile) -> tuple[Any, Any]:
    """From 1900 to 2099, or from the decade before the first row on where that is later."""
    first, last = get_date(profile.minimum), get_date(profile.maximum)
    begin = max(EARLIEST, dt.date(max(1, first.year // 10 * 10 - 10), 1, 1)) if first >= EARLIEST else None
    end = LATEST if last <= LATEST else None
    return _widen(begin, dtype), _widen(end, dtype)


def get_date(value: dt.date) -> dt.date:
    """Get the day of a time.

    Args:
        value: A date, or a time.

    Returns:
        The date.
    """
    return value.date() if isinstance(value, dt.datetime) else value


def _widen(day: dt.date | None, dtype: pl.DataType) -> dt.date | None:
    """The day's midnight, for a column of times."""
    if day is None or not isinstance(dtype, pl.Datetime):
        return day
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC if dtype.time_zone else None)
