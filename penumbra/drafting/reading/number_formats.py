"""Spellings of numbers: which decimal sign, thousands, currencies and units the values of a text column have."""

import itertools
import re
from collections.abc import Iterator, Sequence

import polars as pl

from penumbra.drafting.draft import NumberFormat
from penumbra.drafting.reading.text_patterns import MIN_READ_SHARE, is_matched, measure_match
from penumbra.sources.conversions import read_numbers

CURRENCIES = (
    *("€", "$", "£", "¥", "₹", "₽", "US$", "EUR", "USD"),
    *("GBP", "CHF", "JPY", "SEK", "NOK", "DKK", "PLN", "kr", "zł"),
)
MAX_SIGNS = 3
# Decimal sign and thousands, the likelier first where a value is read by several.
SPELLINGS = (
    *((".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", " ")),
    *((".", "'"), (".", "\u2019"), (",", "'"), (",", "\u2019")),
)
# Before and after a number stands a currency; after it, a unit, too. A minus sign behind it ends a word: 7-A is none.
AFFIX, PLUS_OR_MINUS = r"([^\d\s.,+()'\u2019\u2212-]*)", r"\s*[+(\u2212-]?\s*"
AFFIXES = re.compile(
    rf"{PLUS_OR_MINUS}{AFFIX}{PLUS_OR_MINUS}[\d.,'\u2019\s]*\d[.,]?\s*\)?(?:\s*-(?=\s|$))?\s*{AFFIX}\s*\)?\s*"
)
# A group of exactly three digits, where the sign may be either: 1,234 and 12.500, but not 0,125.
EITHER_PATTERN = r"^[^\d]*[1-9][0-9]{0,2}[.,][0-9]{3}[^\d]*$"


def find_number_format(values: pl.Series, decimal: str | None) -> NumberFormat | None:
    """Find the spelling by which a text column is numbers.

    Args:
        values: Text without nulls, of which the contract doesn't read all as plain numbers.
        decimal: The table's decimal sign, which decides about 1,234 and 1.234; None where it isn't known.

    Returns:
        The spelling that reads about all values; None where none does.
    """
    signs = _find_signs(values)
    if signs is None:
        return None
    for spelling in _order_spellings(values, decimal):
        number = NumberFormat(*spelling, signs)
        if _read_share(values, number) >= MIN_READ_SHARE:
            return number
    return None


def find_decimal_sign(columns: Sequence[pl.Series]) -> str | None:
    """Find the decimal sign of a table.

    Args:
        columns: Columns of text without nulls.

    Returns:
        "," where a column has numbers that nothing else explains, such as 3,5; "." where one has 3.5; None where no
        column tells.
    """
    found = [sign for values in columns for sign in (",", ".") if _tells_decimal_sign(values, sign)]
    return found[0] if found else None


def _read_share(values: pl.Series, number: NumberFormat) -> float:
    read = values.to_frame("value").select(apply_number_format("value", number)).to_series()
    return 1 - read.null_count() / max(len(values), 1)


def apply_number_format(column: str, number: NumberFormat) -> pl.Expr:
    """Read a column by a spelling.

    Args:
        column: The column's name.
        number: The spelling.

    Returns:
        An expression of dtype String, as `read_numbers` gives.
    """
    return read_numbers(column, decimal=number.decimal, thousands=number.thousands, signs=number.signs)


def describe_mixed_signs(values: pl.Series, signs: Sequence[str]) -> str:
    """Describe that values of a column are in different units, which are read as numbers alike.

    Args:
        values: Text without nulls.
        signs: The currencies, percent signs and units that stand around its numbers, the longer first.

    Returns:
        A phrase with examples; empty where all values have the same sign, or those without one may mean it as well.
    """
    examples = {sign: value for sign in reversed(signs) for value in values.filter(_has_sign(values, sign)).head(1)}
    if "%" in signs and len(bare := values.filter(~values.str.contains("%", literal=True))):
        examples[""] = bare[0]
    if len(examples) < 2:
        return ""
    return f"{' and '.join(map(repr, examples.values()))} are read as numbers alike: nothing is converted"


def describe_open_decimals(values: pl.Series, number: NumberFormat) -> str:
    """Describe that no value tells whether a sign separates decimals or thousands.

    Args:
        values: Text (String) without nulls.
        number: The spelling by which they are read.

    Returns:
        A phrase with an example; empty where some value tells.
    """
    signed = values.filter(values.str.contains("[.,]"))
    if signed.is_empty() or not has_open_decimals(signed):
        return ""
    read = signed.head(1).to_frame("value").select(apply_number_format("value", number)).item()
    return f"{signed[0]!r} is read as {read}: no value tells whether the sign separates decimals or thousands"


def _has_sign(values: pl.Series, sign: str) -> pl.Series:
    """Whether the sign is there; of "US$", "$" is a part and no sign of its own."""
    return values.str.contains(rf"(?:^|[^\pL]){re.escape(sign)}")


def _find_signs(values: pl.Series) -> tuple[str, ...] | None:
    """What stands around the numbers; None where that is no currency, percent sign or unit."""
    different = values.value_counts(name="rows").rows()
    found = [(match.groups(), rows) for value, rows in different if (match := AFFIXES.fullmatch(value))]
    if sum(rows for _, rows in found) < MIN_READ_SHARE * len(values):
        return None
    before, after = ({sign for sign in signs if sign} for signs in zip(*(signs for signs, _ in found), strict=True))
    is_unit = len(after) == 1 and not before
    if not (before | after <= {*CURRENCIES, "%"} or is_unit) or len(before | after) > MAX_SIGNS:
        return None
    return tuple(sorted(before | after, key=lambda sign: (-len(sign), sign)))


def _order_spellings(values: pl.Series, decimal: str | None) -> Iterator[tuple[str, str]]:
    """The table's decimal sign first where each value with a sign could be read by either."""
    signed = values.filter(values.str.contains(r"[0-9][.,][0-9]"))
    is_open = decimal is not None and has_open_decimals(signed)
    return itertools.chain((each for each in SPELLINGS if is_open and each[0] == decimal), SPELLINGS)


def has_open_decimals(values: pl.Series) -> bool:
    """Tell whether each value has one sign and three digits behind it, so that it separates decimals or thousands.

    Args:
        values: Text (String) without nulls.

    Returns:
        Whether all are such as 1,234 and 12.500.
    """
    return bool(values.str.contains(EITHER_PATTERN).all())


def _tells_decimal_sign(values: pl.Series, sign: str) -> bool:
    """Whether about all values are numbers, and some have other than three digits after the sign, or groups of three
    before it."""
    sign, other = re.escape(sign), re.escape("," if sign == "." else ".")
    grouped = rf"[1-9][0-9]{{0,2}}(?:{other}[0-9]{{3}})+"
    telling = rf"(?:0*{sign}[0-9]+|[0-9]+{sign}(?:[0-9]{{1,2}}|[0-9]{{4,}})|{grouped}{sign}[0-9]+)"
    number = rf"(?:[0-9]*|{grouped})(?:{sign}[0-9]*)?"
    return is_matched(values, rf"[+(-]?{number}[)-]?") and measure_match(values, rf"[+(-]?{telling}[)-]?") > 0
