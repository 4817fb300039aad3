"""The end of a training run: the gate's verdict, the bundle, the MLflow runs, the version and its alias, the words."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.steps.train import gate_evaluation
from flows.steps.train.gate_evaluation import GateOutcome
from flows.steps.train.matrices import TRAINING_SET_ARTIFACT, Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.actor import get_actor
from penumbra.core.settings import DataSettings, Settings
from penumbra.data import versions
from penumbra.data.failure_set import FailureSet
from penumbra.registry import aliases, bundle
from penumbra.registry.ledger import Ledger, LedgerEvent
from penumbra.registry.models import FinishedRun, ModelRegistry
from penumbra.storage.receipts import RunReceipts
from penumbra.training import priors, summary
from penumbra.training.gate_checks import ServingMeasurements
from penumbra.training.trial import Trial, TrialJob, score_predictions
from problem.features import FEATURES
from problem.schema import Row

LIVE_ROLE, CANDIDATE_ROLE = "live", "candidate"
PLAIN_TAG_FACTS = ("data_version", "revision", "fingerprint")
JSON_TAG_FACTS = ("settings", "environment")


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training run came to: trials on validation, the winner's and its rivals' on the test batches, the gate."""

    settings: Settings
    plan: TrainingPlan
    matrices: Matrices
    winner: TrialJob
    trials: list[Trial]
    tested: list[Trial]
    cost: ServingMeasurements
    held: GateOutcome

    @property
    def evaluation_folder(self) -> Path:
        """The folder of tables and pictures."""
        return self.matrices.arrays.folder / "evaluation"


def build_outcome(score: Any, trials: list[Trial], cost: ServingMeasurements) -> TrainingOutcome:
    """`score` is the task that scored the winner on the test batches."""
    begun = score.settings, score.plan, score.matrices, score.winner
    held = gate_evaluation.evaluate_gate(*begun, "test", cost)
    return TrainingOutcome(*begun, trials, [*score.tested, *_score_live(score, held)], cost, held)


def register_outcome(made: TrainingOutcome, reason: str = "") -> str:
    """Write everything in its order; returns the words that `make train` ends with. `reason`: why it was trained."""
    models, plan = ModelRegistry(made.settings.registry), made.plan
    run = record_training_runs(models, made, complete_bundle(made), reason)
    tags = {"fingerprint": plan.fingerprint, "data_version": plan.facts["data_version"]}
    version = models.register(run, "bundle", tags)
    with aliases.hold_alias_lock(made.settings.ledger.folder):
        if alias := _choose_alias(models, made):
            models.set_alias(alias, version)
    if made.held.failed.height:
        FailureSet(made.settings.training.failures, Row).add(made.held.failed)
    _append_verdict(made, version, alias)
    text = describe_outcome(made, version, alias)
    RunReceipts(made.settings.training.folder).save(plan.fingerprint, text)
    return text


def complete_bundle(made: TrainingOutcome) -> Path:
    """Complete the folder that holds the compiled model already."""
    matrices = made.matrices
    folder = matrices.arrays.folder / "bundle"
    facts = {
        "candidate": made.winner.candidate,
        "parameters": made.winner.parameters,
        "recipe": made.plan.fingerprint_recipe(made.winner),
        "task": dataclasses.asdict(matrices.task),
        "threshold": made.settings.training.threshold,
        "metrics": made.tested[0].scores,
        "baseline": priors.compute_baseline(matrices.task, matrices.arrays.read("labels")),
        "counts": priors.count_category_values(
            matrices.arrays.read("inputs"), matrices.columns["categorical"], matrices.tables
        ),
        **made.plan.facts,
    }
    bundle.seal_bundle(folder, facts, FEATURES, matrices.tables)
    return folder


def record_training_runs(models: ModelRegistry, made: TrainingOutcome, folder: Path, reason: str) -> str:
    """One run with the bundle, and one child a candidate; returns the run's id."""
    winner, plan, arrays = made.tested[0], made.plan, made.matrices.arrays
    params = {"candidate": winner.candidate, **{part: plan.facts[part] for part in ("train", "validation", "test")}}
    metrics = {f"test_{key}": value for key, value in winner.scores.items()}
    metrics |= build_comparable_metrics(winner, made.held, made.cost)
    began = min(trial.began for trial in made.trials)
    tagged = build_run_tags(plan, made.winner, "train", made.held) | ({"reason": reason} if reason else {})
    run = FinishedRun(f"train {winner.job}", began, winner.ended, params, metrics, tagged)
    pointer = versions.get_dvc_file(DataSettings(**plan.facts["settings"]["data"]))
    artifacts = {
        "bundle": folder,
        "data": pointer,
        "evaluation": made.evaluation_folder,
        TRAINING_SET_ARTIFACT: arrays.folder / TRAINING_SET_ARTIFACT,
    }
    run_id = models.record(run, artifacts=artifacts, data_version=plan.facts["data_version"])
    for trial in made.trials:
        scores = {"fit_seconds": trial.fit_seconds, **trial.scores, **trial.report}
        models.record(
            FinishedRun(str(trial.job), trial.began, trial.ended, trial.job.parameters, scores), parent=run_id
        )
    return run_id


def build_comparable_metrics(trial: Trial, held: GateOutcome, cost: ServingMeasurements) -> dict[str, float]:
    """The figures that runs of every kind have, for `make compare`."""
    _, interval = next(iter(held.intervals.items()))
    return {
        "loss": interval.value,
        "loss_low": interval.low,
        "loss_high": interval.high,
        "fit_seconds": trial.fit_seconds,
        "latency_us": cost.microseconds,
        "size_bytes": cost.size,
    }


def build_run_tags(plan: TrainingPlan, job: TrialJob, kind: str, held: GateOutcome) -> dict[str, str]:
    """What made a run, for `make compare` and for people who look into MLflow."""
    named = ("data_version", "train", "revision", "files")
    judged = plan.split.test if kind == "train" else plan.split.validation
    facts: Mapping[str, Any] = {
        "kind": kind,
        "candidate": job.candidate,
        "parameters": dict(job.parameters),
        "judged": judged,
        "gate": held.report.overall,
        **{key: plan.facts[key] for key in named},
    }
    written = {"facts": facts, "gate": held.report.facts(), **{key: plan.facts[key] for key in JSON_TAG_FACTS}}
    tagged = {key: plan.facts[key] for key in PLAIN_TAG_FACTS}
    return {"kind": kind, **tagged, **{key: json.dumps(value) for key, value in written.items()}}


def describe_outcome(made: TrainingOutcome, version: str, alias: str) -> str:
    """The last thing that `make train` says."""
    plan, winner, gate = made.plan, made.winner.candidate, made.held.report
    state, advice = {
        LIVE_ROLE: ("is live", "Next: `make serve` answers with it on POST /predict."),
        CANDIDATE_ROLE: (
            "is the candidate",
            "Next: it is scored in the shadow of the live model, which goes on answering.",
        ),
        "": ("did not pass the gate and stays out of service", "Next: see the check that failed; `make compare`."),
    }[alias]
    return "\n".join(
        [
            f"Version {version} {state}: {winner}, fitted on {summary.format_batch_range(plan.split.all)}",
            f"(data {plan.facts['data_version'][:8]}, code {plan.facts['revision'][:8]}). "
            f"Its recipe, fitted on the batches before, scored on {summary.format_batch_range(plan.split.test)}:",
            "",
            summary.format_score_table([(trial.candidate, trial.scores) for trial in made.tested]),
            "",
            str(gate),
            "",
            advice,
            "",
        ]
    )


def _score_live(score: Any, held: GateOutcome) -> list[Trial]:
    """The live model's scores, where it has learnt from none of the test rows."""
    if held.live is None:
        return []
    name = f"live (version {held.live.version})"
    if not held.live.known.all():
        print(f"no scores of {name}: it has learnt from {summary.format_batch_range(score.plan.split.test)}")
        return []
    labels = score.matrices.judged(score.plan.split.test)[1]
    return [score_predictions(name, score.matrices.task, labels, held.live.said)]


def _choose_alias(models: ModelRegistry, made: TrainingOutcome) -> str:
    """The first model is live, a later one the candidate; one that fails at the gate is neither."""
    if made.held.report.overall == "fail":
        return ""
    return CANDIDATE_ROLE if models.version(LIVE_ROLE) else LIVE_ROLE


def _append_verdict(made: TrainingOutcome, version: str, alias: str) -> None:
    """The verdict into the ledger, and the first model's promotion."""
    live = made.held.live
    against = {"live": live.version} if live else {}
    event = LedgerEvent(
        kind="verdict",
        verdict=made.held.report.overall,
        actor=get_actor(),
        reason=f"gate on {summary.format_batch_range(made.plan.split.test)}",
        versions={CANDIDATE_ROLE: version, **against},
        data_version=made.plan.facts["data_version"],
        settings=made.plan.facts["settings"],
        evidence=made.held.report.facts(),
    )
    ledger = Ledger(made.settings.ledger.folder)
    ledger.append(event)
    if alias == LIVE_ROLE:
        first = {"kind": "promotion", "verdict": "promote", "reason": "there was no live model"}
        ledger.append(
            LedgerEvent(**first, actor=get_actor(), versions={LIVE_ROLE: version}, data_version=event.data_version)
        )
