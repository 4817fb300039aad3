"""The words that `make train` ends with."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flows.steps.train.batch_words import describe_batches
from flows.steps.train.final_fit import BASELINE_JOB
from flows.steps.train.release.outcome import TrainingOutcome
from flows.steps.train.trials.selection import describe_kept_recipe
from penumbra.core.text.counts import format_count
from penumbra.registry.bundles.bundle import ONNX_FILE, SKOPS_FILE
from penumbra.registry.bundles.manifest import LIMITS_FACT, read_manifest
from penumbra.registry.bundles.version_facts import RECIPE_FACT, have_same_recipe
from penumbra.registry.history.ledger_entries import LedgerEntry
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
MODEL_FILES, DECIDING_FACTS = (ONNX_FILE, SKOPS_FILE), ("threshold", LIMITS_FACT)
UNFIT_LIVE_ADVICE = (
    "Next: version {live}, which is live, can't answer with this code (see the skipped check), so nothing will be "
    'compared in the shadow: `penumbra promote --force --version {new} --reason "…"` lets version {new} answer.'
)
SAME_MODEL_ADVICE = (
    "Next: nothing. It predicts the same as version {live}, which is live, the same recipe fitted on the same rows: "
    "its shadow will show no difference."
)
EQUAL_SCORES = (
    "Candidate and live model are equal here: for this comparison one recipe was fitted on the same batches, {batches}."
)


class OutcomeSummary(msgspec.Struct, frozen=True):
    """What there is to say of a training, whatever version and alias its model gets.

    Attributes:
        model: The candidate, and what it was fitted on.
        origin: The versions of data and code, and the batches of the scores.
        results: The scores, the gate's report, and the remarks.
        unfit_live: The live version, if it can't answer with this code; "" where it can or there is none.
        validated: The scores of all candidates on the validation batches; "" where there was one.
        same_live: The live version, if it is the same model; "" where it isn't.
    """

    model: str
    origin: str
    results: str
    unfit_live: str
    validated: str = ""
    same_live: str = ""


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
        *([_describe_equality(outcome), ""] if _has_equal_scores(outcome) else []),
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
        same_live=live.version if live and _is_same_model(outcome, live.facts) else "",
    )


def format_candidate_table(trials: Sequence[Trial]) -> str:
    """Format the scores of candidates as a table.

    Args:
        trials: Their trials on the same batches.

    Returns:
        The table, with a line for each, that of the lowest loss first.
    """
    return format_score_table([(str(trial.job), trial.scores) for trial in sorted(trials, key=lambda each: each.loss)])


def describe_replaced_candidate(entries: Sequence[LedgerEntry], replaced: str) -> str:
    """Describe the candidate that a new one takes the place of, and the evidence that ends with it.

    Args:
        entries: The ledger's entries.
        replaced: Its version.

    Returns:
        A sentence, with the days of its last verdict that has any.
    """
    of_it = [entry for entry in entries if entry.versions.get(CANDIDATE_ALIAS) == replaced]
    days = [(entry.evidence.get("evidence", {}).get("days", 0), entry.number) for entry in of_it]
    counted, number = next((each for each in reversed(days) if each[0]), (0, 0))
    had = f", which had {format_count(counted, 'day')} of evidence (entry {number} of the ledger)" if counted else ""
    return f"It replaces candidate {replaced}{had}: the comparison with the live model begins anew."


def describe_outcome(summary: OutcomeSummary, version: str, alias: str, replaced: str = "") -> str:
    """Describe the result of a training run for the terminal.

    Args:
        summary: The result.
        version: The registered model version, "" if it can't be served as it was trained.
        alias: The alias that it got: "live", "candidate", or "" for none.
        replaced: What a candidate replaces, as a sentence; "" for nothing.

    Returns:
        Several lines: where there was a choice, how all candidates did; the version and its state, the scores on the
        test batches, the gate's report, what is next.
    """
    state, advice = STATE_AND_ADVICE[alias]
    if alias == CANDIDATE_ALIAS and summary.unfit_live:
        advice = UNFIT_LIVE_ADVICE.format(live=summary.unfit_live, new=version)
    if alias == CANDIDATE_ALIAS and summary.same_live:
        advice = SAME_MODEL_ADVICE.format(live=summary.same_live)
    subject = f"Version {version} {state}" if version else "No version was registered, see the check `forms`"
    before = [summary.validated, ""] if summary.validated else []
    ends = [replaced] if replaced and alias == CANDIDATE_ALIAS else []
    return "\n".join([*before, f"{subject}: {summary.model}", summary.origin, "", summary.results, *ends, advice, ""])


def _describe_candidates(outcome: TrainingOutcome) -> str:
    """Describe how all candidates did on the validation batches, beside the baseline, and why the live model's recipe
    was taken where another is the best; "" where there was one candidate."""
    candidates = [trial for trial in outcome.trials if trial.job != BASELINE_JOB]
    if len(candidates) < 2:
        return ""
    batches = describe_batches(outcome.matrices.problem, outcome.plan.split.validation)
    table = f"The candidates on {batches}, the best first:\n\n{format_candidate_table(outcome.trials)}"
    best = min(candidates, key=lambda trial: trial.loss).job
    is_kept = outcome.winner != best and str(best) not in outcome.unreleased and _has_live_recipe(outcome)
    return f"{table}\n\n{describe_kept_recipe(best, outcome.winner)}." if is_kept else table


def _describe_equality(outcome: TrainingOutcome) -> str:
    return EQUAL_SCORES.format(batches=describe_batches(outcome.matrices.problem, outcome.plan.split.before_test))


def _has_equal_scores(outcome: TrainingOutcome) -> bool:
    """Tell whether winner and live model have one recipe, and equal scores on the test batches."""
    winner, last = outcome.tested[0], outcome.tested[-1]
    if not (last.candidate.startswith(LIVE_ALIAS) and _has_live_recipe(outcome)):
        return False
    return all(math.isclose(score, last.scores[name]) for name, score in winner.scores.items())


def _has_live_recipe(outcome: TrainingOutcome) -> bool:
    """Tell whether winner and live model have one recipe."""
    live = outcome.gate.live
    if live is None:
        return False
    recipe = {RECIPE_FACT: outcome.plan.fingerprint_recipe(outcome.winner)}
    return outcome.gate.is_same or have_same_recipe(live.facts, recipe)


def _is_same_model(outcome: TrainingOutcome, live: Mapping[str, Any]) -> bool:
    """Tell by the sealed bundle whether the released model is the live one: what it is, is given, and decides by."""
    facts = read_manifest(outcome.matrices.arrays.folder / "bundle")
    return _identify_model(facts) == _identify_model(live)


def _identify_model(facts: Mapping[str, Any]) -> list[Any]:
    decides = [facts.get(name) for name in DECIDING_FACTS]
    return [facts["inputs"], facts["tables"], decides, [facts["sha256"].get(name) for name in MODEL_FILES]]
