"""What a window shows: faults of each day, drift, loss, labels, and how far the candidate is from the live model."""

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import polars as pl

import problem.schema
from counts import Binning, Outcomes, Slice, losses_by_day
from flows.promotion.scored import losses_of, predictions_of
from flows.watch.watched import Watched
from monitoring import drift, loss, slices
from monitoring.arrivals import refused, volume
from monitoring.data_faults import DataFault, accepted, find
from monitoring.decay import DailyLoss, threshold
from settings import Settings
from stores.asked import asked, refusals
from stores.index import Index
from stores.profiles import Profiles
from stores.shadowed import paired
from stores.windows import Distance, Estimated, Fault, Labels, Largest, Loss, Shadow

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


def lost(chosen: Settings, came: Sequence[Outcomes], model: Watched, binning: Binning) -> dict[str, Any]:
    """The window's fields `loss`, `estimated`, `labels`, `calibration` and `slices`, from what came of its days."""
    whole = reduce(add, came)
    counted = [day for day in came if day.labels and whole.due == whole.rows]
    return {
        "loss": _realised(chosen, counted, model),
        "estimated": _estimated(came),
        "labels": Labels(whole.due, whole.arrived),
        "calibration": loss.calibration_error(whole.scores) if counted else None,
        "slices": _slices(chosen, counted, model, binning) if counted else [],
    }


def beside(index: Index, candidate: str | None, model: Watched, place: Place) -> Shadow | None:
    """How far the candidate's predictions of the window's rows are from the model's own."""
    if candidate in (None, model.version):
        return None
    days = [paired(index, model.version, str(candidate), midnight(day), midnight(day + ONE_DAY)) for day in place.days]
    apart = [np.abs(predictions_of(day["output"]) - predictions_of(day["said"])) for day in days if day.height]
    return Shadow(sum(map(len, apart)), float(np.nanmean(np.concatenate(apart))), model.floor) if apart else None


def _realised(chosen: Settings, counted: Sequence[Outcomes], model: Watched) -> Loss | None:
    sums, squares, labels = (_each(counted, name) for name in ("loss", "squares", "labels"))
    found = loss.band(sums, labels)
    if found is None:
        return None
    limit = threshold(DailyLoss(sums, squares, labels), model.losses, one_in(chosen))
    return Loss(found.rows, found.mean, found.low, found.high, limit)


def _estimated(came: Sequence[Outcomes]) -> Estimated | None:
    found = loss.band(_each(came, "guessed"), _each(came, "rows"))
    known = found is not None and math.isfinite(found.mean)
    return Estimated(found.mean, found.low, found.high, loss.ASSUMES) if found and known else None


def _slices(chosen: Settings, counted: Sequence[Outcomes], model: Watched, binning: Binning) -> list[Slice]:
    """Of the reference as large a share as a day of the window has labels: fewer rows differ more by chance."""
    labels, usual = (float(np.mean(each)) for each in (_each(counted, "labels"), model.losses.labels))
    reference = model.reference.sample(fraction=min(1.0, labels / usual), seed=0)
    said = predictions_of(reference["prediction"])
    losses = losses_of(chosen, reference["label"], said, model.ceiling)
    before = losses_by_day(reference, binning, problem.schema.TIME, losses)
    now = np.array([day.counts for day in counted]), np.array([day.losses for day in counted])
    return slices.worse(now, before, binning)


def _each(came: Sequence[Outcomes], name: str) -> np.ndarray:
    return np.array([getattr(day, name) for day in came], float)
