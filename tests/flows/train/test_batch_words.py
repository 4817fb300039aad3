"""Batches in the words of a training."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.steps.train.batch_words import describe_batches
from penumbra.sources import TableFiles


@pytest.mark.parametrize(
    ("options", "words"),
    [({"rows_per_day": 10}, "2000-11 to 2000-12 (made-up days)"), ({}, "2000-11 to 2000-12")],
)
def test_batches_of_made_up_days_are_called_so(options: dict[str, Any], words: str):
    source = TableFiles("orders.csv", time="at", period="month", **options)
    problem: Any = SimpleNamespace(source=SimpleNamespace(parse=source.parse, CONVERSIONS=()))
    assert describe_batches(problem, ["2000-11", "2000-12"]) == words
