"""Selectors in polars expressions, such as `pl.col("^amount_.*$")`: polars tells nothing of one without the columns."""

import io
import json
from collections.abc import Iterator
from typing import Any

import polars as pl


def replace_selectors(expression: pl.Expr, column: str = "") -> pl.Expr:
    """Put a column in place of each selector.

    Args:
        expression: A polars expression.
        column: The column's name.

    Returns:
        The expression.

    Raises:
        PolarsError: It has a function of Python.
        PanicException: Likewise.
    """
    return _build_expression(_replace_nodes(json.loads(expression.meta.serialize(format="json")), column))


def expand_selectors(expression: pl.Expr, frame: pl.DataFrame) -> list[pl.Expr]:
    """Write an expression once for each column that its selectors choose.

    Args:
        expression: A polars expression.
        frame: A frame with the columns that they choose from.

    Returns:
        The expressions, in the order of the columns of the frame; the expression itself where it has no selector, or a
        function of Python.
    """
    try:
        nodes = [*_find_nodes(json.loads(expression.meta.serialize(format="json")))]
        chosen = [name for node in nodes for name in frame.select(_build_expression(node)).columns]
        return [replace_selectors(expression, name) for name in dict.fromkeys(chosen)] or [expression]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return [expression]


def _build_expression(tree: Any) -> pl.Expr:
    return pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")


def _is_selector(node: Any) -> bool:
    return isinstance(node, dict) and "Selector" in node


def _find_nodes(node: Any) -> Iterator[Any]:
    if _is_selector(node):
        yield node
    elif isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _find_nodes(each)


def _replace_nodes(node: Any, column: str) -> Any:
    if _is_selector(node):
        return {"Column": column}
    if isinstance(node, dict):
        return {key: _replace_nodes(each, column) for key, each in node.items()}
    return [_replace_nodes(each, column) for each in node] if isinstance(node, list) else node
