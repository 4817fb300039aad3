"""Two models on the same rows: the service's answers, the shadow's and the labels, as evidence for a promotion."""

import datetime as dt
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from flows.steps.model_version import ModelVersion
from flows.steps.prediction_losses import compute_known_losses, extract_predictions, measure_loss_ceiling
from flows.steps.promote.waiting import drop_learnt_rows, explain_rare_days, explain_waiting
from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.metrics.losses import LossScale, describe_loss
from penumbra.core.predictions import compute_distances
from penumbra.core.settings import PromotionSettings, Settings
from penumbra.core.task import Task
from penumbra.core.text.counts import format_count, format_share
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labels import read_answers_beside
from penumbra.logs.queries.shadow import find_first_day_beside
from penumbra.logs.schema import BEHIND_REASON, REVIEW_SOURCE, STATUS_OK, STATUS_SKIPPED
from penumbra.promotion.day_blocks import compute_block_start, sum_losses_by_block
from penumbra.promotion.evidence import Evidence, compute_evidence
from penumbra.promotion.guardrails import GuardrailFault, find_guardrail_faults
from penumbra.promotion.unseen_losses import EarlierDays
from penumbra.promotion.verdict import PromotionRule
from penumbra.registry.bundles.version_facts import have_same_recipe

PredictionColumns = tuple[str, str]  # the column of the model that stands as live, and of the one that is judged
SERVED, SHADOW = "output", "shadow"


@dataclass(frozen=True)
class PairedEvidence:
    """What is known of one model beside another: evidence of blocks of days, faults, how the shadow did, and what the
    evidence waits for."""

    evidence: Evidence
    faults: list[GuardrailFault]
    shadow: dict[str, Any]
    waits_for: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Convert to plain JSON for the ledger.

        Returns:
            A dictionary of the fields.
        """
        return asdict(self)

    def __str__(self) -> str:
        """How many rows the shadow answered, and how far it is from the served answers."""
        s = self.shadow
        rows = f"{s['answered']:,} of {format_count(s['rows'], 'row')} answered in the shadow, {s['errors']:,} failed"
        rows += f", {s['left_out']:,} left out as it was behind" if s["left_out"] else ""
        apart = "" if s["difference"] is None else f", {s['difference']:.4g} apart on average of these"
        differing = "" if s["differing"] is None else f", {format_share(s['differing'])} of the decisions differ"
        return f"{rows}{apart}{differing}"


def compare_candidate(
    settings: Settings, live: ModelVersion, new: ModelVersion, now: dt.datetime, earlier: EarlierDays | None = None
) -> PairedEvidence:
    """Compare the candidate in the shadow with the live model's answers.

    Only days after all that the candidate learnt from was complete count as evidence, however far back it was shown
    more.

    Args:
        settings: Sections [promotion] and [labels], and those that the index of the logs needs.
        live: The live version.
        new: The candidate.
        now: The time by which labels are due.
        earlier: The days on which the gate compared the two; None for none.

    Returns:
        The evidence; by non-inferiority if both have the same recipe, by superiority otherwise.
    """
    rule: PromotionRule = "non-inferiority" if have_same_recipe(live.facts, new.facts) else "superiority"
    answers = read_paired_answers(settings, live, new)
    return _weigh_answers(settings, live, new, rule, now, answers, earlier)


def compare_canary(
    settings: Settings, live: ModelVersion, new: ModelVersion, since: dt.datetime, now: dt.datetime
) -> PairedEvidence:
    """Compare candidate and live model since the candidate answers a share of the keys.

    Where the candidate answered, the live model was in the shadow; these rows count as well.

    Args:
        settings: As for `compare_candidate`; `promotion.canary_days` takes the place of `promotion.shadow_days`.
        live: The live version.
        new: The candidate.
        since: When it began to answer.
        now: The time by which labels are due.

    Returns:
        The evidence by non-inferiority.
    """
    swapped = {SERVED: SHADOW, SHADOW: SERVED}
    of_live = read_paired_answers(settings, live, new)
    of_canary = read_paired_answers(settings, new, live).rename(swapped)
    sound = pl.col("status").is_null() | (pl.col("status") == STATUS_OK)  # others are failures of the live model
    both = pl.concat([of_live, of_canary.select(of_live.columns).filter(sound)])
    promotion = settings.promotion.model_copy(update={"shadow_days": settings.promotion.canary_days})
    of_canaries = settings.model_copy(update={"promotion": promotion})
    return _weigh_answers(of_canaries, live, new, "non-inferiority", now, both.filter(pl.col("time") >= since))


def compare_promotion(
    settings: Settings, live: ModelVersion, previous: ModelVersion, since: dt.datetime, now: dt.datetime
) -> PairedEvidence:
    """Compare the live model with the previous one, which has been in the shadow since the promotion.

    Args:
        settings: As for `compare_candidate`.
        live: The live version, which is judged.
        previous: The version that was live before, which stands as live in the comparison.
        since: When the live version was promoted.
        now: The time by which labels are due.

    Returns:
        The evidence by non-inferiority.
    """
    answers = read_paired_answers(settings, live, previous).filter(pl.col("time") >= since)
    evidence = _build_evidence(settings, answers, (SHADOW, SERVED), previous, "non-inferiority", now)
    reference = extract_predictions(live.task, live.reference[PREDICTION_COLUMN])
    ok = answers.filter(status=STATUS_OK)
    faults = _find_guardrail_faults(settings.promotion, live.task, ok, (SHADOW, SERVED), 0, None, reference)
    return PairedEvidence(evidence, faults, _summarise_shadow(answers, live.task))


def _weigh_answers(
    settings: Settings,
    live: ModelVersion,
    new: ModelVersion,
    rule: PromotionRule,
    now: dt.datetime,
    answers: pl.DataFrame,
    earlier: EarlierDays | None = None,
) -> PairedEvidence:
    evidence = _build_evidence(settings, drop_learnt_rows(answers, new), (SERVED, SHADOW), live, rule, now, earlier)
    shadow, ok, task = _summarise_shadow(answers, new.task), answers.filter(status=STATUS_OK), new.task
    reference, milliseconds = extract_predictions(task, new.reference[PREDICTION_COLUMN]), new.measure_latency_ms()
    faults = _find_guardrail_faults(
        settings.promotion, task, ok, (SERVED, SHADOW), shadow["errors"], milliseconds, reference
    )
    is_open = evidence.verdict == "keep collecting"
    waits_for = explain_waiting(settings, live, new, answers, now) if is_open else []
    if is_open:
        times, terms = live.reference[live.problem.schema.TIME], settings.promotion
        waits_for += explain_rare_days(times, terms.block_days, evidence.days_needed)
    return PairedEvidence(evidence, faults, shadow, waits_for)


def read_paired_answers(settings: Settings, live: ModelVersion, other: ModelVersion) -> pl.DataFrame:
    """Read what one version answered by itself beside what another answered in the shadow.

    Args:
        settings: Those that the index of the logs needs.
        live: The version that answered.
        other: The version in the shadow.

    Returns:
        The columns of `penumbra.logs.queries.labels.read_answers_beside`, and `left_out` (Boolean), whether the shadow
        didn't ask the other version as it was behind. The rows begin with the first day of which the shadow has seen
        any.
    """
    index, versions = LogIndex.of_all_replicas(settings, live.problem.schema), (other.folder.name, live.folder.name)
    since = find_first_day_beside(index, *versions) or dt.datetime.max.replace(tzinfo=dt.UTC)
    rows = read_answers_beside(index, *versions, since)
    return rows.with_columns(left_out=pl.col("reason").str.starts_with(BEHIND_REASON).fill_null(False))


def _build_evidence(
    settings: Settings,
    answers: pl.DataFrame,
    columns: PredictionColumns,
    standard: ModelVersion,
    rule: PromotionRule,
    now: dt.datetime,
    earlier: EarlierDays | None = None,
) -> Evidence:
    """Weigh the losses of two models; the reference of `standard`, which stands as live, sets the ceiling of a loss.

    Rows that the shadow left out as it was behind are no part of a day: which these are depends on nothing in them.
    """
    rows = answers.filter(pl.col("target").is_not_null() | pl.col("arrived").is_null(), ~pl.col("left_out"))
    task, loss, (ceiling, scale) = standard.task, settings.promotion.loss, _measure_reference(settings, standard)
    live, judged = (
        compute_known_losses(task, loss, rows["target"], extract_predictions(task, rows[column]), ceiling)
        for column in columns
    )
    due = pl.max_horizontal("event", "time") + pl.duration(hours=settings.labels.delay_hours)
    paired = rows.select(
        time="event",
        mature=due <= now,
        loss_live=pl.Series(live, dtype=pl.Float64),
        loss_candidate=pl.Series(judged, dtype=pl.Float64),
        by_people=pl.col("source") == REVIEW_SOURCE,
    )
    blocks = sum_losses_by_block(paired, now.date(), settings.promotion)
    evidence = compute_evidence(blocks, rule, settings.promotion, scale, earlier)
    known = np.isfinite(live + judged)
    clipped = float(np.mean(np.maximum(live, judged)[known] >= ceiling)) if known.any() else 0.0
    by_people = _count_people_labels(paired.filter(known), blocks, settings.promotion.block_days)
    return replace(evidence, by_people=by_people, clipped=clipped, ceiling=ceiling if np.isfinite(ceiling) else None)


def _count_people_labels(labelled: pl.DataFrame, blocks: pl.DataFrame, days: int) -> int:
    """Count the rows of complete blocks whose label is a reviewer's answer."""
    firsts = labelled.filter("by_people").select(compute_block_start("time", days))
    return firsts.join(blocks.filter("complete"), on="first", how="semi").height


def _measure_reference(settings: Settings, standard: ModelVersion) -> tuple[float, LossScale]:
    """Return the ceiling of a row's loss, and the baseline's mean loss, on the reference of a version."""
    task, loss, reference = standard.task, settings.promotion.loss, standard.reference
    ceiling = measure_loss_ceiling(task, settings.promotion, reference)
    predictions = extract_predictions(task, reference[PREDICTION_COLUMN])
    baseline = np.broadcast_to(standard.find_baseline(loss), predictions.shape)
    losses = compute_known_losses(task, loss, reference[LABEL_COLUMN], baseline, ceiling)
    return ceiling, LossScale(describe_loss(task, loss), float(losses.mean()), float((losses >= ceiling).mean()))


def _find_guardrail_faults(
    settings: PromotionSettings,
    task: Task,
    rows: pl.DataFrame,
    columns: PredictionColumns,
    errors: int,
    milliseconds: np.ndarray | None,
    reference: np.ndarray,
) -> list[GuardrailFault]:
    live, judged = (extract_predictions(task, rows[column]) for column in columns)
    given = reference if len(reference) else None
    return find_guardrail_faults(task, live, judged, settings, errors, milliseconds, given)


def _summarise_shadow(answers: pl.DataFrame, task: Task) -> dict[str, Any]:
    """Return coverage, failures and disagreement: numbers of rows, and means that are None without rows."""
    ok = answers.filter(status=STATUS_OK)
    counts = dict(answers.drop_nulls("status").group_by("status").len().iter_rows())
    skipped = counts.get(STATUS_SKIPPED, 0)
    served, shadow = (extract_predictions(task, ok[column]) for column in (SERVED, SHADOW))
    distances = compute_distances(served, shadow) if ok.height else None
    return {
        "rows": answers.height,
        "answered": ok.height,
        "skipped": skipped,
        "left_out": int(answers["left_out"].sum()),
        "waiting": answers["status"].null_count(),
        "errors": sum(counts.values()) - ok.height - skipped,
        "statuses": counts,
        "difference": None if distances is None else float(distances.mean()),
        "differing": ok["differs"].mean(),
    }
