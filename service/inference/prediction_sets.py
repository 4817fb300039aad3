"""How sure an answer is: its conformal prediction set or interval, by the limits of the version that answered."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from penumbra.core.metrics.conformal import describe_uncertainty
from service.http.refusals import RequestRefused
from service.inference.batch_run import ScoredRecord
from service.inference.live_model import LoadedModel

UNCERTAINTY_FIELD = "uncertainty"


def describe_prediction_sets(model: LoadedModel, scored: Sequence[ScoredRecord]) -> list[dict[str, Any]]:
    """Describe the prediction sets or intervals of some answers.

    Args:
        model: The version that has answered.
        scored: What it answered.

    Returns:
        For each record the field "uncertainty": what `describe_uncertainty` describes, None where no model was asked.

    Raises:
        RequestRefused: 409, as the version has no limits.
    """
    if (limits := model.bundle.limits) is None:
        raise RequestRefused(
            409,
            f"version {model.version} doesn't say how sure it is, as it was trained before that was measured: leave "
            "out ?uncertainty=true, or train a version that does (`penumbra train`)",
        )
    asked = [each.output for each in scored if each.inputs]
    described = iter(describe_uncertainty(limits, np.array(asked, float)) if asked else ())
    return [{UNCERTAINTY_FIELD: next(described) if each.inputs else None} for each in scored]
