"""What bundle.json says of a model version, as objects: its task and its conformal limits. Loads no model library."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.settings import UncertaintySettings
from penumbra.core.task import Task
from penumbra.registry.bundles.manifest import read_bundle_limits

RECIPE_FACT = "recipe"  # its name by the code
SAME_RECIPE_FACT = "same_recipe"  # of the live model that it was compared with, where both predicted the very same


def have_same_recipe(facts: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Tell whether two models have the same recipe: by its name, or as one of them was shown to predict the very same.

    Args:
        facts: The content of bundle.json of one of them; its recipe alone will do.
        others: The same of the other one.

    Returns:
        Whether they do; no where a bundle of an early release names none.
    """
    names, of_other = ({found.get(fact) for fact in (RECIPE_FACT, SAME_RECIPE_FACT)} for found in (facts, others))
    return bool((names & of_other) - {None})


def read_bundle_task(facts: Mapping[str, Any]) -> Task:
    """Read the task that a model was made for.

    Args:
        facts: The content of bundle.json.

    Returns:
        The task; binary where a bundle of the first release doesn't say.
    """
    task = facts.get("task", {"kind": "binary"})
    return Task(task["kind"], tuple(task.get("classes", ())))


def find_bundle_limits(
    facts: Mapping[str, Any], reference: pl.DataFrame, settings: UncertaintySettings
) -> ConformalLimits:
    """Find the conformal limits of a model version, also of one whose bundle has none.

    Args:
        facts: The content of bundle.json.
        reference: The bundle's reference rows, with `penumbra.label` and `penumbra.prediction`.
        settings: Section [uncertainty]: what is promised where the bundle doesn't say.

    Returns:
        The limits of the bundle, or those that its reference rows give.
    """
    if found := read_bundle_limits(facts):
        return found
    known = reference.select(LABEL_COLUMN, PREDICTION_COLUMN).drop_nulls()
    task, labels = read_bundle_task(facts), known[LABEL_COLUMN].to_physical().cast(pl.Float64).to_numpy()
    predictions = known[PREDICTION_COLUMN].to_numpy()
    return ConformalLimits.calibrate(task, labels, predictions, settings.coverage, has_strata=settings.strata)
