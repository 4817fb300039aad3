"""Python code from values: literals, and brackets that are broken over lines as the formatter breaks them.

Text of the data reaches a file as a literal of this module and in no other way.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LINE_WIDTH, INDENT = 120, 4  # as pyproject.toml has them
PLAIN_CATEGORIES = ("L", "M", "N", "Sc", "So")  # of Unicode: letters, their marks, digits, and signs such as € and °
LARGE_INTEGER = 10_000  # from here on thousands are set apart


@dataclass(frozen=True)
class Brackets:
    """A call or a display: what stands before its items, the bracket included, the items, and the closing bracket.

    Args:
        head: Such as "dy.Int16(" or "classes=[".
        items: Code of the items.
        tail: The closing bracket.
        is_spread: Whether each item stands on a line of its own, though all would fit on one.
    """

    head: str
    items: Sequence["Code"]
    tail: str = ")"
    is_spread: bool = False

    def __str__(self) -> str:
        """The code on one line."""
        return f"{self.head}{', '.join(map(str, self.items))}{self.tail}"

    @property
    def is_call(self) -> bool:
        """Whether it is a call, whose arguments may share a line of their own."""
        return self.tail == ")" and self.head != "("


Code = str | Brackets


def format_code(code: Code, indent: int = 0, end: str = "") -> str:
    """Break code over lines as `ruff format` does.

    Args:
        code: An expression or a statement.
        indent: The column that it begins in.
        end: What follows it on the last line, such as a comma.

    Returns:
        Lines of at most 120 columns, where brackets allow it, without a line break at the end.
    """
    line = f"{' ' * indent}{code}{end}"
    if isinstance(code, str) or not code.items or (not code.is_spread and _fits(line)):
        return line
    first, last = f"{' ' * indent}{code.head}", f"{' ' * indent}{code.tail}{end}"
    within = " " * (indent + INDENT) + ", ".join(map(str, code.items))
    if code.is_call and not code.is_spread and _fits(within):
        return "\n".join([first, within, last])
    return "\n".join([first, *(format_code(item, indent + INDENT, ",") for item in code.items), last])


def format_text_constant(name: str, text: str) -> str:
    """Write a constant of a text that may be longer than a line.

    Args:
        name: The constant's name.
        text: The text.

    Returns:
        One line, or pieces of the text in parentheses.
    """
    if _fits(line := f"{name} = {format_value(text)}"):
        return line
    pieces = [""]
    for word in re.findall(r"\s*\S+|\s+$", text):
        if not _fits(" " * INDENT + format_value(pieces[-1] + word)):
            pieces.append("")
        pieces[-1] += word
    return "\n".join([f"{name} = (", *(" " * INDENT + format_value(piece) for piece in pieces if piece), ")"])


def format_value(value: Any) -> str:
    """Write a value as a literal.

    Args:
        value: Text, a number, a Boolean, None, a date, a time, or a list, tuple or dict of such.

    Returns:
        Code that gives the value, where `datetime` is imported as `dt`.
    """
    if isinstance(value, str):
        return _format_text(value)
    if isinstance(value, list | tuple):
        items = ", ".join(map(format_value, value))
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' * (len(value) == 1)})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{format_value(key)}: {format_value(each)}' for key, each in value.items())}}}"
    if isinstance(value, dt.date | dt.time):
        return _format_time(value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        return _format_number(value)
    return repr(value)


def _format_number(number: float) -> str:
    if number == int(number) and LARGE_INTEGER <= abs(number) < 1e15:
        return f"{int(number):_}"
    return repr(number).replace("e+", "e")


def _format_time(time: dt.date | dt.time) -> str:
    if isinstance(time, dt.datetime):
        fields: list[Any] = [time.year, time.month, time.day, time.hour, time.minute, time.second, time.microsecond]
        fields = fields[: max(3, *(n + 1 for n, field in enumerate(fields) if field))]
        zone = ["tzinfo=dt.UTC"] if time.tzinfo else []
        return f"dt.datetime({', '.join([*map(str, fields), *zone])})"
    return repr(time).replace("datetime.", "dt.")


def _format_text(text: str) -> str:
    mark = "'" if text.count('"') > text.count("'") else '"'
    body = "".join(character if character in "'\"" else _escape(character) for character in text)
    return mark + body.replace(mark, f"\\{mark}") + mark


def _escape(character: str) -> str:
    """A character as it may stand in a literal: letters and signs stay, punctuation that looks like other doesn't."""
    if character.isascii() or unicodedata.category(character).startswith(PLAIN_CATEGORIES):
        return repr(character)[1:-1]
    return character.encode("unicode_escape").decode()


def _fits(line: str) -> bool:
    return sum(1 + (unicodedata.east_asian_width(character) in "FW") for character in line) <= LINE_WIDTH
