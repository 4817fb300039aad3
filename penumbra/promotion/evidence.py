"""The evidence for or against a candidate: a verdict from paired losses in blocks of days, valid at any time.

Looking every day doesn't make false promotions more likely. The statistic is described in sequential.py.

What is assumed: blocks of two equal models could swap names (their loss differences are symmetric about 0 given the
past), days further apart than a few blocks don't depend on each other, and the rows with labels are like those without.
For a new recipe the symmetry isn't relied on alone: a bet that survives days like the worst so far (betting.py) must
have won at the same odds, over a number of days. What no test can know is a storm that hasn't come yet
(unseen_losses.py): a candidate that is a bit better on calm days and much worse on rarer ones is promoted, and demoted
afterwards by the same test with the roles swapped.

Source:
    Choe and Ramdas, "Comparing sequential forecasters", 2023; here by blocks in place of rounds.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from penumbra.core.metrics.losses import LossScale
from penumbra.promotion import betting
from penumbra.promotion.sequential import (
    MAX_BLOCKS_AHEAD,
    compute_log_e_values,
    compute_lower_bound,
    estimate_blocks_needed,
)
from penumbra.promotion.unseen_losses import EarlierDays, UnseenLoss, find_unseen_loss
from penumbra.promotion.verdict import (
    MAX_LOG_E_VALUE,
    BlockOdds,
    EvidenceSettings,
    EvidenceVerdict,
    PromotionRule,
    compute_mean_loss,
    weigh_blocks,
)

E_VALUE_SIGNS = {"better": 1, "worse": -1}


@dataclass(frozen=True)
class Evidence:
    """The evidence of complete blocks. A positive difference, live less candidate, says that the candidate is better.

    Args:
        rule: What the candidate has to show.
        verdict: What the evidence says.
        days: Number of days in complete blocks.
        labels: Number of rows with both losses.
        incomplete_blocks: Number of blocks that don't count yet.
        live_loss: The live model's mean loss per row; None without labels.
        candidate_loss: The candidate's mean loss per row; None without labels.
        difference: The first less the second; None without labels.
        low: Lower end of the difference's confidence sequence, at the level for promotion; None if unknown yet.
        high: Upper end, at the level for harm; None if unknown yet.
        better: e-value against "no better": the odds at which one could have bet against it.
        worse: e-value against "no worse".
        days_needed: Estimated days to a verdict; None if unknown or far away, or if there is a verdict.
        labels_needed: Estimated labels to a verdict; None likewise.
        loss: The loss in words.
        baseline_loss: The baseline's mean loss per row, of which the margin is a share.
        margin: The loss per row by which the same recipe may be worse.
        promote_odds: The odds from which on a new recipe is shown to be better.
        harm_odds: The odds from which on a candidate is shown to be worse.
        shadow_days: Days after which the same recipe may be promoted.
        capital: The capital of a bet that survives days like the worst so far: odds against "no better on average".
        seen_days_needed: Days that a new recipe must still be seen on, whatever the odds.
        unseen: What the days can't know; None without a gain.
        clipped: The share of rows on which the loss of either model counts as the ceiling.
        ceiling: The most that a row's loss counts; None where that isn't known.
        by_people: How many of the labels are reviewers' answers, as no outcome has arrived.
        baseline_clipped: The share of rows on which the baseline's loss counts as the ceiling.
        block_days: The days of a block: one with rows counts as so many.
    """

    rule: PromotionRule
    verdict: EvidenceVerdict
    days: int
    labels: int
    incomplete_blocks: int
    live_loss: float | None
    candidate_loss: float | None
    difference: float | None
    low: float | None
    high: float | None
    better: float
    worse: float
    days_needed: int | None
    labels_needed: int | None
    loss: str
    baseline_loss: float
    margin: float
    promote_odds: float
    harm_odds: float
    shadow_days: int
    capital: float = 1.0
    seen_days_needed: int = 0
    unseen: UnseenLoss | None = None
    clipped: float = 0.0
    ceiling: float | None = None
    by_people: int = 0
    baseline_clipped: float = 0.0
    block_days: int = 1


def compute_evidence(
    blocks: pl.DataFrame,
    rule: PromotionRule,
    settings: EvidenceSettings,
    scale: LossScale,
    earlier: EarlierDays | None = None,
) -> Evidence:
    """Compute the evidence and its verdict; incomplete blocks don't count.

    A candidate is rejected once it is shown to be worse. To watch over a promotion, put the previous model in the place
    of live and count blocks from the promotion on: "reject" then means roll back.

    Args:
        blocks: The columns of `penumbra.promotion.day_blocks.sum_losses_by_block`, of which `first` (Date), `complete`
            (Boolean), `labels`, `live`, `candidate` and `difference` (sums) are used.
        rule: "superiority", for a new recipe: promoted once it is shown to be better, and was seen on
            `settings.seen_days`, the earlier ones included. "non-inferiority", for the same recipe on newer data:
            promoted after `settings.shadow_days`, if its mean loss isn't higher by more than `settings.margin_share` of
            the baseline's: in a week nothing can be shown to be worse at such odds, but what is broken looks it.
        settings: Levels, margin, and lengths in days.
        scale: What the losses are, and the baseline's.
        earlier: Days before the shadow on which a rare loss would have shown; None for none.

    Returns:
        The evidence.
    """
    earlier = earlier or EarlierDays()
    odds = weigh_blocks(blocks, rule, settings, scale, earlier)
    is_open = odds.verdict == "keep collecting"
    needed = _days_needed(odds, rule, settings) if is_open else None
    low, high = _confidence_interval(odds, settings)
    return Evidence(
        rule=rule,
        verdict=odds.verdict,
        days=odds.days,
        labels=odds.labels,
        incomplete_blocks=blocks.height - odds.used.height,
        live_loss=compute_mean_loss(odds.used["live"], odds.labels),
        candidate_loss=compute_mean_loss(odds.used["candidate"], odds.labels),
        difference=odds.difference,
        low=low,
        high=high,
        better=odds.better,
        worse=odds.worse,
        days_needed=needed,
        labels_needed=None if needed is None or not odds.days else round(needed * odds.labels / odds.days),
        loss=scale.name,
        baseline_loss=scale.baseline,
        baseline_clipped=scale.clipped,
        block_days=settings.block_days,
        margin=odds.margin,
        promote_odds=1 / settings.promote_level,
        harm_odds=1 / settings.harm_level,
        shadow_days=settings.shadow_days,
        capital=odds.capital,
        seen_days_needed=odds.unseen_days if odds.days else 0,
        unseen=find_unseen_loss(odds.difference, _worst_loss(odds.used, earlier), odds.days, earlier.days),
    )


def compute_e_value_path(blocks: pl.DataFrame) -> pl.DataFrame:
    """Compute the e-values after each complete block.

    Args:
        blocks: `first` (Date), `complete` (Boolean) and `difference` (sums, Float64).

    Returns:
        `first`, `better` and `worse` (Float64) of each complete block, oldest first.
    """
    used = blocks.filter("complete").sort("first")
    sums = used["difference"].to_numpy()
    values = {
        name: np.exp(np.minimum(compute_log_e_values(sign * sums), MAX_LOG_E_VALUE))
        for name, sign in E_VALUE_SIGNS.items()
    }
    return used.select("first").with_columns(**{name: pl.Series(value) for name, value in values.items()})


def _days_needed(odds: BlockOdds, rule: PromotionRule, settings: EvidenceSettings) -> int | None:
    """Estimate the days to a verdict if the days to come are like those so far; None if years away or unknown."""
    sums, days = odds.sums, odds.days
    if rule == "non-inferiority":
        return settings.shadow_days - days if days < settings.shadow_days else None
    if sums.sum() <= 0:
        blocks = estimate_blocks_needed(-sums, settings.harm_level)
        return None if blocks is None else blocks * settings.block_days
    blocks = estimate_blocks_needed(sums, settings.promote_level)
    to_capital = betting.estimate_blocks_to_capital(sums, settings.promote_level, odds.worst_before)
    if blocks is None or to_capital is None or to_capital > MAX_BLOCKS_AHEAD:
        return None
    return max(max(blocks, to_capital) * settings.block_days, odds.unseen_days)


def _worst_loss(blocks: pl.DataFrame, earlier: EarlierDays) -> float:
    """Return the largest mean loss a row by which the candidate was worse in a block or on an earlier day, or 0."""
    in_shadow = (-blocks["difference"] / blocks["labels"]).max()
    return max(float(in_shadow or 0.0), earlier.worst)  # type: ignore[arg-type]


def _confidence_interval(odds: BlockOdds, settings: EvidenceSettings) -> tuple[float | None, float | None]:
    if not odds.weights.sum():
        return None, None
    low = compute_lower_bound(
        odds.sums,
        odds.weights,
        settings.promote_level,
        lambda x: betting.compute_joint_log_evidence(x, odds.worst_before),
        reach=odds.worst_before,
    )
    high = compute_lower_bound(-odds.sums, odds.weights, settings.harm_level)
    return low, None if high is None else 0.0 - high  # 0 has no sign
