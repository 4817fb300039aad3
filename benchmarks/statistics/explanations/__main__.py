"""`penumbra bench explanations`: are the parts of a loss's rise what was put into made worlds, and do intervals cover?

Rows are drawn with a known relation between columns and outcome, and a known change of columns, of the relation, or of
both. The truth is the mean over very many days. Rows of a day share a level of the temperature and of the outcome. Then
the same with real flights, whose truth is the mean over all days of the year.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import polars as pl

from benchmarks.statistics.alarms import shuffled_year
from benchmarks.statistics.explanations import explained_flights
from monitoring.explanations.change_days import estimate_change_day
from monitoring.explanations.loss_regression import learn_loss_regression
from monitoring.explanations.loss_rise import SlicePlace, decompose_loss_rise
from monitoring.explanations.records import LossPart, LossRise
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning, assign_row_bins, sum_losses_by_day
from penumbra.core.metrics.losses import compute_probability_losses

WORLDS, TRUTH_DAYS = 200, 5_000
FLIGHT_WORLDS, FLIGHT_WEEKS = 40, 5
REFERENCE_DAYS, WINDOW_DAYS, DAY_ROWS = 60, 7, 200
SHOPS = ("north", "east", "south", "west", "web")
SHOP_LEVELS = np.array([-0.5, 0.0, 0.3, 0.6, 1.0])
FIRST_DAY = dt.date(2024, 1, 1)
COLUMNS = ("temperature", "hour", "shop")


@dataclass(frozen=True)
class WorldChange:
    """What is different in the window: the mean temperature, in its standard deviations of a day; the share of rows
    that move to the web shop; the log-odds of the outcome; and those of the web shop alone. `numbers` predicts a number
    whose spread grows with the temperature, in place of an outcome."""

    temperature: float = 0.0
    moved: float = 0.0
    relation: float = 0.0
    slice: float = 0.0
    numbers: bool = False

    @property
    def inputs(self) -> "WorldChange":
        """The change of the inputs alone."""
        return replace(self, relation=0.0, slice=0.0)


CHANGES = {
    "nothing": WorldChange(),
    "inputs: temperature +1 sd": WorldChange(temperature=1.0),
    "inputs: 20 % more web": WorldChange(moved=0.2),
    "relation: everywhere": WorldChange(relation=0.7),
    "relation: web alone": WorldChange(slice=1.5),
    "both": WorldChange(temperature=1.0, relation=0.5),
    "inputs up, relation down": WorldChange(moved=0.2, relation=-0.5),
}


def main() -> None:
    """Print what each change was taken for, and a JSON document in the last line."""
    made = explain_made_worlds(WORLDS, TRUTH_DAYS)
    flights = explain_flights(shuffled_year.read_scored_year(), FLIGHT_WORLDS, FLIGHT_WEEKS)
    days = list(measure_change_days(5 * WORLDS))
    found = {"coverage_min": min(made), "flights_coverage_min": min(flights), "change_day_coverage_min": min(days)}
    print(json.dumps({"worlds": WORLDS, **found}))


def explain_made_worlds(worlds: int, truth_days: int) -> list[float]:
    """Print what known changes of made worlds were taken for.

    Args:
        worlds: The number of worlds of each change.
        truth_days: The number of days over which the truth is computed.

    Returns:
        The coverage of each part's intervals.
    """
    print(
        f"Parts of the loss's rise in {worlds} worlds of each change: {REFERENCE_DAYS} days of reference, "
        f"{WINDOW_DAYS} of window, {DAY_ROWS} rows a day"
    )
    _print_heading("web shop")
    covered = []
    for number, ((name, change), numbers) in enumerate(product(CHANGES.items(), (False, True))):
        judged = replace(change, numbers=numbers)
        found = [_explain_world(judged, seed) for seed in range(number * worlds, (number + 1) * worlds)]
        kind = "numbers" if numbers else "binary"
        covered += list(_print_change(f"{kind}, {name}", _compute_truth(judged, truth_days), found))
    return covered


def explain_flights(rows: pl.DataFrame, worlds: int, weeks: int) -> list[float]:
    """Print what known changes of weeks of flights were taken for.

    Args:
        rows: The scored year, as `shuffled_year.read_scored_year` returns it.
        worlds: The number of orders of its days.
        weeks: The number of weeks of each.

    Returns:
        The coverage of each part's intervals.
    """
    print(f"\nThe same for flights, {worlds * weeks:,} weeks in {worlds} orders of the days")
    _print_heading("UA")
    every = list(explained_flights.explain_flight_weeks(rows, worlds, weeks))
    covered = []
    for name in explained_flights.CHANGES:
        found = [_select_parts(rise) for each, _, rise in every if each == name]
        truth = np.mean([true for each, true, _ in every if each == name], axis=0)
        covered += list(_print_change(name, truth.tolist(), found))
    learnt, explained = explained_flights.time_explanation(rows)
    print(f"learning from the reference: {learnt:.2f} CPU seconds; taking a week apart: {explained:.1f} ms", flush=True)
    return covered


def _print_heading(of_slice: str) -> None:
    print("truth, mean estimate, share of the 95 % intervals that hold the truth, share of intervals above 0")
    print(f"{'':<36}{'inputs':>28}{'relation':>28}{of_slice:>28}")


def _print_change(
    name: str, truth: Sequence[float], found: Sequence[tuple[LossPart, LossPart, LossPart]]
) -> Iterator[float]:
    """Print a line; yield the coverage of each part."""
    cells = []
    for at, true in enumerate(truth):
        parts = [each[at] for each in found]
        covers = float(np.mean([part.low <= true <= part.high for part in parts]))
        mean, clear = np.mean([part.amount for part in parts]), np.mean([part.is_rise for part in parts])
        cells.append(f"{true:>+9.4f}{mean:>+9.4f}{covers:>5.2f}{clear:>5.2f}")
        yield round(covers, 3)
    print(f"{name:<36}{''.join(cells)}", flush=True)


def _explain_world(change: WorldChange, seed: int) -> tuple[LossPart, LossPart, LossPart]:
    """The parts of inputs, relation and web shop in one world."""
    random = np.random.default_rng([2024, seed])
    reference, before = draw_days(random, WorldChange(numbers=change.numbers), REFERENCE_DAYS)
    window, now = draw_days(random, change, WINDOW_DAYS)
    return _select_parts(decompose_world(reference, before, window, now))


def _select_parts(found: LossRise) -> tuple[LossPart, LossPart, LossPart]:
    if found.relation is None:
        raise ValueError("the window has no labels")
    return found.inputs, found.relation, found.slices[0]


def decompose_world(reference: pl.DataFrame, before: np.ndarray, window: pl.DataFrame, losses: np.ndarray) -> LossRise:
    """Take the loss's rise in a world apart, as the monitor does.

    Args:
        reference: The rows of the reference, as `draw_days` returns them.
        before: Their losses, float64 [rows].
        window: The rows of the window.
        losses: Their losses.

    Returns:
        The parts.
    """
    binning = Binning.learn(reference, COLUMNS)
    learnt = learn_loss_regression(assign_row_bins(reference, binning), before, reference["day"].to_numpy(), binning)
    place = SlicePlace("web", binning.columns["shop"].start + binning.words["shop"].index("web"))
    found = learnt and decompose_loss_rise(*sum_losses_by_day(window, binning, "day", losses), learnt, binning, [place])
    if not found:
        raise ValueError("the world has too few days")
    return found


def draw_days(random: np.random.Generator, change: WorldChange, days: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Draw the rows of some days.

    Args:
        random: The generator.
        change: What is different from the world as it was.
        days: The number of days.

    Returns:
        Rows with `day`, the columns and the prediction, and the loss of each row, float64 [rows].
    """
    day = np.repeat(np.arange(days), DAY_ROWS)
    temperature = random.normal(change.temperature, 0.7, days)[day] + random.normal(0, 0.7, len(day))
    hour, shop = random.uniform(0, 24, len(day)), random.integers(0, len(SHOPS), len(day))
    shop = np.where(random.random(len(day)) < change.moved, len(SHOPS) - 1, shop)
    said = SHOP_LEVELS[shop] + 0.8 * temperature + 0.5 * temperature * (hour > 12) - 1.5  # an interaction
    true = said + change.relation + change.slice * (shop == len(SHOPS) - 1) + random.normal(0, 0.2, days)[day]
    predictions, losses = _lose_number(random, true, said, temperature) if change.numbers else _lose(random, true, said)
    columns = {"temperature": temperature, "hour": hour, "shop": np.array(SHOPS)[shop], PREDICTION_COLUMN: predictions}
    dates = pl.Series("day", day).cast(pl.Int32).cast(pl.Date)
    return pl.DataFrame(columns).with_columns(dates), losses


def _lose(random: np.random.Generator, true: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chances, happened = 1 / (1 + np.exp(-said)), random.random(len(true)) < 1 / (1 + np.exp(-true))
    return chances, compute_probability_losses(np.where(happened, chances, 1 - chances), "log_loss")


def _lose_number(
    random: np.random.Generator, true: np.ndarray, said: np.ndarray, temperature: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    spread = np.exp(0.3 * temperature)
    return said, np.minimum((true - said + spread * random.normal(0, 1, len(true))) ** 2, 20.0)


def _compute_truth(change: WorldChange, days: int) -> tuple[float, float, float]:
    """The parts of inputs, relation and web shop over very many days."""
    worlds = (WorldChange(numbers=change.numbers), change.inputs, change)
    (old, then), (_, moved), (new, now) = (draw_days(np.random.default_rng(1), each, days) for each in worlds)
    web_then, web_now = ((rows["shop"] == "web").to_numpy() for rows in (old, new))
    of_web = float(web_now.mean() * (now[web_now].mean() - then[web_then].mean()))
    return float(moved.mean() - then.mean()), float(now.mean() - moved.mean()), of_web


def measure_change_days(worlds: int) -> Iterator[float]:
    """Print how well the day of a change is found.

    Args:
        worlds: The number of series for each size of the change.

    Yields:
        The coverage of the intervals, for each size.
    """
    print(f"\nThe day of a change, {worlds:,} series: {REFERENCE_DAYS} days of reference, 28 more, changed on the 20th")
    print(f"{'':<46}{'covered':>9}{'within a day':>14}{'days of interval':>18}")
    for correlation, size in product((0.0, 0.5), (1.0, 2.0, 3.0)):
        found = np.array([_find_change(seed, correlation, size) for seed in range(worlds)])
        covered, near, width = found.mean(axis=0)
        print(f"{f'{size:g} sd, days correlated by {correlation:g}':<46}{covered:>9.3f}{near:>14.2f}{width:>18.1f}")
        yield round(float(covered), 3)


def _find_change(seed: int, correlation: float, size: float) -> tuple[bool, bool, int]:
    """Whether the interval has the day, whether the estimate is at most a day off, and how long the interval is."""
    noise = np.random.default_rng([7, seed]).normal(0, 1, REFERENCE_DAYS + 28)
    for at in range(1, len(noise)):
        noise[at] = correlation * noise[at - 1] + np.sqrt(1 - correlation**2) * noise[at]
    noise[REFERENCE_DAYS + 19 :] += size
    days = {FIRST_DAY + dt.timedelta(days=at): value for at, value in enumerate(noise[REFERENCE_DAYS:].tolist())}
    true, found = FIRST_DAY + dt.timedelta(days=19), estimate_change_day(days, noise[:REFERENCE_DAYS].tolist())
    if found is None:
        return False, False, len(days)
    return found.low <= true <= found.high, abs((found.day - true).days) <= 1, (found.high - found.low).days + 1


if __name__ == "__main__":
    main()
