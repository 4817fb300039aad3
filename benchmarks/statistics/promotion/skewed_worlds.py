"""Equal models that differ in a skewed way: one gains a little on most days and loses as much in all on rare ones.

As long as no rare day has come such a candidate is the same as one that is better. Whatever rule promotes that one on
day τ promotes the other on it with the probability that no rare day came before: of a rule that has so much power, the
share of false promotions is at least the mean of (1 - p)^τ, with p the share of rare days. Measured is what comes on
top.

The constants of the rule were chosen on worlds of DEVELOPMENT_SEED; those of REPORT_SEED were drawn after that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.statistics.promotion.resampled_days import NOT_REACHED, find_first_true
from penumbra.core.settings import PromotionSettings
from penumbra.promotion.betting import find_shown_gains
from penumbra.promotion.sequential import compute_log_e_values

DEVELOPMENT_SEED, REPORT_SEED = 100, 77_129
WORLDS, LOOKS = 1000, 180
GAINS, RARE_ONE_IN, BLOCKS = (0.1, 0.2, 0.3, 0.5, 1.0), (30, 100), (1, 7)
GATE_DAYS = (0, 30, 90, 300)
SHARED_VARIANCE = 0.3  # of the days of a block
KNOWABLE = 0.05  # in a world whose least share of false promotions is above this no rule of such power can do better


@dataclass(frozen=True)
class SkewedWorlds:
    """Days of two models that are equal on average, in units of a calm day's standard deviation.

    `sums` float64 [worlds, days]: the candidate's gain; `calm` the same as if no day were rare; `is_rare` bool; the
    first `gate_days` of them are before the shadow.
    """

    sums: np.ndarray
    calm: np.ndarray
    is_rare: np.ndarray
    gate_days: int

    @property
    def worst_before(self) -> np.ndarray:
        """The largest loss on a day before the shadow: float64 [worlds, 1]."""
        return np.maximum(-self.sums[:, : self.gate_days], 0).max(axis=1, initial=0.0)[:, None]


def draw_skewed_worlds(
    gain: float, one_in: float, block: int, gate_days: int, random: np.random.Generator, worlds: int = WORLDS
) -> SkewedWorlds:
    """Draw worlds in which 1 day in `one_in` costs what the others gain; none is rare where that is infinite."""
    noise = draw_noise("normal", block, gate_days + LOOKS, random, worlds)
    is_rare = random.random(noise.shape) < 1 / one_in
    loss = gain * (one_in - 1) if np.isfinite(one_in) else 0.0
    return SkewedWorlds(noise + np.where(is_rare, -loss, gain), noise + gain, is_rare, gate_days)


def draw_noise(kind: str, block: int, days: int, random: np.random.Generator, worlds: int = WORLDS) -> np.ndarray:
    """Draw symmetric days of variance 1, "normal" or "heavy" (Student's t with 3 degrees of freedom), of which those of
    a block share a part: float64 [worlds, days]."""

    def draw(count: int) -> np.ndarray:
        shape = (worlds, count)
        return random.normal(size=shape) if kind == "normal" else random.standard_t(3, size=shape) / np.sqrt(3)

    shared = SHARED_VARIANCE if block > 1 else 0.0
    common = np.repeat(draw(-(-days // block)), block, axis=1)[:, :days]
    return np.sqrt(shared) * common + np.sqrt(1 - shared) * draw(days)


def find_least_false_promotions(days: np.ndarray, one_in: float, gate_days: int = 0) -> float:
    """The least share of false promotions of a rule that promotes better models on `days` (int [worlds])."""
    reached = days[days <= LOOKS]
    return float(((1 - 1 / one_in) ** (reached + gate_days)).sum() / len(days))


def measure_symmetric_worlds(terms: PromotionSettings) -> dict[str, float]:
    """Print how often equal models whose days are symmetric are promoted; return the number of worlds and the worst."""
    print(f"\nEqual models whose days are symmetric: promoted in {LOOKS} daily looks, {WORLDS:,} worlds each")
    print(f"{'days':<10}{'block':<7}{'before':>8}{'now':>8}")
    random, found = np.random.default_rng(REPORT_SEED), []
    for kind in ("normal", "heavy"):
        for block in BLOCKS:
            sums = draw_noise(kind, block, LOOKS, random)
            before, now = (float((days <= LOOKS).mean()) for days in _find_days(sums, terms))
            found.append(now)
            print(f"{kind:<10}{block:<7}{before:>8.3f}{now:>8.3f}", flush=True)
    return {"worlds": len(found) * WORLDS, "equal_max": max(found)}


def measure_skewed_worlds(terms: PromotionSettings) -> dict[str, float]:
    """Print how often equal models whose days are skewed are promoted; return the number of worlds and the worst."""
    print(
        f"\nEqual models that differ on rare days: promoted in {LOOKS} daily looks, {WORLDS:,} worlds each; by the "
        f"self-normalised test alone,\nby both tests and at least {terms.seen_days} days, the least that any rule of "
        "such power can have, and those promoted after a rare day"
    )
    print(f"{'rare':<9}{'gain':<6}{'block':<7}{'at gate':<9}{'before':>8}{'now':>8}{'least':>8}{'after one':>11}")
    cells = list(_measure_cells(terms))
    knowable = [cell for cell in cells if cell["least"] <= KNOWABLE]
    return {
        "worlds": len(cells) * WORLDS,
        "skewed_max": max(cell["now"] for cell in knowable),
        "skewed_unknowable_max": max(cell["now"] for cell in cells),
        "skewed_after_rare_day_max": max(cell["after"] for cell in cells),
    }


def _measure_cells(terms: PromotionSettings) -> Iterator[dict[str, float]]:
    random = np.random.default_rng(REPORT_SEED + 1)
    for gate_days in GATE_DAYS:
        for one_in in RARE_ONE_IN:
            for gain in GAINS:
                for block in BLOCKS if not gate_days else BLOCKS[:1]:
                    cell = _measure_cell(draw_skewed_worlds(gain, one_in, block, gate_days, random), one_in, terms)
                    values = f"{cell['before']:>8.3f}{cell['now']:>8.3f}{cell['least']:>8.3f}{cell['after']:>11.3f}"
                    print(f"1 in {one_in:<4}{gain:<6}{block:<7}{gate_days:<9}{values}", flush=True)
                    yield cell


def _measure_cell(world: SkewedWorlds, one_in: float, terms: PromotionSettings) -> dict[str, float]:
    shadow = world.sums[:, world.gate_days :]
    before, now = _find_days(shadow, terms, world.gate_days, world.worst_before)
    calm_worst = np.maximum(-world.calm[:, : world.gate_days], 0).max(axis=1, initial=0.0)[:, None]
    better = _find_days(world.calm[:, world.gate_days :], terms, world.gate_days, calm_worst)[1]
    first_rare = np.where(world.is_rare.any(axis=1), world.is_rare.argmax(axis=1) + 1 - world.gate_days, NOT_REACHED)
    return {
        "before": float((before <= LOOKS).mean()),
        "now": float((now <= LOOKS).mean()),
        "least": find_least_false_promotions(better, one_in, world.gate_days),
        "after": float(((now <= LOOKS) & (first_rare <= now)).mean()),
    }


def _find_days(
    sums: np.ndarray, terms: PromotionSettings, gate_days: int = 0, worst_before: float | np.ndarray = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The days of promotion by the self-normalised test alone, and by the rule: int [worlds]."""
    required = max(terms.seen_days - gate_days, 1)
    return (
        find_first_true(compute_log_e_values(sums) >= -np.log(terms.promote_level)),
        find_first_true(find_shown_gains(sums, terms.promote_level, required, worst_before)),
    )


def print_impossibility() -> None:
    """Print the least share of false promotions of any rule that promotes half of the better models by some day."""
    days = (14, 28, 56, 90, 180, 300)
    print(
        "\nThe least share of false promotions of any rule that promotes half of the better models by a day, where one "
        "that\nis equal on average differs from them only on rare days"
    )
    print(f"{'rare':<12}" + "".join(f"{f'day {day}':>9}" for day in days))
    for one_in in RARE_ONE_IN:
        print(f"1 in {one_in:<7}" + "".join(f"{(1 - 1 / one_in) ** day / 2:>9.3f}" for day in days), flush=True)
