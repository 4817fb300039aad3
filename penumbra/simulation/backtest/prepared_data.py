"""The data of a backtest: matrices of all rows of the source, and its days."""

import datetime as dt
import math
from dataclasses import dataclass
from pathlib import Path

from flows.steps.train import matrix_writing, plan
from flows.steps.train.matrices import Matrices
from penumbra.core.histograms import list_profiled_columns
from penumbra.core.problem import Problem, build_utc_date
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.simulation import future
from penumbra.storage import fingerprints

MAX_HOLDOUT_DAYS = 28
MIN_DAYS = 4  # before the first answered day: two to learn from and two to hold out
UNIX_EPOCH_DAY = dt.date(1970, 1, 1)


class BacktestRefused(RuntimeError):
    """A backtest can't be made of this history; the message says why, and what would help."""


@dataclass(frozen=True)
class BacktestData:
    """The matrices of all rows, and the days of a backtest.

    The array "day" numbers days (UTC) from 0, which is `first`. Days from `begin` on are answered; a day's labels are
    known `delay` mornings later. Models are fitted with the recipe of `candidate`; they and their predictions are
    cached in the folder `fits`.
    """

    matrices: Matrices
    first: dt.date
    begin: int
    delay: int
    fits: Path
    candidate: str

    @property
    def holdout_days(self) -> int:
        """The days on which a recipe is tried before it learns them: the reference of the model that then learns them.

        Half of the days that the first model has, if they are few.
        """
        return min(MAX_HOLDOUT_DAYS, self.first_unlearnt_day // 2)

    @property
    def first_unlearnt_day(self) -> int:
        """The number of the first day that the first model hasn't learnt."""
        return self.begin + 1 - self.delay


def prepare_backtest_data(settings: Settings, problem: Problem, folder: Path) -> BacktestData:
    """Check all batches of the source, in a data store of their own, and write the matrices of all their rows.

    Days with data faults are among them, as they were answered too.

    Args:
        settings: Sections [data], [labels], [monitor], [replay] (`candidate`), and those that matrices are written by.
        problem: The problem, with every part.
        folder: Where data and arrays are written.

    Returns:
        The matrices and the days.

    Raises:
        SettingsError: There is no such candidate.
        BatchRefused: A batch of the source breaks the contract.
        BacktestRefused: Too few days with labels lie before `data.today`, or none after it.
    """
    candidate = settings.replay.candidate
    plan.require_known_candidates("replay.candidate", [candidate], problem.candidates.CANDIDATES)
    data = settings.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    changes = {
        "data": data,
        "training": settings.training.model_copy(update={"candidates": [candidate]}),
        "monitor": settings.monitor.model_copy(update={"on_faults": False}),
    }
    all_days = settings.model_copy(update=changes)
    store = future.fill_data_store(data, problem)
    batches = store.batches()
    rows = plan.read_training_rows(all_days, problem, batches)
    if rows.is_empty():
        raise BacktestRefused("no row of the source has an outcome: a backtest compares losses")
    made = matrix_writing.write_row_matrices(all_days, problem, rows, folder / "arrays")
    days = rows.select(build_utc_date(problem.schema)).to_series().to_physical().to_numpy()
    made.arrays.write("day", days - days.min())
    rows.select(list_profiled_columns(problem.features.FEATURES, problem.schema.TIME)).write_parquet(
        made.arrays.path("rows").with_suffix(".parquet")
    )
    first = UNIX_EPOCH_DAY + dt.timedelta(days=int(days.min()))
    facts = candidate, batches, {name: store.sums(name) for name in batches}
    fits = folder / "fits" / fingerprints.compute_fingerprint(PROJECT_ROOT, list_fit_files(), *facts)[:16]
    delay = 1 + math.ceil(settings.labels.delay_hours / 24)
    history = BacktestData(made, first, (settings.data.today - first).days, delay, fits, candidate)
    _require_enough_days(history, settings, first + dt.timedelta(days=int(days.max() - days.min())))
    return history


def _require_enough_days(history: BacktestData, settings: Settings, last: dt.date) -> None:
    """Raise BacktestRefused where nothing can be learnt or answered."""
    span = f"rows with an outcome are from {history.first} to {last}"
    if history.first_unlearnt_day < MIN_DAYS:
        raise BacktestRefused(
            f"{span}; on data.today = {settings.data.today} the labels of the first "
            f"{max(0, history.first_unlearnt_day)} of these days are known, and a backtest learns from at least "
            f"{MIN_DAYS}: {_suggest_command(history, last)}"
        )
    if settings.data.today >= last:
        raise BacktestRefused(
            f"{span}, and data.today is {settings.data.today}: a backtest plays the days after it; "
            f"{_suggest_command(history, last)}"
        )


def _suggest_command(history: BacktestData, last: dt.date) -> str:
    """Suggest the command that learns from the first half of the days; that more of them are needed if it couldn't."""
    half = (last - history.first) // 2
    if half.days + 1 - history.delay < MIN_DAYS:
        return "more days are needed"
    return f"say `PENUMBRA_DATA__TODAY={history.first + half} penumbra backtest`, which learns from the first half"


def list_fit_files() -> list[str]:
    """List the files that shape the models of a backtest: what it imports of the rooms that shape any model.

    Returns:
        Paths relative to the project: the lock of the libraries, and modules.
    """
    made_by = __name__, f"{__package__}.fitted_models"
    return fingerprints.list_result_files(PROJECT_ROOT, ("problem", *made_by), (*plan.MODEL_ROOMS, *made_by))
