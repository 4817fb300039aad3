"""The report on a change, as Markdown: what it does to the model beside the live one.

Whatever came from data, code or libraries stands in fences or as code, where it neither is markup nor mentions anybody.
The same trial gives the same text: times, which differ by machine, are left out.
"""

import math
from collections.abc import Iterator, Sequence

from flows.steps.change.change_trial import ChangeTrial
from flows.steps.change.scored_models import BASELINE, LIVE, ScoredModel
from penumbra.core.settings import GateSettings
from penumbra.core.text.counts import format_count
from penumbra.core.text.masking import mask_text
from penumbra.core.text.quoting import escape_text, fence_text
from penumbra.core.text.tables import align_columns, format_significant
from penumbra.training.evaluation.bootstrap import Interval
from penumbra.training.evaluation.evaluate import format_score_table
from penumbra.training.gate.gate_checks import GateCheck
from penumbra.training.gate.gate_comparisons import to_two_sided_confidence
from penumbra.training.split import SPLIT_PARTS, format_batch_range

REPORT_MARK = "<!-- penumbra report-change -->"  # by which the comment of an earlier push is found
BETTER, WORSE, UNDECIDED, TOO_FEW_DAYS = "better", "worse", "no difference shown", "too few days to tell"
MAX_LINES = 20  # of a block
SINGLE_COMPARISON = 3  # models: a candidate, the live one, the baseline
TIMED_CHECKS = ("latency",)  # of the gate: what they measure differs from machine to machine


def format_change_report(trial: ChangeTrial, model: str, limits: GateSettings) -> str:
    """Format the report on a change that could be tried.

    Args:
        trial: What came out.
        model: The name of the model, `registry.model`.
        limits: Section [gate] of the settings (`min_days`, `confidence`).

    Returns:
        Markdown.
    """
    parts = [
        f"{_format_head(model)}\n\n{_describe_result(trial, limits)}",
        _format_models(trial, limits),
        "**How these numbers came about**\n\n" + _format_list(_describe_sample(trial, limits)),
        "**The doctor** " + _format_findings(trial),
        _format_changes(trial),
        f"**The gate** would say: **{trial.gate.overall}**\n\n{_format_gate(trial.gate.checks)}",
    ]
    parts += [f"**Left out**\n\n{_fence_lines(list(map(str, trial.rejections)))}"] if trial.rejections else []
    parts += [f"**Remarks**\n\n{_fence_lines(trial.remarks)}"] if trial.remarks else []
    scores = format_score_table([(model.name, model.scores) for model in trial.models])
    parts += [f"<details><summary>All scores</summary>\n\n{fence_text(scores)}\n\n</details>"]
    return mask_text("\n\n".join(filter(None, parts))) + "\n"


def format_failure_report(model: str, reason: str, is_expected: bool) -> str:
    """Format the report on a change that could not be tried.

    Args:
        model: The name of the model, `registry.model`; "" where the settings can't be read.
        reason: Why not.
        is_expected: Whether that is no fault of the change: where the source can't be asked.

    Returns:
        Markdown.
    """
    text = "Nothing was trained, as the source can't be asked from here" if is_expected else "This can't be trained"
    after = "\n\nNothing else speaks against the change." if is_expected else ""
    return mask_text(f"{_format_head(model)}\n\n**{text}**\n\n{_fence_lines([reason])}{after}\n")


def judge_interval(difference: Interval, days: int, min_days: int) -> str:
    """Put a difference of losses, a model's less the live model's, into words.

    Args:
        difference: The difference with its interval.
        days: On how many days it was measured.
        min_days: With fewer nothing is decided.

    Returns:
        Such as "better", or "too few days to tell".
    """
    if days < min_days:
        return f"{TOO_FEW_DAYS} ({days} of {min_days})"
    if math.isinf(difference.high - difference.low):
        return TOO_FEW_DAYS
    if difference.low <= 0 <= difference.high:
        return UNDECIDED
    return BETTER if difference.high < 0 else WORSE


def _format_head(model: str) -> str:
    return f"{REPORT_MARK}\n## What this change does to the model{f' {_code(model)}' if model else ''}"


def _describe_result(trial: ChangeTrial, limits: GateSettings) -> str:
    best, days = trial.models[0], trial.sample.compared_days
    if best.difference is None:
        reason = fence_text(trial.live.reason or trial.unknown)
        beside = "".join(f": {check.sentence}" for check in trial.gate.checks if check.name == BASELINE)
        head = f"**Nothing can be compared with the live model**; the best candidate is {_code(best.name)}"
        return f"{head}{beside}.\n\n{reason}"
    verdict = judge_interval(best.difference, days, limits.min_days)
    name, live = _code(best.name), f"version {trial.live.version}, which is live"
    is_decided = verdict in (BETTER, WORSE)
    sentence = f"{name} is {verdict} than {live}" if is_decided else f"{verdict.capitalize()}: {name} beside {live}"
    return f"**{sentence}**: {trial.loss} {best.difference.format_difference()} over {format_count(days, 'day')}."


def _format_models(trial: ChangeTrial, limits: GateSettings) -> str:
    share = f"{100 * to_two_sided_confidence(limits.confidence):.0f} %"
    head = f"| model | {trial.loss}, 95 % interval | less the live model's, {share} interval | |\n|---|---|---|---|"
    return "\n".join([head, *(_format_model(trial, model, limits) for model in trial.models)])


def _format_model(trial: ChangeTrial, model: ScoredModel, limits: GateSettings) -> str:
    name = {LIVE: f"live (version {trial.live.version})", BASELINE: "baseline"}.get(model.name, _code(model.name))
    loss, difference = next(iter(model.scores.values())), model.difference
    verdict = judge_interval(difference, trial.sample.compared_days, limits.min_days) if difference else ""
    return f"| {name} | {loss} | {difference.format_difference() if difference else ''} | {verdict} |"


def _describe_sample(trial: ChangeTrial, limits: GateSettings) -> Iterator[str]:
    sample, live = trial.sample, trial.live
    learnt, judged = format_batch_range(sample.split.train), format_batch_range(sample.split.validation)
    yield (
        f"Learnt from {sample.learnt:,} of the {format_count(sample.available, 'row')} of {_code(learnt)}, judged on "
        f"{format_count(sample.judged, 'row')} of {_code(judged)}, {format_count(sample.days, 'day')}; the "
        "test batches stay unseen. Of losses the "
        "smaller is better. Intervals are over days, since rows of a day are alike."
    )
    if trial.models[0].difference is not None:
        batches = sorted(name for part in SPLIT_PARTS for name in live.facts.get(part, []))
        yield (
            f"Version {live.version} has learnt from {_code(format_batch_range(batches))}: of rows among these counts "
            "what its recipe predicted before it had learnt them. It may have learnt from more rows than the "
            "candidates here, which is to its advantage."
        )
        yield (
            "Losses are those of all judged rows, each as large as it is. Differences from the live model are of rows "
            "that both have predicted, and a row's loss counts in them at most as `promotion.loss_ceiling` allows: "
            "these decide, and needn't be the differences of the losses beside them."
        )
        if missing := sample.days - sample.compared_days:
            yield f"On {missing} of the days nothing can be compared: the live model has learnt from their rows."
    if sample.days < limits.min_days:
        yield (
            f"{format_count(sample.days, 'day is', 'days are')} too few to decide anything: `gate.min_days` "
            f"is {limits.min_days}."
        )
    if len(trial.models) > SINGLE_COMPARISON:
        yield "The best of several looks better than it is: all were tried on the same days, as were earlier pushes."


def _format_findings(trial: ChangeTrial) -> str:
    lines = [f"{each.column}: {each.evidence}\n  remedy: {each.remedy}" for each in trial.findings]
    return f"found:\n\n{_fence_lines(lines)}" if lines else "found nothing in contract, features and the sample's data."


def _format_changes(trial: ChangeTrial) -> str:
    if not trial.live.version:
        return ""
    return f"**What differs from version {trial.live.version}**\n\n{_fence_lines(trial.changes or ['nothing'])}"


def _format_gate(checks: Sequence[GateCheck]) -> str:
    rows = [["check", "verdict", "measured", "limit"], *map(_format_check, checks)]
    sentences = [f"{check.name}: {check.sentence}" for check in checks]
    return fence_text("\n".join([align_columns(rows, (True, True)), "", *sentences]))


def _format_check(check: GateCheck) -> list[str]:
    measured = "-" if check.name in TIMED_CHECKS else format_significant(check.measured)
    return [check.name, check.verdict, measured, format_significant(check.limit)]


def _format_list(sentences: Iterator[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _fence_lines(lines: Sequence[str]) -> str:
    lines = "\n".join(lines).splitlines()
    more = [f"and {format_count(len(lines) - MAX_LINES, 'more line')}"] if len(lines) > MAX_LINES else []
    return fence_text("\n".join([*lines[:MAX_LINES], *more]))


def _code(text: str) -> str:
    return f"`{escape_text(text, most=300)}`"
