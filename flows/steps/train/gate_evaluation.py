"""The gate on a run's rows: the candidate beside the baseline and the live model, all of them out of sample."""

from dataclasses import dataclass
from pathlib import Path

from flows.steps.doctor import examination
from flows.steps.train.held_out import HeldOutEvaluation, HeldOutPart, evaluate_held_out
from flows.steps.train.live_model import LivePredictions
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan, read_training_rows
from flows.steps.train.release import served_forms
from flows.steps.train.trials.attempts import compute_once
from flows.steps.train.trials.screening import describe_single_class
from penumbra.core.metrics.losses import describe_loss
from penumbra.core.settings import Settings
from penumbra.registry.bundles.version_facts import RECIPE_FACT, have_same_recipe
from penumbra.training.evaluation.evaluate import TrialJob
from penumbra.training.gate import gate
from penumbra.training.gate.gate_checks import FormComparison, ServingMeasurements
from penumbra.training.gate.gate_comparisons import ComparisonRule

CALIBRATION_METRIC = "calibration_error"


@dataclass(frozen=True)
class GateOutcome(HeldOutEvaluation):
    """The gate's report, and what it was computed from."""

    report: gate.GateReport


def evaluate_gate(
    settings: Settings,
    plan: TrainingPlan,
    matrices: Matrices,
    job: TrialJob,
    part: HeldOutPart,
    shipped: ServingMeasurements,
    doctor_skipped: str = "",
) -> GateOutcome:
    """Run the gate on held-out batches, of which the predictions are beside the matrices.

    Args:
        settings: Sections [gate] and [promotion] (`loss`, `loss_ceiling`), and those that the doctor and the reading of
            rows need.
        plan: The plan of the run.
        matrices: The matrices of the run, with the predictions of the candidate and the baseline.
        job: The candidate with its parameters.
        part: Which batches of the plan's split are judged.
        shipped: What was measured of the model that would be served.
        doctor_skipped: Why the doctor doesn't run; "" to let it run.

    Returns:
        The report, and what it was computed from.
    """
    held_out = evaluate_held_out(settings, plan, matrices, job, part)
    live, batches = held_out.live, getattr(plan.split, part)
    skipped = list_skipped_checks(live, doctor_skipped)
    findings = None if doctor_skipped else examination.list_unaccepted_findings(settings, matrices.problem)
    calibration, (rule, reason) = (
        held_out.intervals.get(CALIBRATION_METRIC),
        choose_comparison_rule(plan, job, held_out),
    )
    forms = compare_forms(settings, plan, matrices, job, part)
    words = describe_loss(matrices.task, matrices.task.loss), describe_single_class(matrices, batches)
    report = gate.run_gate_checks(
        *(settings.gate, held_out.clipped, rule, shipped, calibration, findings, skipped, *words, forms),
        held_out.clipping,
        held_out.groups,
        reason,
    )
    return GateOutcome(**vars(held_out), report=report)


def compare_forms(
    settings: Settings, plan: TrainingPlan, matrices: Matrices, job: TrialJob, part: HeldOutPart
) -> FormComparison:
    """Compare the answers of the model that would be served to held-out rows, in each form; once.

    Args:
        settings: Those that the rows are read by.
        plan: The plan of the run.
        matrices: The matrices of the run, with the files of the model beside them.
        job: The candidate with its parameters.
        part: The batches of the plan's split that the rows are taken from.

    Returns:
        How many records were compared, and the first difference in words.
    """

    def compare() -> FormComparison:
        rows = read_training_rows(settings, matrices.problem, getattr(plan.split, part))
        released = served_forms.open_released_model(matrices, locate_model(matrices, job, part))
        return served_forms.compare_served_forms(matrices.problem, released, rows)

    return compute_once(matrices, f"forms-{part}-{job}", compare)


def locate_model(matrices: Matrices, job: TrialJob, part: HeldOutPart) -> Path:
    """Locate the files of a model in the form in which it is served.

    Args:
        matrices: The matrices of the run.
        job: The candidate with its parameters.
        part: The batches that it is judged on: "test" for the winner of a training.

    Returns:
        A folder, that of the bundle for the winner.
    """
    return matrices.arrays.folder / ("bundle" if part == "test" else f"bundle-{job}")


def choose_comparison_rule(
    plan: TrainingPlan, job: TrialJob, held_out: HeldOutEvaluation
) -> tuple[ComparisonRule, str]:
    """Choose how a candidate is compared with the live model.

    Args:
        plan: The plan of the run.
        job: The candidate with its parameters.
        held_out: What it does on held-out rows, beside the live model if there is one.

    Returns:
        "non-inferiority" for the live model's own recipe on newer data, and for one that predicts the very same, with
        the reason in words; "superiority" for any other. The reason is "" where the recipe's name, or none, says it.
    """
    live = held_out.live
    if live and have_same_recipe(live.facts, {RECIPE_FACT: plan.fingerprint_recipe(job)}):
        return "non-inferiority", ""
    if live and held_out.is_same:
        return "non-inferiority", f"the same predictions as version {live.version}'s recipe"
    return "superiority", ""


def list_skipped_checks(live: LivePredictions | None, doctor_skipped: str = "") -> dict[str, str]:
    """List the gate's checks that can't or mustn't run.

    Args:
        live: The live model's predictions, None where there is no live model.
        doctor_skipped: Why the doctor doesn't run; "" if it does.

    Returns:
        The reason by name of check.
    """
    skipped = {"doctor": doctor_skipped} if doctor_skipped else {}
    if live is not None and not live.known.any():
        skipped |= dict.fromkeys(("live", "slices"), live.why_unknown)
    return skipped
