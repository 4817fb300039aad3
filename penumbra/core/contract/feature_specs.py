"""Features as plain JSON, in which they travel with a model; reading them executes nothing.

A feature is `{"kind": "Number", "column": "age"}`: the name of its kind, and its fields. An `Expression` is kept in
polars' own JSON, beside the polars version that wrote it and its text. Releases before wrote the features' `repr`.
"""

import ast
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import dataframely as dy
import polars as pl

from penumbra.features import Expression, Feature

FEATURE_KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(Feature)}
# Parts of names in polars' JSON that stand for code outside polars: Python functions, shared libraries, other queries.
FOREIGN_CODE_MARKS = ("anonymous", "python", "plugin", "ffi", "callback", "subplan", "scan")
SHORTEST_CODE = 16  # bytes

FeatureSpec = Mapping[str, Any] | str


class UnportableFeature(ValueError):
    """The feature can't travel with a model; names it and says why."""


class UnreadableFeature(ValueError):
    """The description of a feature can't be read by this code; says which one and why."""


def describe_features(features: Sequence[Feature]) -> list[dict[str, Any]]:
    """Describe features as plain JSON.

    Args:
        features: The features, in the order of the matrix's columns.

    Returns:
        A description for each, equal for equal features.

    Raises:
        UnportableFeature: One of them is an expression with a Python function or a plugin.
    """
    return [_describe_feature(feature) for feature in features]


def read_features(
    specs: Sequence[FeatureSpec], row: type[dy.Schema], known: Sequence[Feature] = ()
) -> tuple[Feature, ...]:
    """Read features from their descriptions.

    Args:
        specs: What `describe_features` returned, or the `repr` of each feature.
        row: The contract, which gives the dtypes of the columns that expressions read.
        known: Features to take where a description can't be read, but is that of one of them.

    Returns:
        The features, in the order of the descriptions.

    Raises:
        UnreadableFeature: A description is of a kind or with fields that this code doesn't have, contains code that
            isn't polars', or is an expression of a polars version that this one can't read.
    """
    by_text = {repr(feature): feature for feature in known}
    return tuple(_read_feature(spec, row, by_text) for spec in specs)


def describe_expression(expression: pl.Expr) -> str:
    """Describe an expression in full; its own text cuts long literals short.

    Args:
        expression: Any expression.

    Returns:
        polars' JSON, equal for equal expressions in every process; the text of one with code that isn't polars'.
    """
    try:
        content = _serialize_expression(expression)
    except pl.exceptions.PolarsError:
        return str(expression)
    return str(expression) if any(_list_foreign_code(content)) else json.dumps(content)


def name_feature_spec(spec: FeatureSpec) -> str:
    """Name a described feature.

    Args:
        spec: Its description.

    Returns:
        Such as "Number(age)"; of an expression its name.
    """
    if isinstance(spec, str):
        return spec
    if spec["kind"] == "Expression":
        return f"Expression({spec['name']})"
    return f"{spec['kind']}({', '.join(str(value) for key, value in spec.items() if key != 'kind')})"


def find_foreign_code(feature: Feature) -> str:
    """Find code in a feature that isn't polars' own and could be executed by reading the feature back.

    Args:
        feature: The feature.

    Returns:
        What polars calls it, such as "AnonymousFunction" for a Python function; "" if there is none.
    """
    content = _serialize_expression(feature.expression) if isinstance(feature, Expression) else None
    return next(_list_foreign_code(content), "")


def _describe_feature(feature: Feature) -> dict[str, Any]:
    if isinstance(feature, Expression):
        if mark := find_foreign_code(feature):
            raise UnportableFeature(
                f"the feature {feature.name} has code that isn't polars' ({mark}): no model carries it"
            )
        content, text = _serialize_expression(feature.expression), repr(feature)
        return {
            "kind": "Expression",
            "name": feature.name,
            "expression": content,
            "polars": pl.__version__,
            "text": text,
        }
    fields = {field.name: getattr(feature, field.name) for field in dataclasses.fields(feature)}
    return {"kind": type(feature).__name__, **fields}


def _serialize_expression(expression: pl.Expr) -> Any:
    return json.loads(expression.meta.serialize(format="json"))


def _list_foreign_code(node: Any, within: str = "") -> Iterator[str]:
    """Yield the names in polars' JSON below which there is foreign code: by name, or bytes that are no literal's."""
    if isinstance(node, dict):
        for name, content in node.items():
            if any(mark in name.lower() for mark in FOREIGN_CODE_MARKS):
                yield name
            yield from () if name == "Literal" else _list_foreign_code(content, name)
    elif isinstance(node, list):
        if len(node) >= SHORTEST_CODE and all(isinstance(item, int) for item in node):
            yield within
        for item in node:
            yield from _list_foreign_code(item, within)


def _read_feature(spec: FeatureSpec, row: type[dy.Schema], known: Mapping[str, Feature]) -> Feature:
    text = spec if isinstance(spec, str) else spec.get("text", "")
    try:
        return _build_feature(_parse_repr(spec) if isinstance(spec, str) else dict(spec), row)
    except UnreadableFeature:
        if text in known:
            return known[text]
        raise


def _build_feature(fields: dict[str, Any], row: type[dy.Schema]) -> Feature:
    kind = fields.pop("kind", None)
    if kind == "Expression":
        return Expression(fields["name"], _read_expression(fields), row)
    try:
        return FEATURE_KINDS[kind](**fields)
    except (KeyError, TypeError):
        raise UnreadableFeature(f"{kind} with {fields}, a kind of feature that this code doesn't have") from None


def _read_expression(fields: Mapping[str, Any]) -> pl.Expr:
    if mark := next(_list_foreign_code(fields["expression"]), ""):
        raise UnreadableFeature(f"the expression {fields['name']}, which has code that isn't polars' ({mark})")
    try:
        return pl.Expr.deserialize(json.dumps(fields["expression"]).encode(), format="json")
    except pl.exceptions.PolarsError:
        raise UnreadableFeature(
            f"the expression {fields['name']}, written by polars {fields['polars']}, which polars {pl.__version__} "
            "can't read"
        ) from None


def _parse_repr(text: str) -> dict[str, Any]:
    """Read `Number(column='age')` without evaluating it."""
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id != "Expression":
            fields = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
            return {"kind": call.func.id, **fields}
    except (SyntaxError, ValueError):
        pass
    raise UnreadableFeature(f"{text}, described by an earlier release, which this code has no more")
