"""The verdict that follows from paired losses in blocks of days; evidence.py and reasons.py say how sure it is."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import polars as pl

from penumbra.core.metrics.losses import LossScale
from penumbra.promotion import betting
from penumbra.promotion.sequential import compute_log_e_values
from penumbra.promotion.unseen_losses import EarlierDays

PromotionRule = Literal["superiority", "non-inferiority"]
EvidenceVerdict = Literal["promote", "reject", "keep collecting"]
MAX_LOG_E_VALUE = 700.0  # larger logarithms are cut, so that their exponential is a finite number


class EvidenceSettings(Protocol):
    """The values of the settings' section `promotion` that the evidence depends on."""

    block_days: int
    promote_level: float
    harm_level: float
    seen_days: int
    shadow_days: int
    margin_share: float


@dataclass(frozen=True)
class BlockOdds:
    """What complete blocks say.

    Attributes:
        used: The blocks, oldest first, with the columns that `compute_verdict` uses.
        sums: Their differences, float64 [n].
        weights: Their labels, float64 [n].
        worst_before: The largest loss of a block that was seen before these.
        days: The number of days.
        labels: The number of labels.
        difference: The mean difference a row; None without labels.
        margin: The loss a row by which the same recipe may be worse.
        better: e-value against "no better".
        worse: e-value against "no worse".
        capital: The capital of a bet that survives days like the worst so far.
        unseen_days: Days that a new recipe must still be seen on.
        verdict: What follows.
    """

    used: pl.DataFrame
    sums: np.ndarray
    weights: np.ndarray
    worst_before: float
    days: int
    labels: int
    difference: float | None
    margin: float
    better: float
    worse: float
    capital: float
    unseen_days: int
    verdict: EvidenceVerdict


def compute_verdict(
    blocks: pl.DataFrame,
    rule: PromotionRule,
    settings: EvidenceSettings,
    scale: LossScale,
    earlier: EarlierDays | None = None,
) -> EvidenceVerdict:
    """Compute the verdict of `penumbra.promotion.evidence` alone: its interval takes nearly all of the time.

    Args:
        blocks: The columns of `penumbra.promotion.day_blocks.sum_losses_by_block`, of which `first` (Date), `complete`
            (Boolean), `labels`, `live`, `candidate` and `difference` (sums) are used.
        rule: What the candidate has to show.
        settings: Levels, margin, and lengths in days.
        scale: What the losses are, and the baseline's.
        earlier: Days before the shadow on which a rare loss would have shown; None for none.

    Returns:
        The verdict.
    """
    return weigh_blocks(blocks, rule, settings, scale, earlier or EarlierDays()).verdict


def weigh_blocks(
    blocks: pl.DataFrame, rule: PromotionRule, settings: EvidenceSettings, scale: LossScale, earlier: EarlierDays
) -> BlockOdds:
    """Weigh the complete ones among blocks.

    Args:
        blocks: A frame with the columns `first`, `complete`, `labels`, `live`, `candidate` and `difference`, as for
            `compute_verdict`.
        rule: What the candidate has to show.
        settings: Levels, margin, and lengths in days.
        scale: What the losses are, and the baseline's.
        earlier: Days before the shadow on which a rare loss would have shown.

    Returns:
        The odds, and the verdict.
    """
    used = blocks.filter("complete").sort("first")
    sums, weights = used["difference"].to_numpy(), used["labels"].cast(pl.Float64).to_numpy()
    worst_before = earlier.worst * float(weights.mean()) if len(weights) else 0.0
    better, worse = (_final_e_value(compute_log_e_values(sign * sums)) for sign in (1, -1))
    capital = math.exp(min(betting.compute_final_log_capital(sums, worst_before), MAX_LOG_E_VALUE))
    days, labels = used.height * settings.block_days, int(used["labels"].sum())
    difference, margin = compute_mean_loss(used["difference"], labels), settings.margin_share * scale.baseline
    unseen_days = max(settings.seen_days - days - earlier.days, 0) if rule == "superiority" else 0
    if rule == "superiority":
        is_shown = all(odds >= 1 / settings.promote_level for odds in (better, capital))  # which NaN never is
        is_earned = is_shown and not unseen_days
    else:
        is_earned = (difference or 0.0) >= -margin and days >= settings.shadow_days
    verdict = _decide_verdict(worse, is_earned, settings)
    known = worst_before, days, labels, difference, margin, better, worse, capital, unseen_days, verdict
    return BlockOdds(used, sums, weights, *known)


def compute_mean_loss(sums: pl.Series, labels: int) -> float | None:
    """Compute the mean of `sums` of losses (Float64) over so many `labels`; returns None without any."""
    return float(sums.sum()) / labels if labels else None


def _decide_verdict(worse: float, is_earned: bool, settings: EvidenceSettings) -> EvidenceVerdict:
    if worse >= 1 / settings.harm_level:
        return "reject"
    return "promote" if is_earned else "keep collecting"


def _final_e_value(path: np.ndarray) -> float:
    return math.exp(min(float(path[-1]), MAX_LOG_E_VALUE)) if len(path) else 1.0
