"""The rules of a column that dataframely can't say to pydantic, its own `check` and its `resolution`.

polars checks them for each value, which takes 100 µs: whatever a batch's rows have to keep, a request has to keep too.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import dataframely as dy
import polars as pl
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from penumbra.core.contract.value_readers import Convert

VALUE = "value"
TRANSLATED_RULES = frozenset(
    ("nullability", "unique", "min", "min_exclusive", "max", "max_exclusive", "is_in", "inf", "nan")
    + ("min_length", "max_length", "regex")
)


def list_polars_rules(column: dy.Column) -> dict[str, pl.Expr]:
    """List what dataframely can't say of a column to pydantic: `check`, `resolution`, and such rules of inner values.

    Args:
        column: The column.

    Returns:
        Expressions on a column "value" by the rule's name, true or null where a value keeps the rule.
    """
    has_inner = any(map(list_polars_rules, _list_inner_columns(column)))
    return {
        name: rule
        for name, rule in column.validation_rules(pl.col(VALUE)).items()
        if name not in TRANSLATED_RULES and (has_inner or not name.startswith("inner_"))
    }


def _list_inner_columns(column: dy.Column) -> list[dy.Column]:
    if isinstance(column, dy.Struct):
        return list(column.inner.values())
    return [column.inner] if isinstance(column, dy.List | dy.Array) else []


def add_rule_check(column: dy.Column, annotation: Any, default: Any) -> tuple[Any, Any]:
    """Have polars check those rules of a column that pydantic isn't told.

    Args:
        column: The column.
        annotation: Its annotation in pydantic's words.
        default: The default of its field.

    Returns:
        Annotation and default with the check; a value is required where null breaks a rule.
    """
    if not (rules := list_polars_rules(column)):
        return annotation, default
    check = _make_rule_check(column, rules)
    try:
        check(None)
    except PydanticCustomError:
        default = ...
    return Annotated[annotation, AfterValidator(check)], default


def _make_rule_check(column: dy.Column, rules: Mapping[str, pl.Expr]) -> Convert:
    """Return a function that refuses values, nulls too, for which a rule gives false or fails."""
    schema = {VALUE: column.dtype}
    verdicts = [rule.fill_null(value=True).alias(name) for name, rule in rules.items()]

    def check(value: Any) -> Any:
        try:
            kept = pl.DataFrame({VALUE: [value]}, schema=schema).select(verdicts).row(0, named=True)
        except (Exception, pl.exceptions.PanicException):  # whatever the user's check does
            kept = dict.fromkeys(rules, False)
        if all(kept.values()):
            return value
        broken = ", ".join(_name_rule(column, name) for name, is_kept in kept.items() if not is_kept)
        raise PydanticCustomError("rule", "Input should be a value that keeps the rule {rule}", {"rule": broken})

    return check


def _name_rule(column: dy.Column, rule: str) -> str:
    return f"{rule} {getattr(column, rule, '')}".strip() if rule == "resolution" else rule
