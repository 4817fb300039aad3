"""The result of a training run, and the words that `make train` ends with."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from flows.steps.train import gate_evaluation
from flows.steps.train.batch_words import describe_batches
from flows.steps.train.final_fit import FinalTrials
from flows.steps.train.gate_evaluation import GateOutcome
from flows.steps.train.live_model import LivePredictions
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.settings import Settings
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS
from penumbra.training.evaluation.evaluate import Trial, TrialJob, format_score_table, score_predictions
from penumbra.training.gate.gate_checks import ServingMeasurements
from penumbra.training.split import format_batch_range

STATE_AND_ADVICE = {
    LIVE_ALIAS: ("is live", "Next: `make serve` answers with it on POST /predict."),
    CANDIDATE_ALIAS: (
        "is the candidate",
        "Next: it is scored in the shadow of the live model, which goes on answering.",
    ),
    "": (
        "did not pass the gate and stays out of service",
        "Next: see the checks that didn't pass and what they name; `penumbra compare`.",
    ),
}
UNFIT_LIVE_ADVICE = (
    "Next: version {live}, which is live, can't answer with this code (see the skipped check), so nothing will be "
    'compared in the shadow: `penumbra promote --force --version {new} --reason "…"` lets version {new} answer.'
)


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of a training run.

    `trials` are those on the validation batches, `tested` those of the winner, the baseline and (where it can be
    scored) the live model on the test batches, the winner's first; `cost` is what the winner costs to serve; `remarks`
    are sentences about what was left out.
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
    return TrainingOutcome(settings, plan, matrices, winner, all_trials, tested, final.cost, gate, remarks)


def sum_cpu_seconds(outcome: TrainingOutcome) -> float:
    """Return the processor time of all fits of `outcome`, with searches and scores, in seconds."""
    return sum(trial.cpu_seconds for trial in [*outcome.trials, *outcome.tested]) + outcome.cost.fit_cpu_seconds


class OutcomeSummary(msgspec.Struct, frozen=True):
    """What there is to say of a training, whatever version and alias its model gets.

    Attributes:
        model: The candidate, and what it was fitted on.
        origin: The versions of data and code, and the batches of the scores.
        results: The scores, the gate's report, and the remarks.
        unfit_live: The live version, if it can't answer with this code; "" where it can or there is none.
    """

    model: str
    origin: str
    results: str
    unfit_live: str


def summarise_outcome(outcome: TrainingOutcome) -> OutcomeSummary:
    """Summarise the result of a training run.

    Args:
        outcome: The result.

    Returns:
        Its summary.
    """
    plan, live, problem = outcome.plan, outcome.gate.live, outcome.matrices.problem
    revision, sign, changes = plan.facts["revision"].partition("+")
    results = [
        format_score_table([(trial.candidate, trial.scores) for trial in outcome.tested]),
        "",
        str(outcome.gate.report),
        "",
        *([*outcome.remarks, ""] if outcome.remarks else []),
    ]
    return OutcomeSummary(
        model=f"{outcome.winner.candidate}, fitted on {describe_batches(problem, plan.split.all)}",
        origin=f"(data {plan.facts['data_version'][:8]}, code {revision[:8]}{sign}{changes}). "
        f"Its recipe, fitted on the batches before, scored on {describe_batches(problem, plan.split.test)}:",
        results="\n".join(results),
        unfit_live=live.version if live and live.unfit else "",
    )


def describe_outcome(summary: OutcomeSummary, version: str, alias: str) -> str:
    """Describe the result of a training run for the terminal.

    Args:
        summary: The result.
        version: The registered model version, "" if it can't be served as it was trained.
        alias: The alias that it got: "live", "candidate", or "" for none.

    Returns:
        Several lines: the version and its state, the scores on the test batches, the gate's report, what is next.
    """
    state, advice = STATE_AND_ADVICE[alias]
    if alias == CANDIDATE_ALIAS and summary.unfit_live:
        advice = UNFIT_LIVE_ADVICE.format(live=summary.unfit_live, new=version)
    subject = f"Version {version} {state}" if version else "No version was registered, see the check `forms`"
    return "\n".join([f"{subject}: {summary.model}", summary.origin, "", summary.results, advice, ""])


def _score_live(live: LivePredictions, matrices: Matrices, batches: list[str]) -> list[Trial]:
    """Score the live model; [] if it can't predict them or has learnt from any, which is printed."""
    name = f"live (version {live.version})"
    if not live.known.all():
        print(f"no scores of {name}: {live.unfit or f'it has learnt from {format_batch_range(batches)}'}")
        return []
    return [score_predictions(name, matrices.task, matrices.read_evaluation_set(batches)[1], live.predictions)]
