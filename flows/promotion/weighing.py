"""Two models on the same predictions: what was answered, what the shadow says, and the labels, as evidence."""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

import problem.schema
from flows.promotion.bundled import Version
from flows.promotion.scored import losses_of, predictions_of
from monitoring.cohorts import cohorts
from monitoring.evidence import Evidence, Rule, weigh
from monitoring.guardrails import Fault, faults
from settings import Settings
from stores.index import Index
from stores.joined import joined
from stores.shadow import OK, SKIPPED
from stores.shadowed import shadowed
from task import Task


@dataclass(frozen=True)
class Weighed:
    """What is known of one model beside another: blocks of days weighed, what is broken, how the shadow got on."""

    evidence: Evidence
    faults: list[Fault]
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


def candidate(chosen: Settings, live: Version, new: Version, now: dt.datetime) -> Weighed:
    """The candidate beside the live model, whose answers it was shown in the shadow: as evidence count the days after
    all that it learnt from was complete, however far back it was shown more."""
    recipe = live.facts.get("recipe")
    rule: Rule = "non-inferiority" if recipe and recipe == new.facts.get("recipe") else "superiority"
    return _candidate(chosen, live, new, rule, now, _answers(chosen, live.folder.name, new.folder.name))


def canary(chosen: Settings, live: Version, new: Version, since: dt.datetime, now: dt.datetime) -> Weighed:
    """The same since the candidate answers a share of the keys: where it did, the live model was in the shadow."""
    swapped = {"output": "said", "said": "output"}
    shown = _answers(chosen, live.folder.name, new.folder.name)
    answered = _answers(chosen, new.folder.name, live.folder.name).rename(swapped).select(shown.columns)
    sound = answered.filter(pl.col("status").is_null() | (pl.col("status") == OK))  # others are failures of live
    answers = pl.concat([shown, sound]).filter(pl.col("time") >= since)
    terms = chosen.promotion.model_copy(update={"shadow_days": chosen.promotion.canary_days})
    looked = chosen.model_copy(update={"promotion": terms})
    return _candidate(looked, live, new, "non-inferiority", now, answers)


def _candidate(
    chosen: Settings, live: Version, new: Version, rule: Rule, now: dt.datetime, answers: pl.DataFrame
) -> Weighed:
    unknown = answers if new.learnt is None else answers.filter(pl.col("event").dt.date() > new.learnt)
    evidence = _weigh(chosen, unknown, ("output", "said"), live, rule, now)
    ok = answers.filter(status=OK)
    shadow = _shadow(answers)
    reference = predictions_of(new.reference["prediction"])
    broken = _faults(chosen, ok, ("output", "said"), shadow["errors"], new.milliseconds(), reference)
    return Weighed(evidence, broken, shadow)


def promotion(chosen: Settings, live: Version, previous: Version, since: dt.datetime, now: dt.datetime) -> Weighed:
    """The live model beside the previous one, which has been in the shadow since the promotion: sides exchanged."""
    answers = _answers(chosen, live.folder.name, previous.folder.name).filter(pl.col("time") >= since)
    evidence = _weigh(chosen, answers, ("said", "output"), previous, "non-inferiority", now)
    reference = predictions_of(live.reference["prediction"])
    broken = _faults(chosen, answers.filter(status=OK), ("said", "output"), 0, None, reference)
    return Weighed(evidence, broken, _shadow(answers))


def _answers(chosen: Settings, live: str, shadow: str) -> pl.DataFrame:
    """What the live model answered by itself, with what the other says (`said`, `status`, both null where it isn't
    there yet), from the first day on that the other has seen."""
    index = Index.of(chosen, problem.schema)
    index.catch_up()
    seen = shadowed(index, shadow).select("id", "status", said=_cast("output"), differs="decision")
    rows = joined(index).filter(pl.col("model") == live, "alone").join(seen, on="id", how="left")
    rows = rows.with_columns(differs=pl.col("differs") != _as_logged(index.terms.task))
    first = rows.filter(pl.col("status").is_not_null() & (pl.col("status") != SKIPPED))["event"].min()
    return rows.clear() if first is None else rows.filter(pl.col("event").dt.date() >= first.date())  # type: ignore[union-attr]


def _weigh(
    chosen: Settings, answers: pl.DataFrame, sides: tuple[str, str], standard: Version, rule: Rule, now: dt.datetime
) -> Evidence:
    """`sides`: the columns with the predictions of who stands as live and of who is judged. The ceiling of a row's loss
    is set by the reference of the first, which `standard` is."""
    rows = answers.filter(pl.col("target").is_not_null() | pl.col("arrived").is_null())
    kept = standard.reference
    usual = losses_of(chosen, kept["label"], predictions_of(kept["prediction"]), np.inf)
    ceiling = chosen.promotion.loss_ceiling * float(usual.mean())
    live, judged = (losses_of(chosen, rows["target"], predictions_of(rows[side]), ceiling) for side in sides)
    due = pl.max_horizontal("event", "time") + pl.duration(hours=chosen.labels.delay_hours)
    paired = rows.select(
        time="event",
        mature=due <= now,
        loss_live=pl.Series(live, dtype=pl.Float64),
        loss_candidate=pl.Series(judged, dtype=pl.Float64),
    )
    return weigh(cohorts(paired, now.date(), chosen.promotion), rule, chosen.promotion)


def _faults(
    chosen: Settings,
    rows: pl.DataFrame,
    sides: tuple[str, str],
    errors: int,
    milliseconds: np.ndarray | None,
    reference: np.ndarray,
) -> list[Fault]:
    live, judged = (predictions_of(rows[side]) for side in sides)
    return faults(
        Task.of(problem.schema),
        live,
        judged,
        chosen.promotion,
        errors,
        milliseconds,
        reference if len(reference) else None,
    )


def _shadow(answers: pl.DataFrame) -> dict[str, Any]:
    """Coverage, failures and disagreement: numbers of rows, means (None where there is nothing to take one of)."""
    ok = answers.filter(status=OK)
    counts = dict(answers.drop_nulls("status").group_by("status").len().iter_rows())
    skipped = counts.get(SKIPPED, 0)
    difference = float(np.abs(predictions_of(ok["output"]) - predictions_of(ok["said"])).mean()) if ok.height else None
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


def _as_logged(task: Task) -> pl.Expr:
    """The live decision as the index has the shadow's; null for a number, which is no decision."""
    if task.kind == "regression":
        return pl.lit(None, pl.String)
    return pl.col("decision").cast(pl.Int8 if task.kind == "binary" else pl.String).cast(pl.String)


def _cast(name: str) -> pl.Expr:
    task = Task.of(problem.schema)
    return pl.col(name).cast(pl.Array(pl.Float64, len(task.classes)) if task.kind == "multiclass" else pl.Float64)
