"""The form of an answer, and how labels and predictions are written."""

from types import SimpleNamespace

import dataframely as dy
import polars as pl
import pytest

from penumbra.core.task import Task
from penumbra.reviews.label_form import build_label_form, format_output, format_target

SKY = Task("multiclass", ("clear", "fog"))


class Row(dy.Schema):
    place = dy.String()


class Judged(Row):
    late = dy.Bool(nullable=True)
    sky = dy.Enum(["clear", "fog"])
    delay = dy.Int16(min=-9, max=99)
    degrees = dy.Float64()
    day = dy.Date()


def test_each_outcome_column_is_a_field_by_its_dtype_with_the_contract_s_bounds():
    schema = SimpleNamespace(Row=Row, Labelled=Judged, target=lambda: pl.col("sky"))
    fields = build_label_form(schema)
    assert [field["name"] for field in fields if field.pop("tells_target")] == ["sky"]
    assert fields == [
        {"name": "late", "nullable": True, "kind": "boolean"},
        {"name": "sky", "nullable": False, "kind": "classes", "classes": ["clear", "fog"]},
        {"name": "delay", "nullable": False, "kind": "whole", "min": -9, "max": 99},
        {"name": "degrees", "nullable": False, "kind": "number"},
        {"name": "day", "nullable": False, "kind": "text"},
    ]


@pytest.mark.parametrize(
    ("task", "target", "text"),
    [
        (Task("binary"), True, "yes"),
        (Task("binary"), False, "no"),
        (SKY, 1, "fog"),
        (SKY, "clear", "clear"),
        (Task("regression"), 51.25, "51.25"),
        (Task("regression"), 1234567.0, "1234567"),
    ],
)
def test_a_target_is_written_in_words(task, target, text):
    assert format_target(task, target) == text


@pytest.mark.parametrize(
    ("task", "output", "text"),
    [
        (Task("binary"), 0.618, "probability 0.62"),
        (SKY, [0.25, 0.75], "fog 0.75, clear 0.25"),
        (Task("regression"), 51.123456789, "51.1235"),
        (Task("regression"), -1234567.4, "-1234567"),
        (Task("binary"), [0.25, 0.75], "an answer of another task"),
        (SKY, [0.25, 0.25, 0.5], "an answer of another task"),
        (SKY, 0.25, "an answer of another task"),
    ],
)
def test_an_output_is_written_with_what_it_is(task, output, text):
    assert format_output(task, output) == text
