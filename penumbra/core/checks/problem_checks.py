"""The checks that `problem/` passes when it is loaded: names have the types that are expected, and fit together."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import dataframely as dy
import polars as pl

from penumbra.core.bins import is_countable_dtype
from penumbra.core.checks.expression_checks import has_other_rows
from penumbra.core.checks.feature_checks import find_check_faults, find_feature_faults
from penumbra.core.checks.rule_checks import find_rule_faults
from penumbra.core.checks.schema_checks import find_failing_rules, find_target_faults, make_null_rows
from penumbra.core.checks.type_checks import find_argument_faults
from penumbra.core.columns import find_illegal_names
from penumbra.core.problem import ProblemCandidates, ProblemFeatures, ProblemRules, ProblemSchema, ProblemSlices
from penumbra.core.task import Task
from penumbra.rules import Rule


def find_impossible_dtypes(schema: ProblemSchema) -> Iterator[str]:
    """Find columns that no frame can have: dataframely takes any arguments, polars looks at them when it makes a dtype.

    Args:
        schema: The part, of which every name has the right type.

    Yields:
        A sentence for each column, without which nothing else can be told.
    """
    for name, column in {**schema.Row.columns(), **schema.Labelled.columns()}.items():
        try:
            pl.Series([], dtype=column.dtype)
        except Exception as error:  # polars raises what it likes
            text = str(error).replace("\n\n", ": ").partition("\n")[0]
            yield f"{name} is a dy.{type(column).__name__} that can't be made: {text}"


def check_schema(schema: ProblemSchema) -> Iterator[str]:
    """Find what doesn't fit together in `problem/schema.py`.

    Args:
        schema: The part, of which every name has the right type.

    Yields:
        A sentence for each fault.
    """
    row, labelled = schema.Row.columns(), schema.Labelled.columns()
    if illegal := list(find_illegal_names("Labelled has the column", labelled)):
        yield from illegal
        return  # nothing else can be told by expressions on such columns
    if schema.TIME not in row:
        yield f"TIME names the column {schema.TIME!r}, which Row doesn't have: expected one of {', '.join(row)}"
    elif not isinstance(row[schema.TIME], dy.Datetime):
        kind = type(row[schema.TIME]).__name__
        yield f"TIME names the column {schema.TIME!r}, a dy.{kind}: expected a dy.Datetime"
    elif row[schema.TIME].nullable:
        yield f"TIME names the column {schema.TIME!r}, which may be null: expected nullable=False"
    if lost := [name for name in row if name not in labelled]:
        yield f"Labelled lacks {', '.join(lost)}: expected every column of Row"
    outcome = [name for name in labelled if name not in row]
    if not outcome:
        yield "Labelled has no column that Row hasn't: expected those of the outcome"
    if lost := [name for name, column in row.items() if not column.nullable and name not in schema.EXAMPLE]:
        yield f"EXAMPLE lacks {', '.join(lost)}: expected every column of Row that may not be null"
    for name, record in (("EXAMPLE", schema.EXAMPLE), ("OUTCOME", schema.OUTCOME)):
        if foreign := [f"{column} = {value!r}" for column, value in record.items() if not _is_json(value)]:
            yield f"{name} has {', '.join(foreign)}: expected values as a request has them in JSON, a time as text"
    yield from _find_unknown("EXAMPLE has", schema.EXAMPLE, row, "column of Row")
    yield from _find_unknown("OUTCOME has", schema.OUTCOME, outcome, "column that only Labelled has")
    yield from _check_dtypes(schema)
    for check in schema.CHECKS:
        if faults := list(find_argument_faults(check)):
            yield from (f"CHECKS has {fault}" for fault in faults)
        elif unknown := list(_find_unknown("CHECKS reads", check.columns, row, "column of Row")):
            yield from unknown
        else:
            yield from (f"CHECKS has {fault}" for fault in find_check_faults(check, schema.Row))
    yield from _check_sensitive(schema)
    yield from find_target_faults(schema)
    yield from find_failing_rules(schema.Labelled, schema.Labelled.create_empty())


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _check_dtypes(schema: ProblemSchema) -> Iterator[str]:
    row, labelled = schema.Row.columns(), schema.Labelled.columns()
    for name, column in labelled.items():
        if isinstance(column, dy.Any | dy.Object):
            yield f"{name} is a dy.{type(column).__name__}: expected a type that JSON and Parquet have, as dy.String"
        elif name in row and column.dtype != row[name].dtype:
            yield f"{name} is {row[name].dtype} in Row and {column.dtype} in Labelled: expected the same dtype in both"


def _check_sensitive(schema: ProblemSchema) -> Iterator[str]:
    """Find expressions of `SENSITIVE` that give no groups, or read what the logs can't be asked for."""
    yield from find_illegal_names("SENSITIVE has", schema.SENSITIVE)
    dtypes = {name: column.dtype for name, column in schema.Row.columns().items()}
    for name, expression in schema.SENSITIVE.items():
        read = expression.meta.root_names()
        if unknown := list(_find_unknown(f"SENSITIVE[{name!r}] reads", read, dtypes, "column of Row")):
            yield from unknown
        elif others := [f"{each}, a {dtypes[each]}" for each in read if not is_countable_dtype(dtypes[each])]:
            yield f"SENSITIVE[{name!r}] reads {', '.join(others)}: expected columns of numbers, text, Enum or Boolean"
        elif has_other_rows(expression):
            yield f"SENSITIVE[{name!r}] reads other rows: expected the same group of a row whatever rows are beside it"
        else:
            yield from _check_dtype(f"SENSITIVE[{name!r}]", expression, schema, pl.String())


def _read_task(schema: ProblemSchema) -> Task | None:
    """The task; None where `find_target_faults` has a sentence about it."""
    try:
        return Task.from_schema(schema)
    except Exception:  # whatever the user's function does
        return None


def check_features(part: ProblemFeatures, schema: ProblemSchema) -> Iterator[str]:
    """Find what doesn't fit together in `problem/features.py`.

    Args:
        part: The part, of which every name has the right type.
        schema: The loaded schema, whose columns features read.

    Yields:
        A sentence for each fault.
    """
    if not part.FEATURES:
        yield "FEATURES is empty: expected at least one feature"
    if faults := [fault for feature in part.FEATURES for fault in find_argument_faults(feature)]:
        yield from (f"FEATURES has {fault}" for fault in faults)
        return
    yield from find_illegal_names("FEATURES has", [feature.name for feature in part.FEATURES])
    yield from _find_repeated("FEATURES", [feature.name for feature in part.FEATURES])
    for feature in part.FEATURES:
        verb = f"FEATURES has {feature.name or repr('')}, which reads"
        if unknown := list(_find_unknown(verb, feature.columns, schema.Labelled.columns(), "column of Row")):
            yield from unknown
        else:
            yield from (f"FEATURES has {fault}" for fault in find_feature_faults(feature, schema.Labelled))


def check_candidates(part: ProblemCandidates, schema: ProblemSchema) -> Iterator[str]:
    """Find what doesn't fit together in `problem/candidates.py`.

    Args:
        part: The part, of which every name has the right type.
        schema: The loaded schema, of which candidates may learn other columns than the target.

    Yields:
        A sentence for each fault.
    """
    if not part.CANDIDATES:
        yield "CANDIDATES is empty: expected at least one candidate"
    if "baseline" in part.CANDIDATES:
        yield "CANDIDATES has 'baseline': expected another name, that one is the function's"
    for name, candidate in part.CANDIDATES.items():
        if faults := list(find_argument_faults(candidate)):
            yield from (f"CANDIDATES has {name!r}, a {fault}" for fault in faults)
            continue
        for argument in ("window", "trials"):
            if (count := getattr(candidate, argument)) is not None and count < 1:
                yield f"CANDIDATES has {name!r} with {argument} = {count}: expected at least 1"
        searched = re.compile(rf"{re.escape(name)}-\d+") if candidate.search else None
        if searched and (taken := [other for other in part.CANDIDATES if searched.fullmatch(other)]):
            yield f"CANDIDATES has {taken[0]!r}, as a search of {name!r} is called: expected another name"
        if candidate.learns is not None:
            columns, verb = candidate.learns.meta.root_names(), f"CANDIDATES has {name!r}, which learns"
            yield from _find_unknown(verb, columns, schema.Labelled.columns(), "column of Labelled")


def check_slice_definitions(part: ProblemSlices, schema: ProblemSchema) -> Iterator[str]:
    """Find what doesn't fit together in `problem/slices.py`.

    Args:
        part: The part, of which every name has the right type.
        schema: The loaded schema, whose columns the expressions read.

    Yields:
        A sentence for each fault.
    """
    yield from find_illegal_names("SLICES has", part.SLICES)
    yield from _check_dtype("DAY", part.DAY, schema, pl.Date())
    for name, expression in part.SLICES.items():
        yield from _check_dtype(f"SLICES[{name!r}]", expression, schema, pl.String())


def check_rules(part: ProblemRules, schema: ProblemSchema) -> Iterator[str]:
    """Find what doesn't fit together in `problem/rules.py`.

    Args:
        part: The part, of which every name has the right type.
        schema: The loaded schema, whose columns conditions read.

    Yields:
        A sentence for each fault.
    """
    if faults := [fault for rule in part.RULES for fault in _find_rule_argument_faults(rule)]:
        yield from (f"RULES has {fault}" for fault in faults)
        return
    yield from _find_repeated("RULES", [rule.name for rule in part.RULES])
    row, task = schema.Row.columns(), _read_task(schema)
    if task:
        yield from _check_observed_decisions(part.OBSERVED_DECISIONS, task)
    for rule in part.RULES:
        columns = [rule.when.column] if hasattr(rule.when, "column") else []
        yield from _find_unknown(f"RULES has {rule.name}, which reads", columns, row, "column of Row")
        if task and all(column in row for column in columns):
            yield from find_rule_faults(rule, schema, task)


def _find_rule_argument_faults(rule: Rule) -> Iterator[str]:
    if faults := list(find_argument_faults(rule)):
        yield from faults
        return
    for part in (rule.when, rule.then):
        yield from (f"{rule.name} with {fault}" for fault in find_argument_faults(part))


def _check_observed_decisions(decisions: Sequence[bool | str], task: Task) -> Iterator[str]:
    """Find values that are no decisions of the task; a number that is predicted decides nothing that could be named."""
    possible = {"binary": (True, False), "multiclass": task.classes, "regression": ()}[task.kind]
    if unknown := [repr(value) for value in decisions if value not in possible]:
        expected = f"any of {', '.join(map(repr, possible))}" if possible else "none, as a number is predicted"
        yield f"OBSERVED_DECISIONS has {', '.join(unknown)}, no decision: expected {expected}"


# What to check of a part beside the types of its names.
PART_CHECKS: Mapping[str, Callable[[Any, ProblemSchema], Iterator[str]]] = {
    "schema": lambda part, schema: check_schema(part),
    "source": lambda part, schema: iter(()),
    "features": check_features,
    "candidates": check_candidates,
    "slices": check_slice_definitions,
    "rules": check_rules,
}


def _check_dtype(name: str, expression: pl.Expr, schema: ProblemSchema, expected: pl.DataType) -> Iterator[str]:
    try:
        empty = schema.Labelled.create_empty()
        dtype = empty.select(value=expression).schema["value"]
    except pl.exceptions.PolarsError as error:
        yield f"{name} can't be computed from the columns of Row: {type(error).__name__}: {error}"
        return
    if dtype != expected:
        cast = ", as .cast(pl.String) makes it" if expected == pl.String else ""
        yield f"{name} gives {dtype}: expected {expected}{cast}"
    elif not _gives_a_value_each(expression, make_null_rows(empty, 2)):
        yield f"{name} doesn't give each row a value of its own: expected an expression without max(), first() and such"


def _gives_a_value_each(expression: pl.Expr, rows: pl.DataFrame) -> bool:
    try:
        return rows.select(expression).height == rows.height
    except pl.exceptions.PolarsError:  # it refuses these rows, of nulls
        return True


def _find_unknown(verb: str, used: Iterable[str], known: Iterable[str], kind: str) -> Iterator[str]:
    if unknown := [name for name in used if name not in known]:
        yield f"{verb} {', '.join(name or repr('') for name in unknown)}, no {kind}: expected any of {', '.join(known)}"


def _find_repeated(name: str, values: Sequence[str]) -> Iterator[str]:
    if repeated := sorted({value for value in values if values.count(value) > 1}):
        yield f"{name} has {', '.join(repeated)} more than once: expected a name of its own for each"
