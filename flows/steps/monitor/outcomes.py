"""What came of each day of a window: read one time, once its labels are there, and kept as sums."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from flows.steps.monitor.watched_model import WatchedModel
from flows.steps.monitor.window_signals import ONE_DAY, WindowSpan, get_day_start
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from monitoring import loss
from penumbra.core.histograms import Binning, OutcomeSums, list_profiled_columns, sum_losses_by_day
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.logs.append_log import encode_json
from penumbra.logs.frames import LOGGED_DAY_COLUMN, LogFrameReader
from penumbra.logs.index import LogIndex
from penumbra.logs.outcome_sums import OutcomeSumStore
from penumbra.logs.queries import samples
from penumbra.logs.queries.labels import read_answers_with_targets
from penumbra.training.fit import extract_labels

MAX_ROWS_PER_READ = 50_000  # rows of the log
SUMMED_COLUMNS = ("loss", "guess", "score", "happened")
OUTCOME_ROW_SCHEMA = {"id": pl.String, "day": pl.Date, "due": pl.Boolean, **dict.fromkeys(SUMMED_COLUMNS, pl.Float64)}


@dataclass(frozen=True)
class OutcomeReader:
    """Of a window's days."""

    settings: Settings
    index: LogIndex
    model: WatchedModel
    binning: Binning
    place: WindowSpan

    def outcomes(self) -> list[OutcomeSums]:
        """What came of each day; read anew where rows, settings or bins aren't those of what was kept."""
        return [self._kept(day) for day in self.place.days]

    def _kept(self, day: dt.date) -> OutcomeSums:
        settled, terms = OutcomeSumStore(self.settings.monitor.folder, self.model.version), self._cache_key(day)
        found = settled.find(day, terms)
        if found is None:
            found = self._read(day)
            if found.labels:
                settled.save(day, terms, found)
        return found

    def _cache_key(self, day: dt.date) -> str:
        settings = self.settings.promotion
        terms = [self.binning, self.place.rows.get(day, 0), settings.loss, self.model.ceiling, settings.coverage]
        return hashlib.sha256(encode_json([*terms, self.settings.labels.delay_hours])).hexdigest()

    def _read(self, day: dt.date) -> OutcomeSums:
        rows = self._rows(day)
        counted = loss.select_mature_rows(rows, self.place.now.date(), self.settings.promotion.coverage)
        counts, sums = _sum_by_bin(self.index, self.model.problem, counted, self.binning)
        scores, happened = (counted[name].to_numpy() for name in ("score", "happened"))
        return OutcomeSums(
            rows=rows.height,
            due=int(rows["due"].sum()),
            arrived=rows.filter("due", pl.col("loss").is_finite()).height,
            guessed=float(rows["guess"].sum()),
            labels=counted.height,
            loss=float(counted["loss"].sum()),
            squares=float((counted["loss"] ** 2).sum()),
            counts=counts,
            losses=sums,
            scores=loss.sum_by_score_bin(scores, happened, self._edges),
        )

    def _rows(self, day: dt.date) -> pl.DataFrame:
        """Of each answer of the day that can have a label what is summed up of it."""
        parts = read_answers_with_targets(
            self.index, self.model.version, get_day_start(day), get_day_start(day + ONE_DAY)
        )
        rows = [self._part(answers, day) for answers in parts]
        return pl.concat([pl.DataFrame(schema=OUTCOME_ROW_SCHEMA), *rows])

    def _part(self, answers: pl.DataFrame, day: dt.date) -> pl.DataFrame:
        said = extract_predictions(self.model.task, answers["output"])
        score, happened = self._score_likeliest(answers["target"], answers["output"])
        made = {
            "loss": compute_known_losses(
                self.model.task, self.settings.promotion.loss, answers["target"], said, self.model.ceiling
            ),
            "guess": self._estimate_losses(said),
            "score": score,
            "happened": happened,
        }
        due = _is_due(self.settings, self.place.now)
        return answers.select("id", day=pl.lit(day), due=due).with_columns(
            pl.Series(name, values, pl.Float64) for name, values in made.items()
        )

    def _score_likeliest(self, labels: pl.Series, output: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        known = labels.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
        task = self.model.task
        return loss.compute_top_scores(task, known, extract_predictions(task, output))

    def _estimate_losses(self, said: np.ndarray) -> np.ndarray:
        """NaN where nothing can be said."""
        each = loss.estimate_losses(
            self.model.task, said, *self._known, self.settings.promotion.loss, self.model.ceiling
        )
        return np.full(len(said), np.nan) if each is None else each

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """The reference's predictions and labels."""
        reference, task = self.model.reference, self.model.task
        return extract_predictions(task, reference["prediction"]), extract_labels(reference, task)

    @cached_property
    def _edges(self) -> np.ndarray:
        scores, _ = self._score_likeliest(self.model.reference["label"], self.model.reference["prediction"])
        return loss.compute_score_edges(scores)


def _sum_by_bin(
    index: LogIndex, problem: Problem, counted: pl.DataFrame, binning: Binning
) -> tuple[np.ndarray, np.ndarray]:
    """Labelled rows and sums of losses of each bin, of those rows that are in the log."""
    answered = LogFrameReader(problem.schema, list_profiled_columns(problem.features.FEATURES, problem.schema.TIME))
    rows, sums = np.zeros(binning.size, np.int64), np.zeros(binning.size)
    for part in counted.iter_slices(MAX_ROWS_PER_READ):
        names, asked = samples.read_profile_rows(index.predictions, part["id"].to_list(), answered)
        losses = part.select("id", "loss").join(names.to_frame(), on="id", maintain_order="right")["loss"]
        found = sum_losses_by_day(asked, binning, LOGGED_DAY_COLUMN, losses.to_numpy())
        rows, sums = rows + found[0].sum(axis=0), sums + found[1].sum(axis=0)
    return rows, sums


def _is_due(settings: Settings, now: dt.datetime) -> pl.Expr:
    """Is the label due? Counted from the row's time, or from the answer where that was later; but an answer from after
    the flows' clock is a replay, which waits for nobody."""
    since = pl.when(pl.col("time") <= now).then(pl.max_horizontal("event", "time")).otherwise("event")
    return since + pl.duration(seconds=settings.labels.delay_hours * 3600) <= now
