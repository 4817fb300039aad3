"""Two models on the same predictions: what was answered, what the shadow says, and the labels, as evidence."""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

import problem.schema
from flows.steps.model_version import ModelVersion
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.logs.index import LogIndex
from penumbra.logs.queries.labels import join_labels
from penumbra.logs.queries.shadow import read_shadow_outputs
from penumbra.logs.schema import STATUS_OK, STATUS_SKIPPED
from penumbra.promotion.day_blocks import sum_losses_by_block
from penumbra.promotion.evidence import Evidence, PromotionRule, compute_evidence
from penumbra.promotion.guardrails import GuardrailFault, find_guardrail_faults


@dataclass(frozen=True)
class PairedEvidence:
    """What is known of one model beside another: blocks of days weighed, what is broken, how the shadow got on."""

    evidence: Evidence
    faults: list[GuardrailFault]
    shadow: dict[str, Any]

    def facts(self) -> dict[str, Any]:
        """Plain JSON, for the ledger."""
        return asdict(self)

    def __str__(self) -> str:
        s = self.shadow
        rows = f"{s['answered']:,} of {s['rows']:,} rows answered in the shadow, {s['errors']:,} failed"
        apart = "" if s["difference"] is None else f", {s['difference']:.4f} apart on average"
        differing = "" if s["differing"] is None else f", {s['differing']:.1%} of the decisions differ"
        return f"{rows}{apart}{differing}"


def weigh_candidate(settings: Settings, live: ModelVersion, new: ModelVersion, now: dt.datetime) -> PairedEvidence:
    """The candidate beside the live model, whose answers it was shown in the shadow: as evidence count the days after
    all that it learnt from was complete, however far back it was shown more."""
    recipe = live.facts.get("recipe")
    rule: PromotionRule = "non-inferiority" if recipe and recipe == new.facts.get("recipe") else "superiority"
    return _weigh_candidate_answers(
        settings, live, new, rule, now, _read_paired_answers(settings, live.folder.name, new.folder.name)
    )


def weigh_canary(
    settings: Settings, live: ModelVersion, new: ModelVersion, since: dt.datetime, now: dt.datetime
) -> PairedEvidence:
    """The same since the candidate answers a share of the keys: where it did, the live model was in the shadow."""
    swapped = {"output": "said", "said": "output"}
    shown = _read_paired_answers(settings, live.folder.name, new.folder.name)
    answered = _read_paired_answers(settings, new.folder.name, live.folder.name).rename(swapped).select(shown.columns)
    sound = answered.filter(pl.col("status").is_null() | (pl.col("status") == STATUS_OK))  # others are failures of live
    answers = pl.concat([shown, sound]).filter(pl.col("time") >= since)
    terms = settings.promotion.model_copy(update={"shadow_days": settings.promotion.canary_days})
    looked = settings.model_copy(update={"promotion": terms})
    return _weigh_candidate_answers(looked, live, new, "non-inferiority", now, answers)


def _weigh_candidate_answers(
    settings: Settings,
    live: ModelVersion,
    new: ModelVersion,
    rule: PromotionRule,
    now: dt.datetime,
    answers: pl.DataFrame,
) -> PairedEvidence:
    unknown = answers if new.learnt is None else answers.filter(pl.col("event").dt.date() > new.learnt)
    evidence = _build_evidence(settings, unknown, ("output", "said"), live, rule, now)
    ok = answers.filter(status=STATUS_OK)
    shadow = _summarise_shadow(answers)
    reference = extract_predictions(new.reference["prediction"])
    broken = _find_guardrail_faults(
        settings, ok, ("output", "said"), shadow["errors"], new.measure_latency_ms(), reference
    )
    return PairedEvidence(evidence, broken, shadow)


def weigh_promotion(
    settings: Settings, live: ModelVersion, previous: ModelVersion, since: dt.datetime, now: dt.datetime
) -> PairedEvidence:
    """The live model beside the previous one, which has been in the shadow since the promotion: sides exchanged."""
    answers = _read_paired_answers(settings, live.folder.name, previous.folder.name).filter(pl.col("time") >= since)
    evidence = _build_evidence(settings, answers, ("said", "output"), previous, "non-inferiority", now)
    reference = extract_predictions(live.reference["prediction"])
    broken = _find_guardrail_faults(settings, answers.filter(status=STATUS_OK), ("said", "output"), 0, None, reference)
    return PairedEvidence(evidence, broken, _summarise_shadow(answers))


def _read_paired_answers(settings: Settings, live: str, shadow: str) -> pl.DataFrame:
    """What the live model answered by itself, with what the other says (`said`, `status`, both null where it isn't
    there yet), from the first day on that the other has seen."""
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    seen = read_shadow_outputs(index, shadow).select("id", "status", said=_cast_output("output"), differs="decision")
    rows = join_labels(index).filter(pl.col("model") == live, "alone").join(seen, on="id", how="left")
    rows = rows.with_columns(differs=pl.col("differs") != _decision_as_indexed(index.terms.task))
    first = rows.filter(pl.col("status").is_not_null() & (pl.col("status") != STATUS_SKIPPED))["event"].min()
    return rows.clear() if first is None else rows.filter(pl.col("event").dt.date() >= first.date())  # type: ignore[union-attr]


def _build_evidence(
    settings: Settings,
    answers: pl.DataFrame,
    sides: tuple[str, str],
    standard: ModelVersion,
    rule: PromotionRule,
    now: dt.datetime,
) -> Evidence:
    """`sides`: the columns with the predictions of who stands as live and of who is judged. The ceiling of a row's loss
    is set by the reference of the first, which `standard` is."""
    rows = answers.filter(pl.col("target").is_not_null() | pl.col("arrived").is_null())
    kept = standard.reference
    usual = compute_known_losses(settings, kept["label"], extract_predictions(kept["prediction"]), np.inf)
    ceiling = settings.promotion.loss_ceiling * float(usual.mean())
    live, judged = (
        compute_known_losses(settings, rows["target"], extract_predictions(rows[side]), ceiling) for side in sides
    )
    due = pl.max_horizontal("event", "time") + pl.duration(hours=settings.labels.delay_hours)
    paired = rows.select(
        time="event",
        mature=due <= now,
        loss_live=pl.Series(live, dtype=pl.Float64),
        loss_candidate=pl.Series(judged, dtype=pl.Float64),
    )
    return compute_evidence(sum_losses_by_block(paired, now.date(), settings.promotion), rule, settings.promotion)


def _find_guardrail_faults(
    settings: Settings,
    rows: pl.DataFrame,
    sides: tuple[str, str],
    errors: int,
    milliseconds: np.ndarray | None,
    reference: np.ndarray,
) -> list[GuardrailFault]:
    live, judged = (extract_predictions(rows[side]) for side in sides)
    return find_guardrail_faults(
        Task.from_schema(problem.schema),
        live,
        judged,
        settings.promotion,
        errors,
        milliseconds,
        reference if len(reference) else None,
    )


def _summarise_shadow(answers: pl.DataFrame) -> dict[str, Any]:
    """Coverage, failures and disagreement: numbers of rows, means (None where there is nothing to take one of)."""
    ok = answers.filter(status=STATUS_OK)
    counts = dict(answers.drop_nulls("status").group_by("status").len().iter_rows())
    skipped = counts.get(STATUS_SKIPPED, 0)
    difference = (
        float(np.abs(extract_predictions(ok["output"]) - extract_predictions(ok["said"])).mean()) if ok.height else None
    )
    return {
        "rows": answers.height,
        "answered": ok.height,
        "skipped": skipped,
        "waiting": answers["status"].null_count(),
        "errors": sum(counts.values()) - ok.height - skipped,
        "statuses": counts,
        "difference": difference,
        "differing": ok["differs"].mean(),
    }


def _decision_as_indexed(task: Task) -> pl.Expr:
    """The live decision as the index has the shadow's; null for a number, which is no decision."""
    if task.kind == "regression":
        return pl.lit(None, pl.String)
    return pl.col("decision").cast(pl.Int8 if task.kind == "binary" else pl.String).cast(pl.String)


def _cast_output(name: str) -> pl.Expr:
    task = Task.from_schema(problem.schema)
    return pl.col(name).cast(pl.Array(pl.Float64, len(task.classes)) if task.kind == "multiclass" else pl.Float64)
