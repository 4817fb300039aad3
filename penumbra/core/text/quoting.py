"""Text from clients and from batches, made harmless: it reads much as it is and can't act as anything else.

Values of requests, batches and labels reach pages of other tools, the ledger, the webhook, cards and logs. Each of
these has characters of its own that make text into markup, a mention, a link or a line. So nothing but letters, digits,
blanks, signs and punctuation beyond ASCII, and a little of ASCII stays as it is, whatever the reader; all else is
written as an escape.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import starmap

MAX_QUOTED_LENGTH = 80  # characters of a value
MAX_QUOTED_NAMES = 20
PLAIN_PUNCTUATION = frozenset(" -_.,:;/+%=()?!~")
LINK_STARTS = "([:"  # that a closing bracket makes a link with
PLAIN_TEXT = re.compile(r"(?a:[\w \-.,:;/+%=()?!~])*")  # what needs no look at each character
LONE_SIGN_ENDS = ("", " ", ")")  # after which "$" and "#" begin no name
DIGEST_LENGTH = 8


def escape_text(value: object, most: int = MAX_QUOTED_LENGTH) -> str:
    r"""Escape a value that came from a client or a batch.

    Args:
        value: The value; its text is taken.
        most: The largest number of characters of it that are shown.

    Returns:
        One line. All but letters, digits, blanks, signs such as "€" and "°" and a little punctuation is written as
        `\x3c` or `\u202e`; a colon before two slashes too, brackets where they may make a link, a dollar before what it
        may be the name of, and a number sign where it may begin a heading or a reference. Of a longer text the
        beginning, "…" and a digest, so that different texts stay different.
    """
    text = str(value)
    shown = text if len(text) <= most else text[:most]
    if not PLAIN_TEXT.fullmatch(shown):
        neighbours = ((shown[:n], character, shown[n + 1 : n + 2]) for n, character in enumerate(shown))
        shown = "".join(starmap(_escape_character, neighbours))
    shown = shown.replace("://", "\\x3a//")
    return shown if len(text) <= most else f"{shown}… ({_digest(text)})"


def is_encodable(text: str) -> bool:
    """Return whether a `text` is one in UTF-8: a file's name is none that Python made of other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shorten_text(text: str, most: int) -> str:
    """Return a `text` of at most so many characters, the last of which is "…" where it was longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quote_value(value: object) -> str:
    """Write a value that came from a client or a batch as Python would, escaped and cut as by `escape_text`.

    Args:
        value: The value.

    Returns:
        A text within quotation marks; any other value as its text.
    """
    return f"'{escape_text(value)}'" if isinstance(value, str) else escape_text(value)


def list_names(names: Iterable[str]) -> str:
    """List names that came from a batch.

    Args:
        names: The names.

    Returns:
        The first twenty, escaped, with how many more there are; "none" without any. One that has commas, or blanks
        at its ends, is within quotation marks.
    """
    found = list(names)
    return list_beginning([*map(_show_name, found[:MAX_QUOTED_NAMES]), *found[MAX_QUOTED_NAMES:]]) or "none"


def list_beginning(texts: Sequence[str], most: int = MAX_QUOTED_NAMES) -> str:
    """List the first of many texts, and count the others.

    Args:
        texts: The texts, as they shall be shown.
        most: How many are shown.

    Returns:
        The texts, with commas between them, and how many more there are.
    """
    shown = ", ".join(texts[:most])
    return f"{shown} and {more:,} more" if (more := len(texts) - most) > 0 else shown


def fence_text(text: str) -> str:
    """Make text a block of Markdown that shows it as it is.

    Args:
        text: Any text.

    Returns:
        The text between two fences, which are longer than any row of backticks in it.
    """
    fence = "`" * (2 + max(map(len, re.findall("`+", text)), default=1))
    return f"{fence}\n{text}\n{fence}"


def _show_name(name: str) -> str:
    return quote_value(name) if "," in name or name != name.strip() or not name else escape_text(name)


def _escape_character(before: str, character: str, following: str) -> str:
    is_harmless = {
        "[": before != "",
        "]": following == "" or following not in LINK_STARTS,
        "$": following in LONE_SIGN_ENDS,
        "#": following in LONE_SIGN_ENDS and before.rstrip(" ")[-1:].isalnum(),
    }.get(character, character in PLAIN_PUNCTUATION)
    if is_harmless or unicodedata.category(character)[0] in "LMN" or _is_foreign_sign(character):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_foreign_sign(character: str) -> bool:
    """Whether it is a sign or punctuation beyond ASCII, and none that normalising makes a special one of ASCII."""
    if character.isascii() or unicodedata.category(character)[0] not in "PS":
        return False
    return bool(PLAIN_TEXT.fullmatch(re.sub(r"[^\x00-\x7f]", "", unicodedata.normalize("NFKC", character))))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LENGTH]
