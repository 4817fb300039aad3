"""Evidence in words: the reason of a verdict in one clause, and what it rests on, a clause each."""

import math
from collections.abc import Iterator
from decimal import ROUND_DOWN, ROUND_UP, Context

from penumbra.core.metrics.losses import ALL_LOSSES, LossScale, describe_clipping
from penumbra.core.text.counts import format_count
from penumbra.core.text.tables import format_significant
from penumbra.promotion.evidence import Evidence

NO_DAY = "no day counts yet"
MAX_SHOWN_ODDS = 1_000_000


def explain_verdict(evidence: Evidence) -> str:
    """Explain the verdict of the evidence on a candidate.

    Args:
        evidence: The evidence.

    Returns:
        A clause: what is shown by which odds, or what is missing and about how many days that takes.
    """
    if evidence.verdict == "reject":
        return _describe_harm(evidence, "live")
    if evidence.verdict == "keep collecting":
        return _describe_gap(evidence) + _describe_forecast(evidence)
    if evidence.rule == "superiority":
        shown = f"odds of {_format_odds(evidence.better, evidence.promote_odds)} after {_describe_seen(evidence)}"
        return f"it is better than the live model: {shown}, {evidence.promote_odds:g} are enough"
    return (
        f"it is no worse than the live model by more than the margin after {_describe_seen(evidence)}, "
        f"{format_count(evidence.shadow_days, 'day is', 'days are')} enough"
    )


def explain_review(evidence: Evidence) -> str:
    """Explain what the evidence says of a model that was promoted, which stands as the candidate in it.

    Args:
        evidence: The evidence.

    Returns:
        A clause: that the model is shown to be worse than the previous one, or that it isn't.
    """
    if evidence.verdict == "reject":
        return _describe_harm(evidence, "previous")
    if not evidence.days:
        return NO_DAY
    return (
        f"it isn't shown to be worse than the previous model: odds of {_format_worse(evidence)} after "
        f"{_describe_seen(evidence)}, {evidence.harm_odds:g} roll it back"
    )


def list_details(evidence: Evidence) -> list[str]:
    """List what a verdict rests on.

    Args:
        evidence: The evidence.

    Returns:
        Clauses: the loss and its margin, the odds, what rare losses have to do with it, whose labels these are, and how
        many losses were capped; only those that say something.
    """
    details = []
    if evidence.difference is not None:
        side = "in its favour" if evidence.difference >= 0 else "against it"
        difference = format_significant(evidence.difference, "+")
        details.append(f"{evidence.loss} {difference} a row {side} ({_describe_interval(evidence)})")
        details += [_describe_margin(evidence)] if evidence.rule == "non-inferiority" else []
        better = _format_odds(evidence.better, evidence.promote_odds)
        details.append(f"odds of {better} that it is better, {_format_worse(evidence)} that it is worse")
    details += _describe_rare_losses(evidence)
    details += [f"{evidence.by_people:,} of the labels are by people"] if evidence.by_people else []
    clipping = describe_clipping({ALL_LOSSES: evidence.clipped}, evidence.ceiling or math.inf)
    return [*details, clipping] if clipping else details


def describe_evidence_days(days: int, block_days: int) -> str:
    """Describe the days of evidence, and that one with rows counts as so many where it does.

    Args:
        days: The days that count.
        block_days: The days of a block.

    Returns:
        Such as "49 days in blocks of 7".
    """
    return format_count(days, "day") + (f" in blocks of {block_days}" if block_days > 1 else "")


def _describe_harm(evidence: Evidence, other: str) -> str:
    return (
        f"it is worse than the {other} model: odds of {_format_worse(evidence)} after {_describe_seen(evidence)}, "
        f"{evidence.harm_odds:g} are enough"
    )


def _describe_gap(evidence: Evidence) -> str:
    """What a verdict still lacks."""
    after = f"after {_describe_seen(evidence)}"
    if not evidence.days:
        return NO_DAY
    if evidence.rule == "non-inferiority":
        if evidence.days < evidence.shadow_days:
            watched = format_count(evidence.shadow_days, "day")
            over = describe_evidence_days(evidence.days, evidence.block_days)
            return (
                f"it is watched for {watched}, of which {over} with {format_count(evidence.labels, 'label')} are over"
            )
        if missing := _explain_missing_margin(evidence):
            return f"it isn't shown to be as good as the live model {after}: {missing}"
        return f"it isn't within the margin of the live model {after}"
    if (evidence.difference or 0.0) < 0:
        return (
            f"it looks worse than the live model: odds of {_format_worse(evidence)} {after}, "
            f"{evidence.harm_odds:g} reject it"
        )
    for name, odds in (("", evidence.better), ("by a bet that survives days like the worst ", evidence.capital)):
        if not odds >= evidence.promote_odds:
            return (
                f"it isn't shown to be better than the live model: odds of {_format_odds(odds, evidence.promote_odds)} "
                f"{name}{after}, {evidence.promote_odds:g} are needed"
            )
    return f"it is better than the live model {after}, but was seen on too few days"


def _format_worse(evidence: Evidence) -> str:
    return _format_odds(evidence.worse, evidence.harm_odds)


def _format_odds(odds: float, limit: float) -> str:
    """Odds in three digits, or as a whole number; rounding takes them over no limit, nor below one that they reach."""
    if odds > MAX_SHOWN_ODDS:
        return f"more than {MAX_SHOWN_ODDS:,} to 1"
    shown = float(f"{odds:.0f}" if odds >= 100 else f"{odds:.3g}")
    if (shown < limit) != (odds < limit):
        digits = max(3, len(str(int(odds))))
        shown = float(Context(digits, ROUND_DOWN if odds < limit else ROUND_UP).create_decimal(odds))
    return f"{shown:,.0f} to 1" if shown >= 100 else f"{shown:.3g} to 1"


def _describe_seen(evidence: Evidence) -> str:
    return f"{describe_evidence_days(evidence.days, evidence.block_days)} and {format_count(evidence.labels, 'label')}"


def _describe_forecast(evidence: Evidence) -> str:
    """How many more days and labels the verdict takes; and which one, if not the one that a candidate hopes for."""
    if not evidence.days_needed:
        return ""
    is_worse = evidence.rule == "superiority" and (evidence.difference or 0.0) < 0
    labels = f" with {format_count(evidence.labels_needed, 'label')}" if evidence.labels_needed else ""
    return f"; about {format_count(evidence.days_needed, 'more day')}{labels}{' to a rejection' if is_worse else ''}"


def _describe_rare_losses(evidence: Evidence) -> Iterator[str]:
    """What rare losses have to do with the verdict: what it still takes, or what it can't know."""
    if evidence.rule == "superiority" and (evidence.difference or 0.0) > 0:
        capital = _format_odds(evidence.capital, evidence.promote_odds)
        yield f"odds of {capital} by a bet that survives days like the worst"
    if more := evidence.seen_days_needed:
        yield f"a new recipe has to be seen on {format_count(more, 'more day')} (promotion.seen_days)"
    if evidence.unseen and evidence.verdict == "promote":
        yield str(evidence.unseen)


def _describe_interval(evidence: Evidence) -> str:
    """The interval of the difference, or why it has no ends yet."""
    low, high = evidence.low, evidence.high
    if low is None and high is None:
        return f"of {describe_evidence_days(evidence.days, evidence.block_days)}, too few for an interval at these odds"
    least = "no lower limit yet" if low is None else format_significant(low, "+")
    return f"{least} to {'no upper limit yet' if high is None else format_significant(high, '+')}"


def _describe_margin(evidence: Evidence) -> str:
    """The margin in the loss's unit and as a share of the baseline's loss, or why there is none."""
    if missing := _explain_missing_margin(evidence):
        return missing
    scale = LossScale(evidence.loss, evidence.baseline_loss, evidence.baseline_clipped)
    return f"the margin is {scale.describe_share(evidence.margin / evidence.baseline_loss)}"


def _explain_missing_margin(evidence: Evidence) -> str:
    """Why there is no margin; "" if there is one."""
    if math.isnan(evidence.baseline_loss):
        return f"no margin is known, as the baseline's {evidence.loss} isn't"
    return "" if evidence.baseline_loss else f"there is no margin, as the baseline's {evidence.loss} is 0"
