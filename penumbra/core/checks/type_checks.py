"""The types that the names of `problem/` have."""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import dataframely as dy
import numpy as np
import polars as pl

from penumbra.features import ColumnCheck, Feature
from penumbra.patterns.candidate import Candidate, Columns
from penumbra.rules import Condition, PostModelAction, PreModelAction, Rule


def _is_sequence_of(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(isinstance(item, types) for item in value)


def _is_sequence_of_exactly(*types: type) -> Callable[[Any], bool]:
    """Of classes that are told apart by what they are, so that a subclass would be taken for another one."""
    return lambda value: isinstance(value, list | tuple) and all(type(item) in types for item in value)


def _is_mapping_to(kind: type) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Mapping) and all(isinstance(k, str) and isinstance(v, kind) for k, v in value.items())
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_expression(value: Any) -> bool:
    return isinstance(value, pl.Expr)


def _is_schema(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, dy.Schema)


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether a `value` is a number of Python or numpy that others can be compared with: no Boolean, no NaN."""
    kinds = (int, float, Decimal, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool) and bool(value == value)


def _is_values(value: Any, *types: type) -> bool:
    is_collection = isinstance(value, Collection) and not isinstance(value, str | bytes)
    return is_collection and (not types or all(isinstance(item, types) for item in value))


def _is_list(value: Any, *types: type) -> bool:
    """Whether values have an order: that of a set is another one in each process."""
    return _is_values(value, *types) and not isinstance(value, Set)


def _is_paths(value: Any) -> bool:
    return isinstance(value, str | Path) or _is_list(value, str, Path)


def _is_condition(value: Any) -> bool:
    has_words = inspect.getattr_static(value, "words", None) is not None  # which are made of the arguments
    return has_words and callable(getattr(value, "test", None)) and not isinstance(value, type)


def _or_none(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or accepts(value)


# By name: the test that a value has to pass, and the words that complete "expected …".
TYPE_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "TIME": (_is_text, "the name of a column of Row"),
    "Row": (_is_schema, "a subclass of dataframely.Schema"),
    "Labelled": (_is_schema, "a subclass of Row with the columns of the outcome"),
    "EXAMPLE": (_is_mapping_to(object), "a dict of JSON values by column of Row"),
    "OUTCOME": (_is_mapping_to(object), "a dict of JSON values by column that only Labelled has"),
    "QUESTION": (_is_text, "a text"),
    "CHECKS": (_is_sequence_of_exactly(*get_args(ColumnCheck)), "a tuple of checks from penumbra.features"),
    "SENSITIVE": (_is_mapping_to(pl.Expr), "a dict of polars expressions by name"),
    "CONVERSIONS": (_is_sequence_of(pl.Expr), "a list of polars expressions"),
    "FEATURES": (_is_sequence_of_exactly(*get_args(Feature)), "a tuple of features from penumbra.features"),
    "CANDIDATES": (_is_mapping_to(Candidate), "a dict of penumbra.patterns.Candidate by name"),
    "DAY": (_is_expression, "a polars expression of dtype Date"),
    "SLICES": (_is_mapping_to(pl.Expr), "a dict of polars expressions by name"),
    "RULES": (_is_sequence_of(Rule), "a tuple of penumbra.rules.Rule"),
    "OBSERVED_DECISIONS": (_is_sequence_of(bool, str), "a tuple of decisions: True or False, or names of classes"),
}

# By the annotation of an argument: the test that it has to pass, and the words that complete "expected …". Arguments of
# other annotations are checked by what they are about; what those of a class of the user's own mean is the user's.
ARGUMENT_CHECKS: Mapping[Any, tuple[Callable[[Any], bool], str]] = {
    str: (_is_text, "a text"),
    str | None: (_or_none(_is_text), "a text"),
    bool: (lambda value: isinstance(value, bool), "True or False"),
    int: (_is_whole_number, "a whole number"),
    float: (is_number, "a number"),
    pl.Expr: (_is_expression, "a polars expression"),
    type[dy.Schema]: (_is_schema, "Row of the contract"),
    Sequence[Any]: (_is_values, "a list of values"),
    Sequence[str]: (lambda value: _is_list(value, str), "a list of texts"),
    str | Path | Sequence[str | Path]: (_is_paths, "a path, or a list of some"),
    Condition: (_is_condition, "a condition of penumbra.rules, or of your own"),
    PreModelAction | PostModelAction: (
        lambda value: isinstance(value, PreModelAction | PostModelAction),
        "an action of penumbra.rules, such as Review()",
    ),
    Callable[[Columns], Any]: (callable, "a function of the columns"),
    Callable[[Any], Mapping[str, Any]] | None: (_or_none(callable), "a function of a trial"),
    int | None: (_or_none(_is_whole_number), "a whole number"),
    pl.Expr | None: (_or_none(_is_expression), "a polars expression"),
}

SOURCE_FUNCTIONS = ("batches", "fetch", "parse")


# By function: how many arguments it is called with.
FUNCTION_ARGUMENTS = {"target": 0, "batches": 0, "fetch": 1, "parse": 1, "baseline": 1}


def describe_expectation(name: str) -> str:
    """Say what a name of `problem/` has to be.

    Args:
        name: A name of one of the protocols in `penumbra.core.problem`.

    Returns:
        Words that complete "expected …".
    """
    if name in TYPE_CHECKS:
        return TYPE_CHECKS[name][1]
    instead = ", or SOURCE = TableFiles(…) in place of the three functions" if name in SOURCE_FUNCTIONS else ""
    return f"a function that takes {('no argument', 'one argument')[FUNCTION_ARGUMENTS[name]]}{instead}"


def has_expected_type(name: str, value: Any) -> bool:
    """Check the type of one name.

    Args:
        name: A name of one of the protocols in `penumbra.core.problem`.
        value: What the user's file gives it.

    Returns:
        Whether the value can be used; functions are not called, but their parameters are counted.
    """
    if name in TYPE_CHECKS:
        return TYPE_CHECKS[name][0](value)
    if not callable(value):
        return False
    try:
        inspect.signature(value).bind(*[None] * FUNCTION_ARGUMENTS[name])
    except TypeError:
        return False
    except ValueError:  # a function written in C without a signature
        return True
    return True


def require_argument_types(part: Any) -> None:
    """Check the arguments of what a user's file makes by one of our classes, while it is made.

    Args:
        part: As in `find_argument_faults`.

    Raises:
        ValueError: Some aren't of the right type; names them with what was expected.
    """
    if faults := list(find_argument_faults(part)):
        raise ValueError("; ".join(faults))


def find_argument_faults(part: Any) -> Iterator[str]:
    """Find the arguments that aren't of the right type, of what a user's file makes by one of our classes.

    Args:
        part: A source, a feature, a check between columns, a candidate, or a rule, its condition or its action; nothing
            of it is asked that its arguments are needed for.

    Yields:
        Words that complete "FEATURES has …", "CHECKS has …" and so on.
    """
    for field in fields(part) if is_dataclass(part) else ():
        if not (field.init and field.type in ARGUMENT_CHECKS and _is_of_ours(type(part), field.name)):
            continue
        accepts, expected = ARGUMENT_CHECKS[field.type]
        if not accepts(value := getattr(part, field.name)):
            yield f"{type(part).__name__}(…) with {field.name} = {value!r}: expected {expected}"


def _is_of_ours(kind: type, argument: str) -> bool:
    """Whether a class has an argument from one of the engine's, which may be a base of it."""
    owner = next(each for each in kind.__mro__ if argument in vars(each).get("__annotations__", ()))
    return owner.__module__.partition(".")[0] == __name__.partition(".")[0]
