"""What a bundle has beside the model: its facts, its card, and the manifest that seals it."""

import dataclasses
from pathlib import Path

import msgspec

from flows.steps.train.release.card_records import write_card_files
from flows.steps.train.release.conformal_calibration import calibrate_winner
from flows.steps.train.release.outcome import TrainingOutcome
from penumbra.core.contract.contract_changes import describe_contract
from penumbra.registry.bundles import bundle_writing
from penumbra.registry.bundles.manifest import LIMITS_FACT, MANIFEST_FILE
from penumbra.registry.bundles.signatures import sign_manifest
from penumbra.registry.bundles.version_facts import RECIPE_FACT, SAME_RECIPE_FACT
from penumbra.training.fit import compute_baseline, count_category_values


def complete_bundle(outcome: TrainingOutcome) -> Path:
    """Write the card, and the manifest of the bundle whose folder has the model already.

    Args:
        outcome: The result of the training.

    Returns:
        The bundle's folder.
    """
    matrices, arrays, live = outcome.matrices, outcome.matrices.arrays, outcome.gate.live
    folder = arrays.folder / "bundle"
    limits = calibrate_winner(outcome.settings.uncertainty, matrices, outcome.winner, outcome.plan.split)
    facts = {
        "candidate": outcome.winner.candidate,
        "parameters": outcome.winner.parameters,
        RECIPE_FACT: outcome.plan.fingerprint_recipe(outcome.winner),
        **({SAME_RECIPE_FACT: live.facts.get(RECIPE_FACT)} if live and outcome.gate.is_same else {}),
        "task": dataclasses.asdict(matrices.task),
        "contract": describe_contract(matrices.problem.schema.Row),
        **({"threshold": outcome.settings.training.threshold} if matrices.task.kind == "binary" else {}),
        "metrics": outcome.tested[0].scores,
        "importance": outcome.tested[0].curves["importance"],
        "baseline": compute_baseline(
            matrices.task, arrays.read("labels"), matrices.read_weights(outcome.plan.split.all)
        ),
        LIMITS_FACT: msgspec.to_builtins(limits),
        "counts": count_category_values(arrays.read("inputs"), matrices.columns["categorical"], matrices.tables),
        **outcome.plan.facts,
    }
    write_card_files(outcome, facts, folder)
    bundle_writing.seal_bundle(folder, facts, matrices.problem.features.FEATURES, matrices.tables)
    sign_manifest(folder / MANIFEST_FILE)
    return folder
