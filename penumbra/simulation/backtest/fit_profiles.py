"""Daily profiles of a fit of a backtest: of its reference, and of the days that it scored, counted as they are read."""

import datetime as dt
from collections.abc import Callable

import polars as pl

from monitoring.drift.window_drift import ModelProfiles
from penumbra.core.columns import DAY_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles, select_profile_columns


class FitProfiles:
    """The profiles of one fit, which scores every day that it hasn't learnt: in the shadow, and then in production."""

    def __init__(self, held_out: pl.DataFrame, end: int, read_rows: Callable[[int, int], pl.DataFrame]) -> None:
        """Learn the bins.

        Args:
            held_out: The rows of the reference, with `penumbra.day` and the predictions of the fit before.
            end: The number of the first day that the fit hasn't learnt.
            read_rows: Returns the rows of the days from one number to before another, with the fit's predictions.
        """
        columns = [name for name in held_out.columns if name not in (DAY_COLUMN, PREDICTION_COLUMN)]
        self.binning = Binning.learn(held_out, columns)
        self.reference = compute_daily_profiles(held_out, self.binning, DAY_COLUMN)
        self._counted_until, self._read_rows = end, read_rows
        self._answered: dict[dt.date, Profile] = {}

    def read(self, since: int, end: int) -> ModelProfiles:
        """Read what is known of the fit before a day.

        Args:
            since: The number of the first day that it answers.
            end: The number of the day.

        Returns:
            The profiles of the days up to that one, and of later ones that were read before.
        """
        if self._counted_until < end:
            rows = self._read_rows(self._counted_until, end)
            self._answered |= compute_daily_profiles(rows, self.binning, DAY_COLUMN)
            self._counted_until = end
        scored = select_profile_columns(self._answered, self.binning, [PREDICTION_COLUMN])
        begin = dt.date(1970, 1, 1) + dt.timedelta(days=since)
        answered = {day: each for day, each in self._answered.items() if day >= begin}
        return ModelProfiles(self.binning, self.reference, answered, scored)
