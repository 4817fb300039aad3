"""The rules of a contract: what each row has to keep by itself, and what no two rows of a batch may have in common."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence

import dataframely as dy
import polars as pl

from penumbra.core.checks.expression_checks import has_other_rows

UNREADABLE_RULE = "dtype"
KEY_RULE = "primary_key"


def list_unique_values(labelled: type[dy.Schema]) -> dict[str, pl.Expr]:
    """List what no two rows of a batch may have in common.

    Args:
        labelled: The contract of a batch.

    Returns:
        By the name of the rule of `labelled` that says so: the value.
    """
    key = {KEY_RULE: pl.struct(labelled.primary_key())} if labelled.primary_key() else {}
    return key | {f"{name}|unique": pl.col(name) for name, column in labelled.columns().items() if column.unique}


def list_record_rules(row: type[dy.Schema]) -> dict[str, pl.Expr]:
    """List what a single record has to keep, whatever other records are.

    Args:
        row: The contract of a request.

    Returns:
        The rules by name, as `check_rows` names them: without those of a key, which requests may repeat, and without
        those that read other rows.
    """
    apart = list_unique_values(row)
    return {
        name: rule for name, rule in list_contract_rules(row).items() if name not in apart and not has_other_rows(rule)
    }


def can_check_in_parts(labelled: type[dy.Schema], conversions: Sequence[pl.Expr]) -> bool:
    """Tell whether a row keeps the contract or not whatever the other rows are, but for `list_unique_values`.

    Args:
        labelled: The contract of a batch.
        conversions: The CONVERSIONS of the source.

    Returns:
        False where an expression reads other rows, or may do so.
    """
    apart = list_unique_values(labelled)
    others = [rule for name, rule in list_contract_rules(labelled).items() if name not in apart]
    return not any(has_other_rows(each, unsure=True) for each in [*conversions, *others])


def merge_broken_counts(labelled: type[dy.Schema], parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Add up how many rows of each part of a batch break which rule.

    Args:
        labelled: The contract of a batch.
        parts: The counts of each part, by the rule's name.

    Returns:
        The counts of all, in the order in which `check_rows` lists the rules.
    """
    total = sum(map(Counter, parts), Counter[str]())
    unreadable = [f"{name}|{UNREADABLE_RULE}" for name in labelled.columns()]
    order = dict.fromkeys([*list_contract_rules(labelled), *unreadable])
    return {rule: total[rule] for rule in order if total[rule]}


@functools.cache
def list_contract_rules(labelled: type[dy.Schema]) -> Mapping[str, pl.Expr]:
    """Return the rules of a contract, `labelled`, by their names: `column|rule` of a column's."""
    return {name: rule.expr for name, rule in labelled._validation_rules(with_cast=False).items()}
