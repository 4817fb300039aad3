"""What becomes of a column that is neither time, key nor target: a feature of some kind, or nothing, and why."""

from dataclasses import dataclass

import polars as pl

from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.quoting import quote_value
from penumbra.drafting.analysis.contracts import is_growing, order_by_time
from penumbra.drafting.analysis.times.calendar_features import choose_calendar_features
from penumbra.drafting.analysis.times.time_copies import find_time_copy
from penumbra.drafting.draft import FeatureKind
from penumbra.drafting.reading.profiles import MAX_LISTED_WORDS, ColumnProfile
from penumbra.drafting.reading.readings import Reading
from penumbra.drafting.reading.words import CLOCK_WORDS, CODE_WORDS, KEY_WORDS, has_word_of, is_counter_name
from penumbra.training.doctor.checks import MAX_MISSING_SHARE

MAX_CATEGORIES = MAX_LISTED_WORDS  # gradient boosting takes 255
FREE_TEXT_LENGTH = 40  # mean characters from which on text is prose
MIN_OWN_SHARE = 0.5  # of the rows, from which on values are those of single rows
MIN_AFTER_SHARE = 0.9  # of the rows, in which a second time lies after the row's own
MIN_KNOWN_ROWS = 20
MAX_SERIAL_STEP = 10  # the mean step of numbers that count rows, some of which are elsewhere


@dataclass(frozen=True)
class Use:
    """What a column is used for.

    Attributes:
        features: The kinds of the features that read it; none where it is left out.
        reason: Why it is left out, as a phrase; empty for a feature.
    """

    features: tuple[FeatureKind, ...]
    reason: str = ""


def choose_use(name: str, reading: Reading, profile: ColumnProfile, rows: pl.DataFrame, time: str) -> Use:
    """Choose what a column is used for.

    Args:
        name: The column's name.
        reading: How it is read.
        profile: What all rows say of it.
        rows: The values of all columns in the sample, oldest first.
        time: The column with the rows' times, which a made-up time isn't among.

    Returns:
        The kinds of features, or the reason against any.
    """
    values, ordered = rows[name], order_by_time(rows, name, time)
    reason = (reading.reason if reading.is_left_out else "") or _find_emptiness(name, profile, values)
    reason = reason or (_find_wordiness(profile, values) if reading.dtype == pl.String else "")
    if not reason and time in rows.columns:
        reason = _find_lateness(values, rows[time]) or find_time_copy(values, rows[time])
        reason = reason or _find_serial_number(ordered, profile)
    if reason:
        return Use((), reason)
    if isinstance(reading.dtype, pl.Date | pl.Datetime | pl.Time):
        features = choose_calendar_features(rows, name)
        return Use(features, "" if features else "its hour, weekday and month don't vary, or are columns of their own")
    return _choose_kind(name, reading.dtype, profile, ordered)


def _find_emptiness(name: str, profile: ColumnProfile, values: pl.Series) -> str:
    if profile.read == 0:
        return "no row has a value"
    if profile.missing > MAX_MISSING_SHARE * profile.rows:
        return f"missing in {profile.missing:,} of {format_count(profile.rows, 'row')}"
    is_constant = profile.minimum == profile.maximum if profile.words is None else len(profile.words) == 1
    is_text = values.dtype == pl.String
    if profile.missing == 0 and is_constant and not (is_text and profile.words is None):
        return f"always {quote_value(values.drop_nulls()[0])}"
    if is_counter_name(name) and values.dtype.is_integer() and profile.distinct > 0.75 * profile.rows:
        return "it numbers the rows"
    return ""


def _find_wordiness(profile: ColumnProfile, values: pl.Series) -> str:
    """Why a text is no category."""
    if profile.words is not None and len(profile.words) <= MAX_CATEGORIES:
        return ""
    length = values.str.len_chars().sum() / max(values.count(), 1)
    if length > FREE_TEXT_LENGTH:
        return f"free text, of {length:.0f} characters on average"
    if profile.distinct > MIN_OWN_SHARE * profile.rows:
        return "about every row has another value"
    return f"text with about {format_count(profile.distinct, 'different value')}; a category may have {MAX_CATEGORIES}"


def _find_lateness(values: pl.Series, time: pl.Series) -> str:
    """Why a second time can't be known yet."""
    if not isinstance(values.dtype, pl.Date | pl.Datetime):
        return ""
    pair = pl.DataFrame({"value": values.cast(pl.Date), "time": time.cast(pl.Date)}).drop_nulls()
    after = pair.select((pl.col("value") > pl.col("time")).mean()).item() or 0
    moments = pl.DataFrame({"value": values, "time": time}).drop_nulls() if values.dtype == time.dtype else pair
    after = max(after, moments.select((pl.col("value") > pl.col("time")).mean()).item() or 0)
    if len(pair) >= MIN_KNOWN_ROWS and after >= MIN_AFTER_SHARE:
        return f"lies after the row's time in {format_share(after, 0)} of the rows: known only later"
    return ""


def _find_serial_number(values: pl.Series, profile: ColumnProfile) -> str:
    """Why whole numbers that grow with the rows, another in each and close together, say nothing of later rows."""
    if not values.dtype.is_integer() or values.drop_nulls().is_duplicated().any() or not is_growing(values):
        return ""
    is_close = profile.maximum - profile.minimum <= MAX_SERIAL_STEP * profile.rows
    return "another number in each row, which grows with the rows: it never comes again" if is_close else ""


def _choose_kind(name: str, dtype: pl.DataType, profile: ColumnProfile, values: pl.Series) -> Use:
    if dtype in (pl.Boolean, pl.String):
        return Use(("category",))
    if not dtype.is_integer():
        return Use(("number",))
    if has_word_of(KEY_WORDS, name) or has_word_of(CODE_WORDS, name):
        return _choose_code_kind(profile, values)
    return Use(("clock",)) if has_word_of(CLOCK_WORDS, name) and _is_clock(values) else Use(("number",))


def _choose_code_kind(profile: ColumnProfile, values: pl.Series) -> Use:
    """Whole numbers that are names."""
    if profile.distinct <= MAX_CATEGORIES:
        return Use(("category",))
    what = "grow with the rows" if is_growing(values) else f"have about {format_count(profile.distinct, 'value')}"
    return Use((), f"by name an identifier, whose numbers {what}")


def _is_clock(values: pl.Series) -> bool:
    """Whether whole numbers are clock times hhmm."""
    known = values.drop_nulls()
    is_hhmm = known.is_between(0, 2400) & (known % 100 < 60)
    return bool(is_hhmm.all()) and bool((known > 100).any())
