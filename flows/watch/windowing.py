"""What a window shows: faults of each day, drift, loss, labels, and how far the candidate is from the live model."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

import problem.schema
from flows.promotion.scored import losses_of, predictions_of
from flows.watch.watched import Watched
from monitoring import drift, loss
from monitoring.arrivals import refused, volume
from monitoring.data_faults import DataFault, accepted, find
from monitoring.decay import DailyLoss, threshold
from settings import Settings
from stores.asked import asked, refusals
from stores.index import Index
from stores.joined import joined
from stores.profiles import Profiles
from stores.shadow import OK
from stores.shadowed import shadowed
from stores.windows import Distance, Estimated, Fault, Labels, Largest, Loss, Shadow
from task import Task
from training.prepare import labels_of

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Place:
    """Which window: from `begin` to before `end`, as it is known at `now`; `rows` are those of every day by now."""

    begin: dt.date
    end: dt.date
    now: dt.datetime
    rows: Mapping[dt.date, int]

    @property
    def days(self) -> list[dt.date]:
        """From the first day on that has rows at all."""
        every = [self.begin + number * ONE_DAY for number in range((self.end - self.begin).days)]
        return [day for day in every if day >= min(self.rows, default=self.end)]


def midnight(day: dt.date) -> dt.datetime:
    """When a day (UTC) begins."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def faults(chosen: Settings, index: Index, model: Watched, place: Place) -> Iterator[Fault]:
    """Those of each day that the settings don't accept."""
    turned_away = refusals(index)
    for day in place.days if chosen.monitor.on_faults else []:
        found: list[DataFault] = [*volume(place.rows, day), *_refused(turned_away, day)]
        if model.norms and place.rows.get(day):
            found += find(asked(index, day, problem.schema), model.norms)
        yield from (
            Fault(day, each.what, each.column, each.text, each.cause)
            for each in found
            if not accepted(each, day, chosen.monitor.accept)
        )


def _refused(turned_away: pl.DataFrame, day: dt.date) -> list[DataFault]:
    """By the day of arrival, as nothing else is known of them."""
    share = pl.col("records") / (pl.col("records") + pl.col("answered"))
    before = turned_away.filter(pl.col("day") < day).select(share).to_series().to_list()
    today = turned_away.filter(pl.col("day") == day).select("records", "answered", "field")
    return refused(*today.row(0), before) if today.height else []


def drifted(chosen: Settings, profiles: Profiles, model: Watched, place: Place) -> dict[str, Any]:
    """The window's fields `columns`, `prediction` and `drift`; none where too few days are known."""
    window = list(profiles.window(place.begin, place.end, model.version).values())
    reference = list(profiles.reference(model.version).values())
    found = drift.judge(window, reference, profiles.binning(model.version), one_in(chosen))
    if not found.column:
        return {}
    columns = {name: Distance(each.distance, each.threshold) for name, each in found.columns.items()}
    prediction = found.prediction and Distance(found.prediction.distance, found.prediction.threshold)
    return {"columns": columns, "prediction": prediction, "drift": Largest(found.ratio, found.column)}


def one_in(chosen: Settings) -> float:
    """The budget of each of the two kinds of alarm: half of it where both are on."""
    return chosen.monitor.one_in * (1 + (chosen.monitor.on_drift and chosen.monitor.on_loss))


def lost(chosen: Settings, answers: pl.DataFrame, model: Watched, place: Place) -> dict[str, Any]:
    """The window's fields `loss`, `estimated`, `labels` and `calibration`."""
    task, said = Task.of(problem.schema), predictions_of(answers["output"])
    losses = losses_of(chosen, answers["target"], said, model.ceiling)
    due = pl.Series(answers.select(_due(chosen, place.now)).to_series(), dtype=pl.Boolean)
    rows = answers.select(day=pl.col("event").dt.date()).with_columns(loss=pl.Series(losses), due=due)
    numbered = rows.with_row_index("at")
    counted = loss.mature(numbered, place.now.date(), chosen.promotion.coverage) if due.all() else numbered.clear()
    at = counted["at"].to_numpy()
    mature = answers[at].rename({"target": "label"})
    return {
        "loss": _realised(chosen, counted, model),
        "estimated": _estimated(chosen, task, said, rows, model),
        "labels": Labels(int(due.sum()), int((due & rows["loss"].is_finite()).sum())),
        "calibration": loss.calibration_error(task, labels_of(mature, task), said[at]),
    }


def answers_of(index: Index, model: str, place: Place) -> pl.DataFrame:
    """What the model answered by itself of the window's rows, with the labels there are; but those without outcome."""
    rows = joined(index, midnight(place.begin), until=midnight(place.end)).filter(pl.col("model") == model, "alone")
    return rows.filter(pl.col("target").is_not_null() | pl.col("arrived").is_null())


def beside(index: Index, answers: pl.DataFrame, candidate: str | None, model: Watched) -> Shadow | None:
    """How far the candidate's predictions of the same rows are from these."""
    if candidate in (None, model.version):
        return None
    said = shadowed(index, str(candidate), ids=answers["id"].to_list()).filter(status=OK).select("id", said="output")
    both = answers.join(said, on="id", how="inner")
    if both.is_empty():
        return None
    other = predictions_of(both["said"].cast(both.schema["output"]))
    apart = np.abs(predictions_of(both["output"]) - other)
    return Shadow(both.height, float(np.nanmean(apart)), model.floor)


def _due(chosen: Settings, now: dt.datetime) -> pl.Expr:
    """Is the label due? Counted from the row's time, or from the answer where that was later; but an answer from after
    the flows' clock is a replay, which waits for nobody."""
    since = pl.when(pl.col("time") <= now).then(pl.max_horizontal("event", "time")).otherwise("event")
    return since + pl.duration(seconds=chosen.labels.delay_hours * 3600) <= now


def _realised(chosen: Settings, counted: pl.DataFrame, model: Watched) -> Loss | None:
    days, losses = counted["day"].to_numpy(), counted["loss"].to_numpy()
    found = loss.band(losses, days)
    if found is None:
        return None
    limit = threshold(DailyLoss.of(days, losses), model.losses, one_in(chosen))
    return Loss(found.rows, found.mean, found.low, found.high, limit)


def _estimated(chosen: Settings, task: Task, said: np.ndarray, rows: pl.DataFrame, model: Watched) -> Estimated | None:
    reference = model.reference
    kept = predictions_of(reference["prediction"]), labels_of(reference, task)
    each = loss.estimated(task, said, *kept, chosen.promotion.loss, model.ceiling)
    found = None if each is None else loss.band(each, rows["day"].to_numpy())
    return found and Estimated(found.mean, found.low, found.high, loss.ASSUMES)
