"""Detection of a change of unit: from the values that recur, or from a level that days never leave so far.

Measured numbers have a resolution: a temperature in steps of 0.18 °F, a speed in whole knots, known
distances. In another unit they fall between those steps; the right conversion puts them back on the steps. Seasons move
values along the steps and don't disturb that.
"""

from dataclasses import dataclass

import numpy as np

from penumbra.core.text.counts import format_share

UNIT_FACTORS = {
    "miles → kilometres": 1.609344,
    "inches → millimetres": 25.4,
    "feet → metres": 0.3048,
    "pounds → kilograms": 0.45359237,
    "miles an hour → metres a second": 0.44704,
    "miles an hour → knots": 0.868976,
    "hectopascals → inches of mercury": 0.02953,
    "per cent → shares": 0.01,
    "thousands → ones": 1000.0,
    "minutes → hours": 1 / 60,
}
DECIMAL_DIGITS = 5  # values that differ by less than this decimal are the same
MAX_EXACT_UNITS = 2.0**53  # of the last digit, which float64 counts without gaps
STEP_TOLERANCE = 0.05  # of a step, for a value to lie on it
MAX_RECURRING_NEW_SHARE = 0.15  # where more of a usual day's values are new, only steps can tell
MIN_STRANGE_SHARE = 0.3  # of a day's values off every step, or new: something happened
FACTOR_TOLERANCE = 0.01  # relative, of a factor
MIN_UNIT_VALUES = 8  # different values, to judge a day by them
FAR_SPREADS, NEAR_SPREADS = 10.0, 3.0  # of a day's median from the usual one, in spreads of the days' medians


@dataclass(frozen=True)
class UnitConversion:
    """A change of unit: what was x is logged as `factor` x + `offset`.

    Attributes:
        name: Both units, such as "miles → kilometres".
        factor: The factor.
        offset: The offset, in the new unit.
    """

    name: str
    factor: float
    offset: float = 0.0

    @property
    def cause(self) -> str:
        """The conversion as the cause of a fault."""
        return f"its unit changed: {self.name}"

    def undo_conversion(self, values: np.ndarray) -> np.ndarray:
        """Convert values back.

        Args:
            values: Values in the new unit, float64 [n].

        Returns:
            Values in the old unit, float64 [n].
        """
        return (values - self.offset) / self.factor


@dataclass(frozen=True)
class ValueGrid:
    """What is known of the values of a numeric column.

    Attributes:
        known: The different values of the reference, float64 [k], ascending.
        new: The largest share of a day's values that was on no other day.
        step: The values lie this far apart, or at a multiple of it, counted from the first; 0 where no step was found.
        median: The median of the days' medians.
        spread: The standard deviation of the days' medians.
        whole: Whether the values are whole numbers.
    """

    known: np.ndarray
    new: float
    step: float
    median: float
    spread: float
    whole: bool

    @property
    def has_recurring_values(self) -> bool:
        """Whether values recur from day to day, and tell more than their steps do."""
        return self.new <= MAX_RECURRING_NEW_SHARE and (self.whole or not self.step)

    def off_grid_share(self, values: np.ndarray, close: float = 10.0**-DECIMAL_DIGITS) -> float:
        """Compute the share of values that lie on no step, or are new in a column whose values recur.

        Args:
            values: Different values, float64 [k].
            close: Values that differ by less are the same.

        Returns:
            The share, 0 to 1.
        """
        off = self._off_step_share(values, close) if self.step else 0.0
        return max(off, self._unseen_share(values, close)) if self.has_recurring_values else off

    def distance(self, values: np.ndarray) -> float:
        """Compute how far the median of values is from the usual one.

        Args:
            values: Values, float64 [n].

        Returns:
            The distance, in spreads of the days' medians.
        """
        return abs(float(np.median(values)) - self.median) / max(self.spread, 10.0**-DECIMAL_DIGITS)

    def is_plausible(self, values: np.ndarray) -> bool:
        """Say whether values lie about where the usual ones do, and about as far apart.

        Args:
            values: Different values, float64 [k].

        Returns:
            Whether they do.
        """
        places = np.unique(np.round((values - self.known[0]) / self.step)) if self.step else values
        return self.distance(values) < FAR_SPREADS and 2 * len(places) > len(values)

    def _off_step_share(self, values: np.ndarray, close: float) -> float:
        steps = (values - self.known[0]) / self.step
        return float(np.mean(np.abs(steps - np.round(steps)) > max(STEP_TOLERANCE, close / self.step)))

    def _unseen_share(self, values: np.ndarray, close: float) -> float:
        """Of those between the smallest and the largest known value; 0 where there are too few."""
        inside = values[(values >= self.known[0] - close) & (values <= self.known[-1] + close)]
        if len(inside) < MIN_UNIT_VALUES or len(self.known) < 2:
            return 0.0
        right = np.clip(np.searchsorted(self.known, inside), 1, len(self.known) - 1)
        return float(np.mean(np.abs(self.known[[right - 1, right]] - inside).min(axis=0) > close))


def _both_ways(name: str, factor: float, offset: float = 0.0) -> list[UnitConversion]:
    one, other = name.split(" → ")
    return [UnitConversion(name, factor, offset), UnitConversion(f"{other} → {one}", 1 / factor, -offset / factor)]


UNIT_CONVERSIONS = [
    *_both_ways("°F → °C", 1 / 1.8, -32 / 1.8),
    *(each for name, factor in UNIT_FACTORS.items() for each in _both_ways(name, factor)),
]


def learn_value_grid(days: list[np.ndarray], whole: bool) -> ValueGrid | None:
    """Learn the values, step and level of a column from some days.

    Args:
        days: The values of each day, each float64 [n].
        whole: Whether the column has whole numbers.

    Returns:
        What is known of the values; None with fewer than two days that have any.
    """
    kept = [np.unique(np.round(day, DECIMAL_DIGITS)) for day in days if len(day)]
    if len(kept) < 2:
        return None
    known, counts = np.unique(np.concatenate(kept), return_counts=True)
    once = known[counts == 1]
    halves = {_find_step(np.unique(np.concatenate(half))) for half in (kept[::2], kept[1::2])}
    medians = np.array([np.median(day) for day in days if len(day)])
    return ValueGrid(
        known=known,
        new=max(float(np.isin(day, once).mean()) for day in kept),
        step=halves.pop() if len(halves) == 1 else 0.0,
        median=float(np.median(medians)),
        spread=float(np.std(medians)),
        whole=whole,
    )


def detect_unit_change(values: np.ndarray, grid: ValueGrid) -> tuple[UnitConversion | None, str] | None:
    """Find out whether the values of a day have another unit.

    Args:
        values: The day's values, float64 [n].
        grid: What is known of the column.

    Returns:
        The conversion with the evidence in words; None instead of the conversion where the values are strange and none
        explains them; None where all is well.
    """
    if not len(values):
        return None
    different = np.unique(np.round(values, DECIMAL_DIGITS))
    share = grid.off_grid_share(different) if len(different) >= MIN_UNIT_VALUES else 0.0
    if share > max(MIN_STRANGE_SHARE, 3 * grid.new * grid.has_recurring_values):
        return _explain_values(different, grid, share)
    return None if grid.known[0] <= np.median(values) <= grid.known[-1] else _explain_median(values, grid)


def explain_ratio(ratio: float) -> str:
    """Name the conversion that explains a ratio.

    Args:
        ratio: How many times as large as expected the values are.

    Returns:
        The cause, or "" where no conversion has that factor.
    """
    return next(
        (
            each.cause
            for each in UNIT_CONVERSIONS
            if not each.offset and abs(ratio / each.factor - 1) < FACTOR_TOLERANCE
        ),
        "",
    )


def _find_step(values: np.ndarray) -> float:
    """The largest number of which all differences between values are multiples; 0 where they lie no further apart than
    the last digit, or so far that float64 doesn't hold that digit."""
    units = np.round(np.diff(values) * 10**DECIMAL_DIGITS)
    is_exact = len(units) > 0 and units.max() <= MAX_EXACT_UNITS
    step = int(np.gcd.reduce(units.astype(np.int64))) if is_exact else 0
    return step / 10**DECIMAL_DIGITS if step > 10 else 0.0


def _explain_values(values: np.ndarray, grid: ValueGrid, share: float) -> tuple[UnitConversion | None, str]:
    unseen = format_share(share, 0)
    text = f"{unseen} of its values are not among those that were seen before, or on their steps of {grid.step:g}"
    close = {each: 0.5 / each.factor if grid.whole else 10.0**-DECIMAL_DIGITS for each in UNIT_CONVERSIONS}
    left = {each: grid.off_grid_share(each.undo_conversion(values), close[each]) for each in UNIT_CONVERSIONS}
    likely = [
        each for each in UNIT_CONVERSIONS if left[each] < share / 2 and grid.is_plausible(each.undo_conversion(values))
    ]
    if not likely:
        return None, text
    best = min(likely, key=lambda each: (round(left[each], 1), grid.distance(each.undo_conversion(values))))
    return best, f"{text}; {format_share(left[best], 0)} once {best.name} is undone"


def _explain_median(values: np.ndarray, grid: ValueGrid) -> tuple[UnitConversion | None, str] | None:
    if not grid.spread or not grid.median or (here := grid.distance(values)) < FAR_SPREADS:
        return None
    distances = {each: grid.distance(each.undo_conversion(values)) for each in UNIT_CONVERSIONS}
    best = min(distances, key=lambda each: distances[each])
    if distances[best] > NEAR_SPREADS:
        return None
    text = (
        f"its median is {here:.0f} usual spreads from the usual one, {distances[best]:.1f} once {best.name} is undone"
    )
    return best, text
