"""`penumbra bench number-losses`: false promotions and alarms where errors of numbers have heavy tails.

Two models predict a number. What both can't know has the tails that are tried; what one of them alone gets wrong is
normal. Rows are few and independent, so that tails matter the most.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from monitoring.losses.loss_threshold import DailyLosses, judge_losses
from penumbra.core.metrics.losses import compute_clipped_losses, compute_loss_ceiling
from penumbra.core.settings import Settings, load_settings
from penumbra.core.task import Task
from penumbra.promotion.betting import find_shown_gains
from penumbra.training.evaluation import bootstrap
from penumbra.training.gate import gate_comparisons

NUMBER = Task("regression")
WORLDS, KNOWN_DAYS, SERVED_DAYS, GATE_DAYS, WINDOW_DAYS, ROWS_PER_DAY = 300, 59, 180, 31, 7, 60
ONE_MODEL_ERROR, GAIN = 1.0, 0.7  # a model's own error, in usual errors; of a better one, in those of the live model's
WINDOWS = 6  # weeks of each world that are judged
LOSSES = ("squared_error", "absolute_error", "quantile_0.9")
HEADER = f"{'promoted':>10}{'alarms':>8}{'gate':>7}{'found':>7}{'days':>6}"
MAXIMA = ("promoted", "alarms", "gate", "clipped")
Draws = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
TAILS: dict[str, Draws] = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "Student's t, 2.5 degrees": lambda random, shape: random.standard_t(2.5, shape),
    "Pareto, index 1.5": lambda random, shape: random.choice([-1.0, 1.0], shape) * random.pareto(1.5, shape),
}
CeilingRule = Callable[[np.ndarray, float], float]
CEILINGS: dict[str, CeilingRule] = {
    "ours": lambda losses, multiple: compute_loss_ceiling(NUMBER, np.zeros(len(losses)), losses, multiple),
    "times the plain mean": lambda losses, multiple: multiple * float(losses.mean()),
    "none": lambda losses, multiple: np.inf,
}


@dataclass(frozen=True)
class NumberWorld:
    """The losses of a world.

    Args:
        reference: The live model's on its reference, float64 [days, rows].
        live: The live model's afterwards, float64 [days, rows].
        equal: Those of an equal model on the same rows.
        better: Those of a better one.
        ceiling: The most that a loss counts, which the four were clipped at.
        clipped: The share of the live model's losses that were.
    """

    reference: np.ndarray
    live: np.ndarray
    equal: np.ndarray
    better: np.ndarray
    ceiling: float
    clipped: float


def main() -> None:
    """Print a table for each loss, and a JSON document in the last line."""
    settings, result = load_settings(), {}
    for loss in LOSSES:
        print(f"\n{loss}: {WORLDS} worlds, {ROWS_PER_DAY} rows a day")
        print(f"{'errors':<26}{'ceiling':<22}{'spread':>8}{'clipped':>9}{HEADER}")
        rules = CEILINGS if loss == LOSSES[0] else ("ours",)
        for tails, rule in product(TAILS, rules):
            figures = measure_rates(settings, list(draw_worlds(loss, tails, rule, settings.promotion.loss_ceiling)))
            print(f"{tails:<26}{rule:<22}{_format_figures(figures)}", flush=True)
            result |= {f"{loss}, {tails}": figures} if rule == "ours" else {}
    largest = {f"{name}_max": round(max(each[name] for each in result.values()), 4) for name in MAXIMA}
    print(json.dumps({**largest, "found_min": min(each["found"] for each in result.values())}))


def draw_worlds(loss: str, tails: str, rule: str, multiple: float, worlds: int = WORLDS) -> Iterator[NumberWorld]:
    """Draw worlds with one way of errors, and one of bounding their losses.

    Args:
        loss: The loss.
        tails: One of `TAILS`.
        rule: One of `CEILINGS`.
        multiple: The setting `promotion.loss_ceiling`.
        worlds: How many.

    Yields:
        The worlds, the same errors for each of `CEILINGS`.
    """
    for seed in range(worlds):
        random = np.random.default_rng([seed, list(TAILS).index(tails)])
        unknown = TAILS[tails](random, (KNOWN_DAYS + SERVED_DAYS, ROWS_PER_DAY))
        own, other = ONE_MODEL_ERROR * random.standard_normal((2, *unknown.shape))
        live, equal, better = (
            compute_clipped_losses(NUMBER, unknown, said, loss, np.inf) for said in (own, other, GAIN * other)
        )
        before = live[:KNOWN_DAYS]
        ceiling = CEILINGS[rule](before.ravel(), multiple)
        later = [np.minimum(each[KNOWN_DAYS:], ceiling) for each in (live, equal, better)]
        share = float((live[KNOWN_DAYS:] > ceiling).mean())
        yield NumberWorld(np.minimum(before, ceiling), *later, ceiling, share)


def measure_rates(settings: Settings, worlds: list[NumberWorld]) -> dict[str, float]:
    """Measure what happens in worlds.

    Args:
        settings: The settings.
        worlds: The worlds.

    Returns:
        "spread" of the ceilings (the largest by the smallest), the share of losses that are "clipped", of equal models
        that are "promoted" in 180 days and pass the "gate" as superior, of weeks with "alarms"; of better models that
        are "found" in 180 days, and the median of "days" until then (infinity for never).
    """
    ceilings = np.array([world.ceiling for world in worlds])
    first = _find_promotion_days(settings, worlds, "better")
    return {
        "spread": float(ceilings.max() / ceilings.min()) if np.isfinite(ceilings).all() else 1.0,
        "clipped": float(np.mean([world.clipped for world in worlds])),
        "promoted": float(np.isfinite(_find_promotion_days(settings, worlds, "equal")).mean()),
        "alarms": float(np.mean([alarm for world in worlds for alarm in _list_alarms(settings, world)])),
        "gate": float(np.mean([_passes_gate(settings, world) for world in worlds])),
        "found": float(np.isfinite(first).mean()),
        "days": float(np.median(first)),
    }


def _find_promotion_days(settings: Settings, worlds: list[NumberWorld], model: str) -> np.ndarray:
    sums = np.array([(world.live - getattr(world, model)).sum(axis=1) for world in worlds])
    required = settings.promotion.seen_days - GATE_DAYS
    shown = find_shown_gains(sums, settings.promotion.promote_level, required)
    return np.where(shown.any(axis=1), shown.argmax(axis=1) + 1.0, np.inf)


def _list_alarms(settings: Settings, world: NumberWorld) -> Iterator[bool]:
    def daily(losses: np.ndarray) -> DailyLosses:
        return DailyLosses(losses.sum(axis=1), (losses**2).sum(axis=1), np.full(len(losses), float(losses.shape[1])))

    for week in range(WINDOWS):
        recent = daily(world.live[: (week + 1) * WINDOW_DAYS])
        judged = judge_losses(recent, daily(world.reference), settings.monitor.one_in, WINDOW_DAYS, seed=week)
        yield any(stretch.ratio > 1 for stretch in judged)


def _passes_gate(settings: Settings, world: NumberWorld) -> bool:
    days = np.repeat(np.arange(GATE_DAYS), ROWS_PER_DAY)
    confidence = gate_comparisons.to_two_sided_confidence(settings.gate.confidence)
    losses, others = (each[:GATE_DAYS].ravel() for each in (world.equal, world.live))
    return bootstrap.compare_paired_losses(losses, others, days, confidence).high < 0


def _format_figures(figures: dict[str, float]) -> str:
    spread, days = f"{figures['spread']:>8.3g}", "never" if np.isinf(figures["days"]) else f"{figures['days']:.0f}"
    shares = [figures[name] for name in ("clipped", "promoted", "alarms", "gate", "found")]
    clipped, promoted, alarms, gate, found = shares
    return f"{spread}{clipped:>9.4f}{promoted:>10.3f}{alarms:>8.4f}{gate:>7.3f}{found:>7.2f}{days:>6}"


if __name__ == "__main__":
    main()
