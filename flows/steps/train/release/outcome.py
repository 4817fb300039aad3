"""The result of a training run: trials, the gate, and what the winner costs."""

from dataclasses import dataclass, field
from pathlib import Path

from flows.steps.train import gate_evaluation
from flows.steps.train.final_fit import FinalTrials
from flows.steps.train.gate_evaluation import GateOutcome
from flows.steps.train.live_model import LivePredictions
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.settings import Settings
from penumbra.training.evaluation.evaluate import Trial, TrialJob, describe_rare_classes, score_predictions
from penumbra.training.gate.gate_checks import ServingMeasurements
from penumbra.training.split import format_batch_range


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of a training run.

    `trials` are those on the validation batches, `tested` those of the winner, the baseline and (where it can be
    scored) the live model on the test batches, the winner's first; `cost` is what the winner costs to serve; `remarks`
    are sentences about what was left out; `unreleased` are the better candidates that couldn't be released.
    """

    settings: Settings
    plan: TrainingPlan
    matrices: Matrices
    winner: TrialJob
    trials: list[Trial]
    tested: list[Trial]
    cost: ServingMeasurements
    gate: GateOutcome
    remarks: list[str] = field(default_factory=list)
    unreleased: list[str] = field(default_factory=list)

    @property
    def evaluation_folder(self) -> Path:
        """The folder of tables and pictures."""
        return self.matrices.arrays.folder / "evaluation"


def evaluate_winner(
    settings: Settings,
    plan: TrainingPlan,
    matrices: Matrices,
    final: FinalTrials,
    trials: list[Trial],
    remarks: list[str],
    doctor_skipped: str = "",
) -> TrainingOutcome:
    """Run the gate on the test batches and collect the result of a training run.

    Args:
        settings: All of them; they are recorded with the run.
        plan: The plan of the run.
        matrices: The matrices of the run, with the predictions of winner and baseline.
        final: The winner with its trials on the test batches, and the baseline's.
        trials: The candidates' trials on the validation batches.
        remarks: Sentences about what was left out.
        doctor_skipped: Why the doctor doesn't run; "" to let it run.

    Returns:
        The result, with the live model's scores where it has learnt from none of the test rows.
    """
    winner, all_trials = final.winner, [*trials, final.validated]
    gate = gate_evaluation.evaluate_gate(settings, plan, matrices, winner, "test", final.cost, doctor_skipped)
    live = [] if gate.live is None else _score_live(gate.live, matrices, plan.split.test)
    tested = [*final.tested, *live]
    unreleased = [rejection.candidate for rejection in final.rejections]
    remarks = [*remarks, *describe_rare_classes(matrices.task, matrices.read_evaluation_set(plan.split.test)[1])]
    return TrainingOutcome(settings, plan, matrices, winner, all_trials, tested, final.cost, gate, remarks, unreleased)


def sum_cpu_seconds(outcome: TrainingOutcome) -> float:
    """Return the processor time of all fits of `outcome`, with searches and scores, in seconds."""
    return sum(trial.cpu_seconds for trial in [*outcome.trials, *outcome.tested]) + outcome.cost.fit_cpu_seconds


def _score_live(live: LivePredictions, matrices: Matrices, batches: list[str]) -> list[Trial]:
    """Score the live model; [] if it can't predict them or has learnt from any, which is printed."""
    name = f"live (version {live.version})"
    if not live.known.all():
        print(f"no scores of {name}: {live.unfit or f'it has learnt from {format_batch_range(batches)}'}")
        return []
    return [score_predictions(name, matrices.task, matrices.read_evaluation_set(batches)[1], live.predictions)]
