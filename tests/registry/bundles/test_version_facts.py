import dataclasses

import msgspec
import polars as pl
import pytest

from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.registry.bundles.manifest import read_bundle_limits
from penumbra.registry.bundles.version_facts import find_bundle_limits, have_same_recipe

SETTINGS = load_settings().uncertainty.model_copy(update={"coverage": 0.8, "strata": True})
LIMITS = ConformalLimits(0.95, "cross", 5000, [False, True], [0.2, None])
NUMBERS = pl.DataFrame({"penumbra.label": [1.0, 2.0, None, *([3.0] * 8)], "penumbra.prediction": [0.0] * 11})
SPECIES = pl.DataFrame(
    {
        "penumbra.label": pl.Series(["owl"] * 10 + ["wren"] * 2, dtype=pl.Enum(["owl", "wren"])),
        "penumbra.prediction": pl.Series([[0.75, 0.25]] * 12, dtype=pl.Array(pl.Float64, 2)),
    }
)


def describe(task):
    return {"task": dataclasses.asdict(task)}


def test_the_limits_of_a_bundle_are_its_own_whatever_the_settings_are_by_now():
    facts = {**describe(Task("binary")), "uncertainty": msgspec.to_builtins(LIMITS)}
    assert read_bundle_limits(facts) == LIMITS
    assert find_bundle_limits(facts, pl.DataFrame(), SETTINGS) == LIMITS


@pytest.mark.parametrize(
    ("task", "reference", "limits"),
    [(Task("regression"), NUMBERS, [3.0]), (Task("multiclass", ("owl", "wren")), SPECIES, [0.25, None])],
)
def test_a_bundle_of_an_earlier_release_has_those_of_its_reference_rows(task, reference, limits):
    assert read_bundle_limits(describe(task)) is None
    found = find_bundle_limits(describe(task), reference, SETTINGS)
    assert (found.coverage, found.limits) == (0.8, limits)
    at_once = SETTINGS.model_copy(update={"strata": False})
    if task.classes:
        assert find_bundle_limits(describe(task), reference, at_once).limits == [0.75, 0.75]


@pytest.mark.parametrize(
    ("facts", "others", "same"),
    [
        ({"recipe": "a"}, {"recipe": "a"}, True),
        ({"recipe": "a"}, {"recipe": "b"}, False),
        ({"recipe": "a"}, {"recipe": "b", "same_recipe": "a"}, True),
        ({"recipe": "b", "same_recipe": "a"}, {"recipe": "a"}, True),
        ({"recipe": "b", "same_recipe": "a"}, {"recipe": "c"}, False),
        ({"recipe": "a"}, {"recipe": "b", "same_recipe": None}, False),
        ({}, {}, False),
    ],
)
def test_two_models_have_the_same_recipe_by_its_name_or_by_what_the_gate_found(facts, others, same):
    assert have_same_recipe(facts, others) == same
