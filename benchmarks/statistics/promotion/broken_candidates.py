"""Time until broken candidates are stopped: shuffled scores by the evidence, worse faults by the guardrails."""

from collections.abc import Callable

import numpy as np

from benchmarks.helpers import flight_stream
from benchmarks.helpers.flight_stream import FlightStream
from benchmarks.statistics.promotion import resampled_days
from benchmarks.statistics.promotion.resampled_days import NOT_REACHED, DailyDifferences
from penumbra.core.settings import PromotionSettings
from penumbra.promotion.guardrails import MIN_GUARDRAIL_ROWS, find_guardrail_faults

SHUFFLED_SHARES = (0.05, 0.1, 0.3)
START_COUNT, OBSERVED_DAYS = 200, 60
ROWS_PER_START = 1000
BROKEN_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": lambda scores: np.full_like(scores, 0.2),
    "NaN": lambda scores: np.full_like(scores, np.nan),
    "NaN in one row of ten": lambda scores: np.where(np.arange(len(scores)) % 10, scores, np.nan),
    "inverted": lambda scores: 1 - scores,
    "of the wrong shape": lambda scores: scores[:, None],
}


def measure_shuffled_rejection(flights: FlightStream, terms: PromotionSettings) -> float:
    """Print when candidates with a share of their scores shuffled are rejected; return the median day at 5 %."""
    print(
        "\nDays until shuffled scores are rejected: median / 80 %, and the share by day 15, "
        f"of {START_COUNT} beginnings"
    )
    medians = []
    for name, whose in (
        (flight_stream.LIVE_MODEL, "the live model itself"),
        (flight_stream.TWIN_MODEL, "its twin of another seed"),
    ):
        for share in SHUFFLED_SHARES:
            days = np.array([_find_rejection_day(flights, name, share, terms, seed) for seed in range(START_COUNT)])
            text = f"{share:.0%} of the scores of {whose}"
            print(f"{text:<48}{resampled_days.format_day_quantiles(days):>10}{(days <= 15).mean():>8.2f}", flush=True)
            medians.append(float(np.median(days)))
    return medians[0]


def measure_guardrail_stops(flights: FlightStream, terms: PromotionSettings) -> None:
    """Print after how many rows the guardrails stop broken candidates, and whether they ever stop healthy ones."""
    live = flights.scores[flight_stream.LIVE_MODEL]
    parts = [slice(begin, begin + ROWS_PER_START) for begin in range(0, len(live) - ROWS_PER_START, ROWS_PER_START)]
    print(
        f"\nRows until a candidate is stopped, looked at every {MIN_GUARDRAIL_ROWS} rows: "
        f"the worst of {len(parts)} beginnings"
    )
    for what, broken in BROKEN_SCORES.items():
        print(f"{what:<44}{max(_count_rows_until_stop(live[part], broken(live[part]), terms) for part in parts):>10,}")
    healthy = [
        _count_rows_until_stop(live[part], said[part], terms) for said in flights.scores.values() for part in parts
    ]
    print(f"healthy candidates stopped: {sum(rows < NOT_REACHED for rows in healthy)} of {len(healthy):,}", flush=True)


def _find_rejection_day(flights: FlightStream, name: str, share: float, terms: PromotionSettings, seed: int) -> int:
    """The day on which a candidate that begins on a random day, with so many scores shuffled, is shown to be worse."""
    random = np.random.default_rng(seed)
    begin = int(random.integers(0, flights.days.max() - OBSERVED_DAYS))
    rows = np.flatnonzero((flights.days >= begin) & (flights.days < begin + OBSERVED_DAYS))
    scores = flights.scores[name].copy()
    hit = rows[random.random(len(rows)) < share]
    scores[hit] = scores[random.permutation(hit)]
    harm = flights.compute_differences(scores, flights.scores[flight_stream.LIVE_MODEL], terms.loss)[rows]
    sums = np.bincount(flights.days[rows] - begin, harm)
    return int(
        resampled_days.find_evidence_days(
            DailyDifferences(sums[None], sums[None], sums[None]), terms.harm_level, terms.block_days
        )[0]
    )


def _count_rows_until_stop(live: np.ndarray, candidate: np.ndarray, terms: PromotionSettings) -> int:
    looks = range(MIN_GUARDRAIL_ROWS, len(live) + 1, MIN_GUARDRAIL_ROWS)
    return next(
        (
            rows
            for rows in looks
            if find_guardrail_faults(flight_stream.BINARY_TASK, live[:rows], candidate[:rows], terms)
        ),
        NOT_REACHED,
    )
