from types import SimpleNamespace

import dataframely as dy
import polars as pl
import pytest

from penumbra.core.task import Task, UnsupportedTargetError
from problem import schema


class Sighting(dy.Schema):
    species = dy.Enum(["crow", "owl"])
    grams = dy.Float64()
    note = dy.String()


def problem_with(target: pl.Expr) -> SimpleNamespace:
    return SimpleNamespace(Labelled=Sighting, target=lambda: target)


def test_the_example_is_a_binary_task():
    assert Task.from_schema(schema) == Task("binary")


def test_an_enum_makes_a_multi_class_task_with_its_categories_in_order():
    assert Task.from_schema(problem_with(pl.col("species"))) == Task("multiclass", ("crow", "owl"))


def test_a_number_makes_a_regression():
    assert Task.from_schema(problem_with(pl.col("grams") / 1000)) == Task("regression")


def test_a_target_of_text_is_refused_with_what_was_expected():
    with pytest.raises(UnsupportedTargetError, match="gives String: expected Boolean, an Enum"):
        Task.from_schema(problem_with(pl.col("note")))
