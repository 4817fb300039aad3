"""What differs between the live model and the code of here: contract, features, code, settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flows.steps.train.plan import TrainingPlan
from penumbra.core.contract.contract_changes import describe_contract, list_contract_changes
from penumbra.core.contract.feature_specs import FeatureSpec, describe_features, name_feature_spec
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.training.evaluation.comparison import list_code_changes, list_value_changes
from penumbra.training.evaluation.evaluate import TrialJob

COMPARED_SECTIONS = ("training", "gate", "promotion")
COMPARED_VALUES = ("candidate", "parameters", "settings", "environment")


def list_model_changes(
    live: Mapping[str, Any], settings: Settings, problem: Problem, plan: TrainingPlan, job: TrialJob
) -> list[str]:
    """List what differs from what made the live model.

    Args:
        live: The facts of the live model's bundle.
        settings: The project's, of which those that shape a model are compared.
        problem: The problem, with schema and features.
        plan: The plan of the trial.
        job: The candidate with the lowest loss.

    Returns:
        A sentence for each difference.
    """
    contract = list_contract_changes(live.get("contract", {}), describe_contract(problem.schema.Row))
    features = _list_feature_changes(live["inputs"], describe_features(problem.features.FEATURES))
    now = {
        **{name: plan.facts[name] for name in ("files", "revision")},
        **{"candidate": job.candidate, "parameters": dict(job.parameters)},
        "settings": settings.describe_sections(*COMPARED_SECTIONS),
        "environment": _drop_platform(plan.facts["environment"]),
    }
    sections = {name: live["settings"].get(name, {}) for name in COMPARED_SECTIONS}
    then = {**live, "settings": sections, "environment": _drop_platform(live["environment"])}
    values = list_value_changes(then, now, COMPARED_VALUES)
    return [*contract, *features, *list_code_changes(then, now), *values]


def _drop_platform(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what differs between a pipeline's machines and others, whatever the change."""
    return {name: value for name, value in environment.items() if name not in ("platform", "python")}


def _list_feature_changes(then: Sequence[FeatureSpec], now: Sequence[FeatureSpec]) -> Iterator[str]:
    for title, these, others in (("left out", then, now), ("new", now, then)):
        if names := [name_feature_spec(spec) for spec in these if spec not in others]:
            yield f"features {title}: {', '.join(names)}"
