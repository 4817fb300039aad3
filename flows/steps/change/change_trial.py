"""The trial of a change: candidates fitted on a sample, scored on later days beside the live model, and the gate.

What is judged are the validation batches, as in an experiment: however often a change is tried, the test batches stay
unseen. The same data, code and settings give the same result, but for the time that a model takes to answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from flows.steps.change.model_changes import list_model_changes
from flows.steps.change.reachable_model import ReachableModel, find_reachable_model
from flows.steps.change.scored_models import JUDGED_PART, ScoredModel, score_models
from flows.steps.change.trial_folder import enclose_settings, fill_trial_folder
from flows.steps.doctor import examination
from flows.steps.train import experiment_run, gate_evaluation
from flows.steps.train.final_fit import score_baseline
from flows.steps.train.gate_evaluation import GateOutcome
from flows.steps.train.matrices import Matrices, list_trial_jobs
from flows.steps.train.matrix_writing import write_matrices
from flows.steps.train.plan import TrainingPlan, make_plan
from flows.steps.train.trials import screening
from penumbra.core.columns import DAY_COLUMN
from penumbra.core.metrics.losses import describe_loss
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.training.doctor.checks import FINDINGS_OF_ALL_BATCHES, Finding
from penumbra.training.evaluation.evaluate import Trial
from penumbra.training.gate.gate import GateReport
from penumbra.training.rejection import Rejection
from penumbra.training.split import Split


@dataclass(frozen=True)
class TrialSample:
    """What candidates learnt from, and what they were judged on.

    Args:
        split: The batches by purpose.
        learnt: How many rows a candidate learnt from at most.
        available: How many rows the batches have that it could learn from.
        judged: How many rows were judged.
        days: On how many days.
        compared_days: On how many of these the live model has predictions.
    """

    split: Split
    learnt: int
    available: int
    judged: int
    days: int
    compared_days: int


@dataclass(frozen=True)
class ChangeTrial:
    """What a change does to the model, as far as a sample tells.

    Args:
        live: The live model, or why it can't be reached.
        unknown: Why the live model lacks predictions of judged rows though it can be reached, as a clause; or "".
        changes: What differs from the live model in contract, features, code and settings, a sentence each.
        loss: What the losses are, in words.
        models: The candidates by their loss, then the live model where it has predictions, then the baseline.
        rejections: The candidates that can't be trained and served.
        sample: What they learnt from, and were judged on.
        findings: What the doctor found.
        remarks: What was left out, and what the result lacks.
        gate: What the gate says of the first model.
    """

    live: ReachableModel
    unknown: str
    changes: list[str]
    loss: str
    models: list[ScoredModel]
    rejections: list[Rejection]
    sample: TrialSample
    findings: list[Finding]
    remarks: list[str]
    gate: GateReport


def try_change(settings: Settings, problem: Problem, names: Sequence[str], rows: int, folder: Path) -> ChangeTrial:
    """Train candidates on a sample of the newest batches, and compare them with the live model.

    Nothing but the folder is written; the registry is read.

    Args:
        settings: The project's.
        problem: The problem, with every part.
        names: The candidates to try.
        rows: How many rows a candidate learns from at most.
        folder: An empty folder.

    Returns:
        What came out.

    Raises:
        TrainingRefused: No candidate can be trained and served.
        Exception: Those of `flows.steps.train.plan.PLAN_ERRORS`, such as a source that can't be read.
    """
    live = find_reachable_model(settings.registry, folder)
    enclosed = enclose_settings(settings, folder, names, live)
    fill_trial_folder(settings, enclosed, problem, rows)
    enclosed, remarks = _accept_unsure_findings(enclosed, problem)
    plan = make_plan(enclosed, problem)
    matrices = write_matrices(enclosed, problem, plan.split.before_test, folder / "matrices")
    with threadpool_limits(1):  # with more threads sums come out differently in the last bit
        trials, rejections, more, gate = _train_and_judge(enclosed, plan, replace(matrices, most_rows=rows))
    return ChangeTrial(
        live=live,
        unknown=gate.live.why_unknown if gate.live and not gate.live.known.all() else "",
        changes=list_model_changes(live.facts, settings, problem, plan, trials[0].job) if live.version else [],
        loss=describe_loss(matrices.task, matrices.task.loss),
        models=score_models(enclosed, plan, matrices, trials, gate),
        rejections=rejections,
        sample=_measure_sample(plan, matrices, trials, rows, gate),
        findings=examination.find_unaccepted_findings(enclosed, problem),
        remarks=[*remarks, *more],
        gate=gate.report,
    )


def _accept_unsure_findings(enclosed: Settings, problem: Problem) -> tuple[Settings, list[str]]:
    """Let findings of which all batches may tell otherwise than the sample's few be remarks."""
    findings = examination.find_unaccepted_findings(enclosed, problem)
    unsure = [finding for finding in findings if finding.check in FINDINGS_OF_ALL_BATCHES]
    accept = [*enclosed.gate.accept, *(finding.column for finding in unsure)]
    gate = enclosed.gate.model_copy(update={"accept": accept})
    remarks = [f"{finding.column}: in the sample {finding.evidence}" for finding in unsure]
    return enclosed.model_copy(update={"gate": gate}), remarks


def _train_and_judge(
    settings: Settings, plan: TrainingPlan, matrices: Matrices
) -> tuple[list[Trial], list[Rejection], list[str], GateOutcome]:
    """Try every candidate, as experiments do; the trials of each at its best, by their loss."""
    names, split = settings.training.candidates, plan.split
    rejections, remarks = screening.screen_run(matrices, names, plan)
    left = [name for name in names if name not in {rejection.candidate for rejection in rejections}]
    results = [experiment_run.run_full_trial(matrices, job, split) for job in list_trial_jobs(matrices.problem, left)]
    score_baseline(matrices, split.train, split.validation, JUDGED_PART)
    best, cost = experiment_run.choose_best_trial(results)
    gate = gate_evaluation.evaluate_gate(settings, plan, matrices, best.job, JUDGED_PART, cost)
    done = sorted((result[0] for result in results if not isinstance(result, Rejection)), key=lambda each: each.loss)
    trials = {trial.candidate: trial for trial in reversed(done)}
    failed = [*rejections, *(result for result in results if isinstance(result, Rejection))]
    return sorted(trials.values(), key=lambda trial: trial.loss), failed, remarks, gate


def _measure_sample(
    plan: TrainingPlan, matrices: Matrices, trials: Sequence[Trial], rows: int, gate: GateOutcome
) -> TrialSample:
    sets = (matrices.build_training_set(trial.candidate, plan.split.train, withhold=True) for trial in trials)
    available = max(len(each.y) for each in sets)
    days, compared = gate.rows[DAY_COLUMN].n_unique(), gate.compared.height
    return TrialSample(plan.split, min(rows, available), available, gate.rows.height, days, compared)
