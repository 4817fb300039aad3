"""Names of columns as attributes of a schema's class."""

import keyword
import re
import unicodedata
from collections.abc import Sequence

import dataframely as dy

from penumbra.core.columns import RESERVED_PREFIX, find_illegal_names

# What a class body of problem/schema.py reads by name, or Python looks up there.
TAKEN_NAMES = frozenset(("dt", "dy", "pl", "cls", "self", "Any", "CHECKS", "TIME"))
UNNAMED_INDEX = re.compile(
    r"__index_level_\d+__"
)  # as pandas writes it to Parquet; its CSV has a column without a name
RULE_NAMES = ("primary_key", "nullability", "min", "max", "is_in", "regex", "unique", "dtype")


def find_name_fault(name: str) -> str:
    """Find out why a column can't be one of a contract.

    Args:
        name: Its name in the data.

    Returns:
        The reason as a phrase; empty where it can.
    """
    if not name.strip():
        return "it has no name"
    if UNNAMED_INDEX.fullmatch(name):
        return "pandas' index, which has no name"
    if name.startswith(RESERVED_PREFIX):
        return f"its name begins with {RESERVED_PREFIX!r}, as those of the engine do: rename it"
    if any(find_illegal_names("the data have", [name])):
        return "its name has quotation marks, backslashes or control characters, or is a pattern: rename it"
    if name == "primary_key" or ("|" in name and name.rpartition("|")[2] in RULE_NAMES):
        return "dataframely has a rule of this name: rename it"
    return ""


def make_attributes(names: Sequence[str]) -> dict[str, str]:
    """Make an attribute of each name.

    Args:
        names: The columns' names, each once.

    Returns:
        By column a Python identifier of its own: the name itself where it is one and free.
    """
    attributes: dict[str, str] = {}
    for name in sorted(names, key=lambda each: not _is_free(each)):  # names that are attributes keep theirs
        attribute = name if _is_free(name) else _make_identifier(name)
        while attribute in attributes.values():
            attribute += "_"
        attributes[name] = attribute
    return {name: attributes[name] for name in names}


def _make_identifier(name: str) -> str:
    words = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name)).strip("_").lower()
    attribute = words if words and words.isidentifier() else f"column_{words}".rstrip("_")
    return attribute if _is_free(attribute) else f"{attribute}_"


def _is_free(name: str) -> bool:
    """Whether a name is an identifier that hides nothing in a class body, and isn't private."""
    is_identifier = name.isidentifier() and unicodedata.normalize("NFKC", name) == name
    hides = keyword.iskeyword(name) or name in TAKEN_NAMES or hasattr(dy.Schema, name)
    return is_identifier and not hides and not name.startswith("_")
