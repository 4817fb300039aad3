"""The details of answers: what a request asks for beside them by an option of its query, each by one function.

They are made of what the model has answered, are no part of the prediction log, and change nothing in an answer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from service.http.refusals import RequestRefused
from service.inference.batch_run import ScoredRecord
from service.inference.live_model import LoadedModel
from service.inference.prediction_sets import UNCERTAINTY_FIELD, describe_prediction_sets

DetailValues = Sequence[dict[str, Any]]  # for each record its fields beside the answer's


class Detail(NamedTuple):
    """An option of `POST /predict`: what it asks for, in words, and the function that makes it.

    The function is given the records that one version has scored; one without `inputs` was answered without its model.
    It returns the additional fields of each answer, or raises RequestRefused where the version has none.
    """

    words: str
    describe: Callable[[LoadedModel, Sequence[ScoredRecord]], DetailValues]


DETAILS: dict[str, Detail] = {
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
    if not options:
        return fields
    for version in dict.fromkeys(each.model for each in scored):
        if version not in models:
            raise RequestRefused(503, f"version {version} was replaced as it answered: ask again")
        positions = [position for position, each in enumerate(scored) if each.model == version]
        for option in options:
            described = DETAILS[option].describe(models[version], [scored[position] for position in positions])
            for position, more in zip(positions, described, strict=True):
                fields[position] |= more
    return fields
