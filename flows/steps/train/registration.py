"""The end of a training run: bundle, MLflow runs, model version with its alias, ledger and receipt."""

import dataclasses
from pathlib import Path

from flows.steps.train.outcome import TrainingOutcome, describe_outcome
from flows.steps.train.run_record import record_training_runs
from penumbra.core.actor import get_actor
from penumbra.core.contract_changes import describe_contract
from penumbra.data.failure_set import FailureSet
from penumbra.registry import aliases, bundle
from penumbra.registry.ledger import Ledger, LedgerEvent
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS
from penumbra.storage.cache import RunReceipts
from penumbra.training.fit import compute_baseline, count_category_values
from penumbra.training.split import format_batch_range


def register_outcome(outcome: TrainingOutcome, reason: str = "") -> str:
    """Record the result of a training, register the model version, if it can be served, and set its alias.

    Args:
        outcome: The result.
        reason: Why it was trained, "" if nobody said.

    Returns:
        The words that `make train` ends with, which are also kept as a receipt.
    """
    settings, plan = outcome.settings, outcome.plan
    models = ModelRegistry(settings.registry)
    run = record_training_runs(models, outcome, complete_bundle(outcome), reason)
    tags = {"fingerprint": plan.fingerprint, "data_version": plan.facts["data_version"]}
    version = models.register(run, "bundle", tags) if outcome.gate.report.is_servable else ""
    with aliases.hold_alias_lock(settings.ledger.folder):
        if alias := _choose_alias(models, outcome):
            models.set_alias(alias, version)
    if outcome.gate.failed.height:
        FailureSet(settings.training.failures, outcome.matrices.problem.schema.Row).add(outcome.gate.failed)
    _append_verdict(outcome, version, alias)
    text = describe_outcome(outcome, version, alias)
    RunReceipts(settings.training.folder).save(plan.fingerprint, text)
    return text


def complete_bundle(outcome: TrainingOutcome) -> Path:
    """Write the manifest of the bundle whose folder has the model already.

    Args:
        outcome: The result of the training.

    Returns:
        The bundle's folder.
    """
    matrices, arrays = outcome.matrices, outcome.matrices.arrays
    folder = arrays.folder / "bundle"
    categorical = matrices.columns["categorical"]
    facts = {
        "candidate": outcome.winner.candidate,
        "parameters": outcome.winner.parameters,
        "recipe": outcome.plan.fingerprint_recipe(outcome.winner),
        "task": dataclasses.asdict(matrices.task),
        "contract": describe_contract(matrices.problem.schema.Row),
        **({"threshold": outcome.settings.training.threshold} if matrices.task.kind == "binary" else {}),
        "metrics": outcome.tested[0].scores,
        "baseline": compute_baseline(matrices.task, arrays.read("labels")),
        "counts": count_category_values(arrays.read("inputs"), categorical, matrices.tables),
        **outcome.plan.facts,
    }
    bundle.seal_bundle(folder, facts, matrices.problem.features.FEATURES, matrices.tables)
    return folder


def _choose_alias(models: ModelRegistry, outcome: TrainingOutcome) -> str:
    """Return "live" for the first model, "candidate" for a later one, and "" for one that fails at the gate."""
    if outcome.gate.report.overall == "fail":
        return ""
    return CANDIDATE_ALIAS if models.version(LIVE_ALIAS) else LIVE_ALIAS


def _append_verdict(outcome: TrainingOutcome, version: str, alias: str) -> None:
    """Enter the verdict into the ledger, and the first model's promotion."""
    live, facts = outcome.gate.live, outcome.plan.facts
    verdict = LedgerEvent(
        kind="verdict",
        verdict=outcome.gate.report.overall,
        actor=get_actor(),
        reason=f"gate on {format_batch_range(outcome.plan.split.test)}",
        versions={**({CANDIDATE_ALIAS: version} if version else {}), **({LIVE_ALIAS: live.version} if live else {})},
        data_version=facts["data_version"],
        settings=facts["settings"],
        evidence=outcome.gate.report.facts(),
    )
    ledger = Ledger(outcome.settings.ledger.folder)
    ledger.append(verdict)
    if alias == LIVE_ALIAS:
        promotion = LedgerEvent(
            kind="promotion",
            verdict="promote",
            reason="there was no live model",
            actor=get_actor(),
            versions={LIVE_ALIAS: version},
            data_version=facts["data_version"],
        )
        ledger.append(promotion)
