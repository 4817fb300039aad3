"""The words that `make train` ends with."""

from collections.abc import Sequence

import msgspec

from flows.steps.train.batch_words import describe_batches
from flows.steps.train.final_fit import BASELINE_JOB
from flows.steps.train.release.outcome import TrainingOutcome
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS
from penumbra.training.evaluation.evaluate import Trial, format_score_table

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


class OutcomeSummary(msgspec.Struct, frozen=True):
    """What there is to say of a training, whatever version and alias its model gets.

    Attributes:
        model: The candidate, and what it was fitted on.
        origin: The versions of data and code, and the batches of the scores.
        results: The scores, the gate's report, and the remarks.
        unfit_live: The live version, if it can't answer with this code; "" where it can or there is none.
        validated: The scores of all candidates on the validation batches; "" where there was one.
    """

    model: str
    origin: str
    results: str
    unfit_live: str
    validated: str = ""


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
        validated=_describe_candidates(outcome),
    )


def format_candidate_table(trials: Sequence[Trial]) -> str:
    """Format the scores of candidates as a table.

    Args:
        trials: Their trials on the same batches.

    Returns:
        The table, with a line for each, that of the lowest loss first.
    """
    return format_score_table([(str(trial.job), trial.scores) for trial in sorted(trials, key=lambda each: each.loss)])


def describe_outcome(summary: OutcomeSummary, version: str, alias: str) -> str:
    """Describe the result of a training run for the terminal.

    Args:
        summary: The result.
        version: The registered model version, "" if it can't be served as it was trained.
        alias: The alias that it got: "live", "candidate", or "" for none.

    Returns:
        Several lines: where there was a choice, how all candidates did; the version and its state, the scores on the
        test batches, the gate's report, what is next.
    """
    state, advice = STATE_AND_ADVICE[alias]
    if alias == CANDIDATE_ALIAS and summary.unfit_live:
        advice = UNFIT_LIVE_ADVICE.format(live=summary.unfit_live, new=version)
    subject = f"Version {version} {state}" if version else "No version was registered, see the check `forms`"
    before = [summary.validated, ""] if summary.validated else []
    return "\n".join([*before, f"{subject}: {summary.model}", summary.origin, "", summary.results, advice, ""])


def _describe_candidates(outcome: TrainingOutcome) -> str:
    """Describe how all candidates did on the validation batches, beside the baseline; "" where there was one."""
    if sum(trial.job != BASELINE_JOB for trial in outcome.trials) < 2:
        return ""
    batches = describe_batches(outcome.matrices.problem, outcome.plan.split.validation)
    return f"The candidates on {batches}, the best first:\n\n{format_candidate_table(outcome.trials)}"
