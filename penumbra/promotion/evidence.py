"""The evidence for or against a candidate: a verdict from paired losses in blocks of days, valid at any time.

Looking every day doesn't make false promotions more likely. The statistic is described in sequential.py.

What is assumed: blocks of two equal models could swap names (their loss differences are symmetric about 0 given the
past), days further apart than a few blocks don't depend on each other, and the rows with labels are like those without.
What no test can know is a storm that hasn't come yet: a candidate that is a bit better on calm days and much worse on
rare ones is promoted, and demoted afterwards by the same test with the roles swapped.

Source:
    Choe and Ramdas, "Comparing sequential forecasters", 2023; here by blocks in place of rounds.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import polars as pl

from penumbra.core.metrics.losses import LossScale
from penumbra.promotion.sequential import compute_log_e_values, compute_lower_bound, estimate_blocks_needed

PromotionRule = Literal["superiority", "non-inferiority"]
EvidenceVerdict = Literal["promote", "reject", "keep collecting"]
E_VALUE_SIGNS = {"better": 1, "worse": -1}
MAX_LOG_E_VALUE = 700.0  # larger logarithms are cut, so that their exponential is a finite number


class EvidenceSettings(Protocol):
    """The values of the settings' section `promotion` that the evidence depends on."""

    block_days: int
    promote_level: float
    harm_level: float
    shadow_days: int
    margin_share: float


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

    def __str__(self) -> str:
        """The verdict, with days, labels, e-values and the difference per row."""
        text = f"{self.verdict}: {self.days:,} days, {self.labels:,} labels; e-values {self.better:.3g} for better"
        text += f" and {self.worse:.3g} for worse"
        if self.difference is not None:
            text += f"; {self.loss} {self.difference:+.4g} a row in its favour ({self._describe_interval()})"
        return text + (f"; about {self.days_needed:,} more days" if self.days_needed else "")

    def _describe_interval(self) -> str:
        """The interval of the difference, or why it has no ends yet; and the margin where one counts."""
        if self.low is None and self.high is None:
            ends = f"of {self.days:,} days, too few for an interval at these odds"
        else:
            low = "no lower limit yet" if self.low is None else f"{self.low:+.4g}"
            ends = f"{low} to {'no upper limit yet' if self.high is None else f'{self.high:+.4g}'}"
        share = self.margin / self.baseline_loss if self.baseline_loss else 0.0
        margin = f"; the margin is {LossScale(self.loss, self.baseline_loss).describe_share(share)}"
        return ends + (margin if self.rule == "non-inferiority" else "")


def compute_evidence(
    blocks: pl.DataFrame, rule: PromotionRule, settings: EvidenceSettings, scale: LossScale
) -> Evidence:
    """Compute the evidence and its verdict; incomplete blocks don't count.

    A candidate is rejected once it is shown to be worse. To watch over a promotion, put the previous model in the place
    of live and count blocks from the promotion on: "reject" then means roll back.

    Args:
        blocks: The columns of `penumbra.promotion.day_blocks.sum_losses_by_block`, of which `first` (Date), `complete`
            (Boolean), `labels`, `live`, `candidate` and `difference` (sums) are used.
        rule: "superiority", for a new recipe: promoted once it is shown to be better. "non-inferiority", for the same
            recipe on newer data: promoted after `settings.shadow_days`, if its mean loss isn't higher by more than
            `settings.margin_share` of the baseline's: in a week nothing can be shown to be worse at such odds, but
            what is broken looks it.
        settings: Levels, margin, and lengths in days.
        scale: What the losses are, and the baseline's.

    Returns:
        The evidence.
    """
    used = blocks.filter("complete").sort("first")
    sums, weights = used["difference"].to_numpy(), used["labels"].cast(pl.Float64).to_numpy()
    better, worse = (_final_e_value(compute_log_e_values(sign * sums)) for sign in (1, -1))
    days, labels = used.height * settings.block_days, int(used["labels"].sum())
    difference = _mean_loss(used["difference"], labels)
    margin = settings.margin_share * scale.baseline
    is_within = (difference or 0.0) >= -margin
    verdict = _decide_verdict(better, worse, is_within and days >= settings.shadow_days, rule, settings)
    needed = None if verdict != "keep collecting" else _days_needed(sums, days, rule, settings)
    low, high = _confidence_interval(sums, weights, settings)
    return Evidence(
        rule=rule,
        verdict=verdict,
        days=days,
        labels=labels,
        incomplete_blocks=blocks.height - used.height,
        live_loss=_mean_loss(used["live"], labels),
        candidate_loss=_mean_loss(used["candidate"], labels),
        difference=difference,
        low=low,
        high=high,
        better=better,
        worse=worse,
        days_needed=needed,
        labels_needed=None if needed is None or not days else round(needed * labels / days),
        loss=scale.name,
        baseline_loss=scale.baseline,
        margin=margin,
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


def _decide_verdict(
    better: float, worse: float, has_waited: bool, rule: PromotionRule, settings: EvidenceSettings
) -> EvidenceVerdict:
    if worse >= 1 / settings.harm_level:
        return "reject"
    earned = better >= 1 / settings.promote_level if rule == "superiority" else has_waited
    return "promote" if earned else "keep collecting"


def _days_needed(sums: np.ndarray, days: int, rule: PromotionRule, settings: EvidenceSettings) -> int | None:
    """Estimate the days to a verdict if the days to come are like those so far; None if years away or unknown."""
    if rule == "non-inferiority":
        return settings.shadow_days - days if days < settings.shadow_days else None
    favour = sums.sum() > 0
    blocks = estimate_blocks_needed(
        sums if favour else -sums, settings.promote_level if favour else settings.harm_level
    )
    return None if blocks is None else blocks * settings.block_days


def _confidence_interval(
    sums: np.ndarray, weights: np.ndarray, settings: EvidenceSettings
) -> tuple[float | None, float | None]:
    if not weights.sum():
        return None, None
    low, high = (
        compute_lower_bound(sums, weights, settings.promote_level),
        compute_lower_bound(-sums, weights, settings.harm_level),
    )
    return low, None if high is None else -high


def _final_e_value(path: np.ndarray) -> float:
    return math.exp(min(float(path[-1]), MAX_LOG_E_VALUE)) if len(path) else 1.0


def _mean_loss(sums: pl.Series, labels: int) -> float | None:
    return float(sums.sum()) / labels if labels else None
