"""The models of a backtest: fitted when any process first asks for one, and asked for predictions block by block.

An estimator that can't be pickled predicts all blocks that may be asked for where it is fitted.
"""

import datetime as dt
import io
import time
from typing import Any, NamedTuple

import numpy as np

from penumbra.simulation.backtest.policies import ModelFit
from penumbra.simulation.backtest.prepared_data import BacktestData, BacktestRefused
from penumbra.storage.cache import ARRAYS, PICKLED, FileCache, NamedArrays
from penumbra.training.evaluation.evaluate import TrialJob, predict_for_task
from penumbra.training.fit import TrainingSet, fit_estimator

BLOCK_DAYS = 14  # whose rows a model predicts at once: a prediction costs nearly as much as it takes to learn a row


def list_blocks(first: int, end: int) -> range:
    """Return the numbers of the blocks that have the days from `first` to before `end`, at least one."""
    return range(first // BLOCK_DAYS, max(-(-end // BLOCK_DAYS), first // BLOCK_DAYS + 1))


class PredictedRows(NamedTuple):
    """Rows of some days in the order of the matrices: their positions, int64 [n], and float32 predictions [n, ...]."""

    rows: np.ndarray
    predictions: np.ndarray


class FittedModels:
    """The models that learn from the days of a backtest, whichever process has fitted them."""

    def __init__(self, history: BacktestData, day: np.ndarray) -> None:
        """Take the matrices, and the number of the day of each row."""
        self._history, self._day, self._block = history, day, day // BLOCK_DAYS
        self._cache = FileCache(history.fits, ARRAYS)
        self._seconds, self._predicted = dict[ModelFit, float](), dict[tuple[ModelFit, int], PredictedRows]()
        self._block_rows, self._loaded = dict[int, np.ndarray](), dict[ModelFit, Any]()

    def require_fitted(self, fit: ModelFit) -> float:
        """Fit a model unless any process has.

        Args:
            fit: What it learns from.

        Returns:
            The CPU seconds that it took.

        Raises:
            BacktestRefused: It can't be fitted.
        """
        if fit not in self._seconds:
            self._seconds[fit] = float(self._read_fitted(fit)["cpu_seconds"])
        return self._seconds[fit]

    def predict_days(self, fit: ModelFit, first: int, end: int) -> PredictedRows:
        """Predict the rows of some days.

        Args:
            fit: The model.
            first: The number of the first day.
            end: The number of the day after the last.

        Returns:
            The rows with their predictions.

        Raises:
            BacktestRefused: The model can't be fitted, or lacks a class.
        """
        blocks = [self._read_block(fit, number) for number in list_blocks(first, end)]
        rows, predictions = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        wanted = np.flatnonzero((self._day[rows] >= first) & (self._day[rows] < end))
        order = wanted[np.argsort(rows[wanted])]
        return PredictedRows(rows[order], predictions[order])

    def _read_fitted(self, fit: ModelFit) -> NamedArrays:
        return self._cache.get_or_make(f"{fit.end}-{fit.days}", lambda: self._fit(fit))

    def _read_block(self, fit: ModelFit, number: int) -> PredictedRows:
        """The predictions of a block of days, which is fixed in the calendar."""
        if (fit, number) not in self._predicted:
            self.require_fitted(fit)
            found = self._cache.get_or_make(
                _name_block(fit, number), lambda: self._predict_block(fit, number, self._load_estimator(fit))
            )
            self._predicted[fit, number] = PredictedRows(self._list_block_rows(number), found["said"])
        return self._predicted[fit, number]

    def _predict_block(self, fit: ModelFit, number: int, estimator: Any) -> NamedArrays:
        matrices, rows = self._history.matrices, self._list_block_rows(number)
        said = np.zeros((0, len(matrices.task.classes)) if matrices.task.kind == "multiclass" else 0, np.float32)
        if len(rows):
            try:
                said = predict_for_task(matrices.task, estimator, matrices.arrays.read("inputs")[rows])
            except ValueError as error:  # it lacks a class
                raise BacktestRefused(f"{self.describe_fit(fit)} can't be fitted: {error}") from None
        return {"said": np.asarray(said, np.float32)}

    def _list_block_rows(self, number: int) -> np.ndarray:
        """The positions of a block's rows, one array for all models that predict them."""
        if number not in self._block_rows:
            self._block_rows[number] = np.flatnonzero(self._block == number)
        return self._block_rows[number]

    def _load_estimator(self, fit: ModelFit) -> Any:
        """The estimator as it was pickled, or fitted again; the last one is kept, as it may predict more blocks."""
        if fit not in self._loaded:
            pickled = self._read_fitted(fit)["estimator"].tobytes()
            self._loaded = {fit: PICKLED.read(io.BytesIO(pickled)) if pickled else self._fit_estimator(fit)[0]}
        return self._loaded[fit]

    def _fit(self, fit: ModelFit) -> NamedArrays:
        estimator, seconds = self._fit_estimator(fit)
        if not (pickled := _pickle_estimator(estimator)):
            for number in list_blocks(max(0, fit.end - self._history.holdout_days), int(self._day.max()) + 1):
                self._cache.save(_name_block(fit, number), self._predict_block(fit, number, estimator))
        return {"estimator": np.frombuffer(pickled, np.uint8), "cpu_seconds": np.array(seconds)}

    def _fit_estimator(self, fit: ModelFit) -> tuple[Any, float]:
        """A fitted estimator, and the CPU seconds that it took."""
        matrices, inputs = self._history.matrices, self._history.matrices.arrays.read("inputs")
        learn = (self._day < fit.end) & (self._day >= (fit.end - fit.days if fit.days else 0))
        estimator, began = matrices.make_estimator(TrialJob(self._history.candidate)), time.process_time()
        try:
            fit_estimator(estimator, TrainingSet(inputs[learn], self._learnt_values()[learn]))
        except (ValueError, IndexError) as error:  # no rows, or one class only
            raise BacktestRefused(f"{self.describe_fit(fit)} can't be fitted: {error}") from None
        return estimator, time.process_time() - began

    def _learnt_values(self) -> np.ndarray:
        """Return what the candidate learns: the labels, or the column that it is given instead."""
        matrices, candidate = self._history.matrices, self._history.candidate
        is_given = matrices.problem.candidates.CANDIDATES[candidate].learns is not None
        return np.asarray(matrices.arrays.read(f"learns-{candidate}" if is_given else "labels"))

    def describe_fit(self, fit: ModelFit) -> str:
        """Return the recipe of `fit` and the days that it learns from, in words."""
        first, end = (self._history.first + dt.timedelta(days=day) for day in (fit.end - fit.days, fit.end))
        return f"{self._history.candidate} on the rows {f'from {first} ' if fit.days else ''}before {end}"


def _name_block(fit: ModelFit, number: int) -> str:
    return f"{fit.end}-{fit.days}-block-{number}"


def _pickle_estimator(estimator: Any) -> bytes:
    """The pickled estimator; b"" where it can't be pickled, or not be read back."""
    file = io.BytesIO()
    try:
        PICKLED.write(file, estimator)
        PICKLED.read(io.BytesIO(file.getvalue()))
    except Exception:  # whatever the user's estimator has: a lambda, a lock, an open file
        return b""
    return file.getvalue()
