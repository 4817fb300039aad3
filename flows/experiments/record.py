"""The end of a training run: the gate's verdict, the bundle, the MLflow runs, the version and its alias, the words."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.experiments import gating
from flows.experiments.gating import Held
from flows.experiments.matrices import LESSON, Matrices
from flows.experiments.plan import Plan
from flows.who import actor
from problem.features import FEATURES
from problem.schema import Row
from settings import Data, Settings
from stores import bundle, moves, versions
from stores.failures import Failures
from stores.ledger import Event, Ledger
from stores.models import Models, Run
from stores.receipts import Receipts
from training import known, summary
from training.gate import Shipped
from training.trial import Job, Trial, scored

LIVE, CANDIDATE = "live", "candidate"
TAGGED = ("data_version", "revision", "fingerprint")
DESCRIBED = ("settings", "environment")


@dataclass(frozen=True)
class Outcome:
    """What a training run came to: trials on validation, the winner's and its rivals' on the test batches, the gate."""

    settings: Settings
    plan: Plan
    matrices: Matrices
    winner: Job
    trials: list[Trial]
    tested: list[Trial]
    cost: Shipped
    held: Held

    @property
    def evaluation(self) -> Path:
        """The folder of tables and pictures."""
        return self.matrices.arrays.folder / "evaluation"


def outcome(score: Any, trials: list[Trial], cost: Shipped) -> Outcome:
    """`score` is the task that scored the winner on the test batches."""
    begun = score.settings, score.plan, score.matrices, score.winner
    held = gating.hold(*begun, "test", cost)
    return Outcome(*begun, trials, [*score.tested, *_live(score, held)], cost, held)


def register(made: Outcome, reason: str = "") -> str:
    """Write everything in its order; returns the words that `make train` ends with. `reason`: why it was trained."""
    models, plan = Models(made.settings.registry), made.plan
    run = write_runs(models, made, write_bundle(made), reason)
    tags = {"fingerprint": plan.fingerprint, "data_version": plan.facts["data_version"]}
    version = models.register(run, "bundle", tags)
    with moves.alone(made.settings.ledger.folder):
        if alias := _alias(models, made):
            models.point(alias, version)
    if made.held.failed.height:
        Failures(made.settings.training.failures, Row).add(made.held.failed)
    _enter(made, version, alias)
    text = words(made, version, alias)
    Receipts(made.settings.training.folder).keep(plan.fingerprint, text)
    return text


def write_bundle(made: Outcome) -> Path:
    """Complete the folder that holds the compiled model already."""
    matrices = made.matrices
    folder = matrices.arrays.folder / "bundle"
    facts = {
        "candidate": made.winner.candidate,
        "parameters": made.winner.parameters,
        "recipe": made.plan.recipe(made.winner),
        "task": dataclasses.asdict(matrices.task),
        "threshold": made.settings.training.threshold,
        "metrics": made.tested[0].scores,
        "baseline": known.baseline(matrices.task, matrices.arrays.read("labels")),
        "counts": known.counts(matrices.arrays.read("inputs"), matrices.columns["categorical"], matrices.tables),
        **made.plan.facts,
    }
    bundle.seal(folder, facts, FEATURES, matrices.tables)
    return folder


def write_runs(models: Models, made: Outcome, folder: Path, reason: str) -> str:
    """One run with the bundle, and one child a candidate; returns the run's id."""
    winner, plan, arrays = made.tested[0], made.plan, made.matrices.arrays
    params = {"candidate": winner.candidate, **{part: plan.facts[part] for part in ("train", "validation", "test")}}
    metrics = {f"test_{key}": value for key, value in winner.scores.items()}
    metrics |= comparable(winner, made.held, made.cost)
    began = min(trial.began for trial in made.trials)
    tagged = tags(plan, made.winner, "train", made.held) | ({"reason": reason} if reason else {})
    run = Run(f"train {winner.job}", began, winner.ended, params, metrics, tagged)
    pointer = versions.pointer(Data(**plan.facts["settings"]["data"]))
    artifacts = {"bundle": folder, "data": pointer, "evaluation": made.evaluation, LESSON: arrays.folder / LESSON}
    run_id = models.record(run, artifacts=artifacts, data_version=plan.facts["data_version"])
    for trial in made.trials:
        scores = {"fit_seconds": trial.fit_seconds, **trial.scores, **trial.report}
        models.record(Run(str(trial.job), trial.began, trial.ended, trial.job.parameters, scores), parent=run_id)
    return run_id


def comparable(trial: Trial, held: Held, cost: Shipped) -> dict[str, float]:
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


def tags(plan: Plan, job: Job, kind: str, held: Held) -> dict[str, str]:
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
    written = {"facts": facts, "gate": held.report.facts(), **{key: plan.facts[key] for key in DESCRIBED}}
    tagged = {key: plan.facts[key] for key in TAGGED}
    return {"kind": kind, **tagged, **{key: json.dumps(value) for key, value in written.items()}}


def words(made: Outcome, version: str, alias: str) -> str:
    """The last thing that `make train` says."""
    plan, winner, gate = made.plan, made.winner.candidate, made.held.report
    state, advice = {
        LIVE: ("is live", "Next: `make serve` answers with it on POST /predict."),
        CANDIDATE: ("is the candidate", "Next: it is scored in the shadow of the live model, which goes on answering."),
        "": ("did not pass the gate and stays out of service", "Next: see the check that failed; `make compare`."),
    }[alias]
    return "\n".join(
        [
            f"Version {version} {state}: {winner}, fitted on {summary.span(plan.split.all)}",
            f"(data {plan.facts['data_version'][:8]}, code {plan.facts['revision'][:8]}). "
            f"Its recipe, fitted on the batches before, scored on {summary.span(plan.split.test)}:",
            "",
            summary.table([(trial.candidate, trial.scores) for trial in made.tested]),
            "",
            str(gate),
            "",
            advice,
            "",
        ]
    )


def _live(score: Any, held: Held) -> list[Trial]:
    """The live model's scores, where it has learnt from none of the test rows."""
    if held.live is None:
        return []
    name = f"live (version {held.live.version})"
    if not held.live.known.all():
        print(f"no scores of {name}: it has learnt from {summary.span(score.plan.split.test)}")
        return []
    labels = score.matrices.judged(score.plan.split.test)[1]
    return [scored(name, score.matrices.task, labels, held.live.said)]


def _alias(models: Models, made: Outcome) -> str:
    """The first model is live, a later one the candidate; one that fails at the gate is neither."""
    if made.held.report.overall == "fail":
        return ""
    return CANDIDATE if models.version(LIVE) else LIVE


def _enter(made: Outcome, version: str, alias: str) -> None:
    """The verdict into the ledger, and the first model's promotion."""
    live = made.held.live
    against = {"live": live.version} if live else {}
    event = Event(
        kind="verdict",
        verdict=made.held.report.overall,
        actor=actor(),
        reason=f"gate on {summary.span(made.plan.split.test)}",
        versions={CANDIDATE: version, **against},
        data_version=made.plan.facts["data_version"],
        settings=made.plan.facts["settings"],
        evidence=made.held.report.facts(),
    )
    ledger = Ledger(made.settings.ledger.folder)
    ledger.append(event)
    if alias == LIVE:
        first = {"kind": "promotion", "verdict": "promote", "reason": "there was no live model"}
        ledger.append(Event(**first, actor=actor(), versions={LIVE: version}, data_version=event.data_version))
