"""The rule of promotion on streams that had no part in choosing it: single airports and carriers, and other series.

The stream of all flights, on which test, level and blocks were chosen, stands above them. Of each stream two kinds of
worlds are drawn in which neither model is better: weeks in which the models swap names at random, which makes the days
symmetric; and weeks less the stream's mean, which leaves the days as skewed as they are.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.helpers import flight_stream
from benchmarks.helpers.flight_stream import FlightStream
from benchmarks.statistics.promotion import daily_series, resampled_days
from benchmarks.statistics.promotion.daily_series import Comparison
from benchmarks.statistics.promotion.resampled_days import NOT_REACHED, DailyDifferences
from penumbra.core.settings import PromotionSettings
from penumbra.promotion.betting import find_shown_gains

WORLDS, LOOKS, SEED = 1000, 180, 77_130
EFFECT, GATE_DAYS = 0.5, 90
ALL_FLIGHTS = "all flights"
MODELS = (flight_stream.TWIN_MODEL, flight_stream.LINEAR_MODEL)
CARRIERS = ("UA", "B6", "EV", "DL")


def measure_held_out(flights: FlightStream, terms: PromotionSettings) -> dict[str, float]:
    """Print the rates on the stream of development and on the others; return the worlds, and the others' worst."""
    print(
        f"\nEqual models promoted on other streams, daily looks for {LOOKS} days, {WORLDS:,} worlds each: weeks that "
        "swap names,\nand weeks less the mean, by the self-normalised test alone, by the rule, and by the rule with "
        f"{GATE_DAYS} such days at the gate;\nmedian days to promote a gain of {EFFECT} day-sigma"
    )
    print(
        f"{'stream':<22}{'beside':<22}{'swapped':>8}{'now':>7}{'skew':>7}{'centred':>9}{'now':>7}{'gate':>7}{'median':>8}"
    )
    _print_rows("developed on", [(ALL_FLIGHTS, name, _sum_place(flights, name)) for name in MODELS], terms)
    found = [
        *_print_rows("held out", _list_slices(flights), terms),
        *_print_rows("other series", daily_series.read_series_comparisons(), terms),
    ]
    swapped, centred = zip(*found, strict=True)
    return {"worlds": 2 * WORLDS * len(found), "equal_max": max(swapped), "centred_max": max(centred)}


def _list_slices(flights: FlightStream) -> Iterator[Comparison]:
    """Each airport and each of the large carriers as a stream of its own."""
    places = [("origin", each) for each in np.unique(flights.places["origin"])]
    for column, place in (*places, *(("carrier", each) for each in CARRIERS)):
        for name in MODELS:
            yield f"{column} {place}", name, _sum_place(flights, name, flights.places[column] == place)


def _sum_place(flights: FlightStream, name: str, rows: np.ndarray | slice = slice(None)) -> DailyDifferences:
    live, other = flights.scores[flight_stream.LIVE_MODEL], flights.scores[name]
    return DailyDifferences.of(flights.days[rows], flights.compute_differences(live, other, "log_loss")[rows])


def _print_rows(
    title: str, comparisons: Iterator[Comparison] | list[Comparison], terms: PromotionSettings
) -> list[tuple[float, float]]:
    """Print a line for each comparison; return the rates of the rule in both kinds of worlds."""
    print(f"{title}:")
    found = []
    for stream, beside, daily in comparisons:
        random = np.random.default_rng(SEED)
        swapped = daily.resample_equal(WORLDS, LOOKS, random)
        centred = daily.resample_centred(WORLDS, GATE_DAYS + LOOKS, random)
        (before, now), (skewed_before, skewed_now) = (
            _measure_rates(world, terms) for world in (swapped, centred.head(LOOKS))
        )
        with_gate = _measure_gate_rate(centred, terms)
        better = swapped.better(EFFECT * float(swapped.sums.std()))
        median = float(np.median(resampled_days.find_promotion_days(better, terms)))
        around = daily.sums - daily.sums.mean()
        skew = float((around**3).mean() / around.std() ** 3)
        values = f"{before:>8.3f}{now:>7.3f}{skew:>7.1f}{skewed_before:>9.3f}{skewed_now:>7.3f}{with_gate:>7.3f}"
        print(f"{stream:<22}{beside:<22}{values}{median:>8.0f}", flush=True)
        found.append((now, skewed_now))
    return found


def _measure_rates(world: DailyDifferences, terms: PromotionSettings) -> tuple[float, float]:
    """The shares of worlds that the self-normalised test alone promotes, and that the rule does."""
    single = resampled_days.find_evidence_days(world, terms.promote_level, terms.block_days)
    return float((single < NOT_REACHED).mean()), float(
        (resampled_days.find_promotion_days(world, terms) < NOT_REACHED).mean()
    )


def _measure_gate_rate(world: DailyDifferences, terms: PromotionSettings) -> float:
    """The share of worlds that the rule promotes after the first days, on which the gate compared the models."""
    worst = np.maximum(-world.sums[:, :GATE_DAYS], 0).max(axis=1, keepdims=True)
    required = max(terms.seen_days - GATE_DAYS, 1)
    return float(find_shown_gains(world.sums[:, GATE_DAYS:], terms.promote_level, required, worst).any(axis=1).mean())
