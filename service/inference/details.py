"""The details of answers: what a request asks for beside them by an option of its query, each by one function.

They are made of what the model has answered, are no part of the prediction log, and change nothing in an answer.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from penumbra.core.attributions.additive_model import NotExplainable
from penumbra.core.metrics.conformal import describe_uncertainty
from penumbra.registry.bundles.explanations import describe_explanations
from service.http.refusals import Fault, RequestRefused
from service.inference.models.live_model import LoadedModel
from service.inference.runs.batch_run import ScoredRecord

EXPLAIN_OPTION, UNCERTAINTY_FIELD = "explain", "uncertainty"
PART_RECORDS = 32  # after which another request has its turn, and a cancelled one ends

DetailValues = Sequence[dict[str, Any]]  # for each record its fields beside the answer's


class Detail(NamedTuple):
    """An option of `POST /predict`: what it asks for, in words, and the function that makes it.

    The function is given the records that one version has scored; one without `inputs` was answered without its model.
    It returns the additional fields of each answer, or raises RequestRefused where the version has none.
    """

    words: str
    describe: Callable[[LoadedModel, Sequence[ScoredRecord]], DetailValues]


def explain_answers(model: LoadedModel, scored: Sequence[ScoredRecord]) -> DetailValues:
    """Explain the answers of one version.

    Args:
        model: The version.
        scored: What it has answered.

    Returns:
        For each record `explanation`: see `describe_explanations`; None where its model wasn't asked.

    Raises:
        RequestRefused: 422, the version's model can't be explained.
    """
    asked = [each.inputs for each in scored if each.inputs]
    try:
        explained = iter(describe_explanations(model.bundle, np.array(asked, float)) if asked else ())
    except NotExplainable as reason:
        refused = f"version {model.version} of the model can't explain its answers, as {reason}: nothing was predicted"
        raise RequestRefused(422, refused, [_name_option(EXPLAIN_OPTION, model)]) from None
    return [{"explanation": next(explained) if each.inputs else None} for each in scored]


def describe_prediction_sets(model: LoadedModel, scored: Sequence[ScoredRecord]) -> list[dict[str, Any]]:
    """Describe the prediction sets or intervals of some answers.

    Args:
        model: The version that has answered.
        scored: What it answered.

    Returns:
        For each record the field "uncertainty": what `describe_uncertainty` describes, None where no model was asked.

    Raises:
        RequestRefused: 422, as the version has no limits.
    """
    if (limits := model.bundle.limits) is None:
        raise RequestRefused(
            422,
            f"version {model.version} doesn't say how sure it is, as it was trained before that was measured: leave "
            "out ?uncertainty=true, or train a version that does (`penumbra train`)",
            [_name_option(UNCERTAINTY_FIELD, model)],
        )
    asked = [each.output for each in scored if each.inputs]
    described = iter(describe_uncertainty(limits, np.array(asked, float)) if asked else ())
    return [{UNCERTAINTY_FIELD: next(described) if each.inputs else None} for each in scored]


def _name_option(option: str, model: LoadedModel) -> Fault:
    return {"field": option, "value": "true", "expected": f"false, as version {model.version} has no answer to it"}


DETAILS: dict[str, Detail] = {
    EXPLAIN_OPTION: Detail("Also why: how far each feature has moved the model's score.", explain_answers),
    UNCERTAINTY_FIELD: Detail(
        "Also how sure the answer is: the classes, or the interval, that hold the truth in a share of the cases.",
        describe_prediction_sets,
    ),
}
OPTIONS: Mapping[str, str] = {name: detail.words for name, detail in DETAILS.items()}


def describe_details(
    models: Mapping[str, LoadedModel], scored: Sequence[ScoredRecord], options: Collection[str]
) -> DetailValues:
    """Make the details of the answers to some records.

    Args:
        models: The loaded models by version.
        scored: What the records' models have answered.
        options: The options that the request asks for.

    Returns:
        For each record the additional fields of its answer.

    Raises:
        RequestRefused: A version has no such detail, or 503 where it was replaced meanwhile.
    """
    fields: list[dict[str, Any]] = [{} for _ in scored]
    for version in dict.fromkeys(each.model for each in scored):
        if version not in models:
            raise RequestRefused(503, f"version {version} was replaced as it answered: ask again")
        positions = [position for position, each in enumerate(scored) if each.model == version]
        for option in options:
            described = DETAILS[option].describe(models[version], [scored[position] for position in positions])
            for position, more in zip(positions, described, strict=True):
                fields[position] |= more
    return fields


class DetailThread:
    """Makes details in one thread of their own, a part of a request's records after the other.

    The threads that score lists don't wait for them, requests with details take turns, and one that is cancelled, as at
    its time limit, takes no more than the part that has begun.
    """

    def __init__(self) -> None:
        """The thread starts when it is first needed."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="details")

    async def describe(
        self, models: Mapping[str, LoadedModel], scored: Sequence[ScoredRecord], options: Collection[str]
    ) -> DetailValues:
        """Make the details of answers.

        Args:
            models: The loaded models by version.
            scored: What the records' models have answered.
            options: The options that the request asks for.

        Returns:
            See `describe_details`; nothing where no option is asked for.

        Raises:
            RequestRefused: As of `describe_details`.
        """
        if not options:
            return ()
        loop = asyncio.get_running_loop()
        fields: list[dict[str, Any]] = []
        for first in range(0, len(scored), PART_RECORDS):
            part = scored[first : first + PART_RECORDS]
            fields += await loop.run_in_executor(self._thread, describe_details, models, part, options)
        return fields
