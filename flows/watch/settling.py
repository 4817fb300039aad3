"""What came of each day of a window: read one time, once its labels are there, and kept as sums."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

import problem.features
import problem.schema
from counts import Binning, Outcomes, losses_by_day, watched
from flows.promotion.scored import losses_of, predictions_of
from flows.watch.watched import Watched
from flows.watch.windowing import ONE_DAY, Place, midnight
from monitoring import loss
from settings import Settings
from stores import samples
from stores.answered import DAY, Answered
from stores.index import Index
from stores.joined import labelled
from stores.log import encode
from stores.settled import Settled
from task import Task
from training.prepare import labels_of

AT_ONCE = 50_000  # rows of the log
NUMBERS = ("loss", "guess", "score", "happened")
ROW = {"id": pl.String, "day": pl.Date, "due": pl.Boolean, **dict.fromkeys(NUMBERS, pl.Float64)}


@dataclass(frozen=True)
class Reader:
    """Of a window's days."""

    chosen: Settings
    index: Index
    model: Watched
    binning: Binning
    place: Place

    def outcomes(self) -> list[Outcomes]:
        """What came of each day; read anew where rows, settings or bins aren't those of what was kept."""
        return [self._kept(day) for day in self.place.days]

    def _kept(self, day: dt.date) -> Outcomes:
        settled, terms = Settled(self.chosen.monitor.folder, self.model.version), self._terms(day)
        found = settled.find(day, terms)
        if found is None:
            found = self._read(day)
            if found.labels:
                settled.keep(day, terms, found)
        return found

    def _terms(self, day: dt.date) -> str:
        chosen = self.chosen.promotion
        terms = [self.binning, self.place.rows.get(day, 0), chosen.loss, self.model.ceiling, chosen.coverage]
        return hashlib.sha256(encode([*terms, self.chosen.labels.delay_hours])).hexdigest()

    def _read(self, day: dt.date) -> Outcomes:
        rows = self._rows(day)
        counted = loss.mature(rows, self.place.now.date(), self.chosen.promotion.coverage)
        counts, sums = _in_bins(self.index, counted, self.binning)
        scores, happened = (counted[name].to_numpy() for name in ("score", "happened"))
        return Outcomes(
            rows=rows.height,
            due=int(rows["due"].sum()),
            arrived=rows.filter("due", pl.col("loss").is_finite()).height,
            guessed=float(rows["guess"].sum()),
            labels=counted.height,
            loss=float(counted["loss"].sum()),
            squares=float((counted["loss"] ** 2).sum()),
            counts=counts,
            losses=sums,
            scores=loss.by_score(scores, happened, self._edges),
        )

    def _rows(self, day: dt.date) -> pl.DataFrame:
        """Of each answer of the day that can have a label what is summed up of it."""
        parts = labelled(self.index, self.model.version, midnight(day), midnight(day + ONE_DAY))
        rows = [self._part(answers, day) for answers in parts]
        return pl.concat([pl.DataFrame(schema=ROW), *rows])

    def _part(self, answers: pl.DataFrame, day: dt.date) -> pl.DataFrame:
        said = predictions_of(answers["output"])
        score, happened = self._likeliest(answers["target"], answers["output"])
        made = {
            "loss": losses_of(self.chosen, answers["target"], said, self.model.ceiling),
            "guess": self._guess(said),
            "score": score,
            "happened": happened,
        }
        due = _due(self.chosen, self.place.now)
        return answers.select("id", day=pl.lit(day), due=due).with_columns(
            pl.Series(name, values, pl.Float64) for name, values in made.items()
        )

    def _likeliest(self, labels: pl.Series, output: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        known = labels.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
        return loss.likeliest(Task.of(problem.schema), known, predictions_of(output))

    def _guess(self, said: np.ndarray) -> np.ndarray:
        """NaN where nothing can be said."""
        task, chosen = Task.of(problem.schema), self.chosen.promotion
        each = loss.estimated(task, said, *self._known, chosen.loss, self.model.ceiling)
        return np.full(len(said), np.nan) if each is None else each

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """The reference's predictions and labels."""
        reference = self.model.reference
        return predictions_of(reference["prediction"]), labels_of(reference, Task.of(problem.schema))

    @cached_property
    def _edges(self) -> np.ndarray:
        scores, _ = self._likeliest(self.model.reference["label"], self.model.reference["prediction"])
        return loss.score_edges(scores)


def _in_bins(index: Index, counted: pl.DataFrame, binning: Binning) -> tuple[np.ndarray, np.ndarray]:
    """Labelled rows and sums of losses of each bin, of those rows that are in the log."""
    answered = Answered(problem.schema, watched(problem.features.FEATURES, problem.schema.TIME))
    rows, sums = np.zeros(binning.size, np.int64), np.zeros(binning.size)
    for part in counted.iter_slices(AT_ONCE):
        names, asked = samples.counted(index.predictions, part["id"].to_list(), answered)
        losses = part.select("id", "loss").join(names.to_frame(), on="id", maintain_order="right")["loss"]
        found = losses_by_day(asked, binning, DAY, losses.to_numpy())
        rows, sums = rows + found[0].sum(axis=0), sums + found[1].sum(axis=0)
    return rows, sums


def _due(chosen: Settings, now: dt.datetime) -> pl.Expr:
    """Is the label due? Counted from the row's time, or from the answer where that was later; but an answer from after
    the flows' clock is a replay, which waits for nobody."""
    since = pl.when(pl.col("time") <= now).then(pl.max_horizontal("event", "time")).otherwise("event")
    return since + pl.duration(seconds=chosen.labels.delay_hours * 3600) <= now
