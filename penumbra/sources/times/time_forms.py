"""Formats of `strptime` as times are read by them: what is short for others written out, what isn't read refused."""

import datetime as dt
import re
from dataclasses import dataclass

import polars as pl

DIRECTIVE = re.compile(r"%[-_0]?(\.[369]?f|[369]f|:z|.|$)")
SHORTHANDS = {
    **{"F": "%Y-%m-%d", "D": "%m/%d/%y", "T": "%H:%M:%S", "R": "%H:%M", "r": "%I:%M:%S %p"},
    **{"h": "%b", "e": "%d", "k": "%H", "l": "%I", "P": "%p", ":z": "%z"},
}
READ = ("Y", "y", "m", "b", "B", "d", "a", "A", "H", "I", "p", "M", "S", ".f", "z", "%")
FRACTIONS = (".f", ".3f", ".6f", ".9f", "3f", "6f", "9f")


@dataclass(frozen=True)
class TimeForm:
    """A format, written out.

    Attributes:
        layout: The format, in the directives that polars reads.
        prefix: What is put before a text, for the parts of a time that the format leaves out.
        has_clock: Whether it has an hour.
        has_offset: Whether it has an offset from UTC.
    """

    layout: str
    prefix: str
    has_clock: bool
    has_offset: bool


def resolve_time_form(form: str) -> TimeForm:
    """Write a format out.

    Args:
        form: A format of `strptime`.

    Returns:
        The same in plain directives; a month, day or minute that it leaves out is the first one.

    Raises:
        ValueError: It has a directive that isn't read, no year, a part of a clock without the hour, or hours up to
            12 without AM and PM.
    """
    layout = DIRECTIVE.sub(lambda found: _write_out(found, form), form.replace(".%f", "%.f"))
    parts = {found[1] for found in DIRECTIVE.finditer(layout)}
    has_clock = not parts.isdisjoint("HI")
    if parts.isdisjoint("Yy"):
        raise ValueError(f"the format of times {form!r} has no year: expected %Y or %y in it")
    if "I" in parts and "p" not in parts:
        raise ValueError(f"the format of times {form!r} has %I without %p: expected %H, or %p for AM and PM")
    if not has_clock and not parts.isdisjoint({"M", "S", "p", "z", *FRACTIONS}):
        raise ValueError(
            f"the format of times {form!r} has no hour beside its clock or offset: expected %H or %I in it"
        )
    wanted = [(("m", "b", "B"), "%m"), ("d", "%d"), *([("M", "%M")] if has_clock else [])]
    lacking = [directive for known, directive in wanted if parts.isdisjoint(known)]
    prefix = "".join("00 " if directive == "%M" else "01 " for directive in lacking)
    layout = "".join(f"{each} " for each in lacking) + re.sub(r"\s+%z$", "%z", layout)
    return TimeForm(layout, prefix, has_clock, "z" in parts)


def _write_out(found: re.Match[str], form: str) -> str:
    directive = found[1]
    if directive in SHORTHANDS:
        return SHORTHANDS[directive]
    if directive not in (*READ, *FRACTIONS):
        known = " ".join(f"%{each}" for each in (*READ, *SHORTHANDS))
        raise ValueError(f"the format of times {form!r} has {found[0]}, which isn't read: expected some of {known}")
    return f"%{directive}"


def spell_offset(text: pl.Expr) -> pl.Expr:
    """Spell the offset at the end of times in one way.

    Args:
        text: Times with an offset in any spelling: Z, UTC, GMT, +01, +0100, +01:00, after a blank or not.

    Returns:
        The same with +01:00, without a blank before it; other text as it is.
    """
    return (
        text.str.replace(r"\s*(Z|z|UTC|GMT)$", "+00:00")
        .str.replace(r"\s*([+-]\d\d):?(\d\d)$", "$1:$2")
        .str.replace(r"(:\d\d(?:\.\d+)?)\s*([+-]\d\d)$", "$1$2:00")
    )


def place_in_zone(times: pl.Expr, zone: str) -> pl.Expr:
    """Take times without an offset for those of a zone's clock.

    Args:
        times: Dates, or times without zone.
        zone: The zone.

    Returns:
        Moments in UTC, in microseconds: of a time that comes twice the earlier; of midnight on a day that begins later
        that day's first moment; null for any other time that the zone skips.
    """
    naive = times.cast(pl.Datetime("us"))
    midnight = pl.when(naive.dt.time() == dt.time()).then(naive)
    return pl.coalesce(_place(naive, zone), _place(midnight - dt.timedelta(days=1), zone) + dt.timedelta(days=1))


def _place(naive: pl.Expr, zone: str) -> pl.Expr:
    return naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
