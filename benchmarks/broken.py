"""How soon broken candidates are stopped: shuffled scores by the evidence, worse faults by the guardrails."""

from collections.abc import Callable

import numpy as np

from benchmarks import stream, worlds
from benchmarks.stream import Stream
from benchmarks.worlds import NEVER, Daily
from monitoring.guardrails import ENOUGH, faults
from settings import Promotion

SHARES = (0.05, 0.1, 0.3)
REPEATS, DAYS = 200, 60
FIRST_ROWS = 1000
BROKEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": lambda scores: np.full_like(scores, 0.2),
    "NaN": lambda scores: np.full_like(scores, np.nan),
    "NaN in one row of ten": lambda scores: np.where(np.arange(len(scores)) % 10, scores, np.nan),
    "inverted": lambda scores: 1 - scores,
    "of the wrong shape": lambda scores: scores[:, None],
}


def shuffled(flights: Stream, terms: Promotion) -> float:
    """Print when candidates with a share of their scores shuffled are rejected; return the median day at 5 %."""
    print(f"\nDays until shuffled scores are rejected: median / 80 %, and the share by day 15, of {REPEATS} beginnings")
    medians = []
    for name, whose in ((stream.LIVE, "the live model itself"), (stream.TWIN, "its twin of another seed")):
        for share in SHARES:
            days = np.array([_rejected(flights, name, share, terms, seed) for seed in range(REPEATS)])
            text = f"{share:.0%} of the scores of {whose}"
            print(f"{text:<48}{worlds.quantiles(days):>10}{(days <= 15).mean():>8.2f}", flush=True)
            medians.append(float(np.median(days)))
    return medians[0]


def guarded(flights: Stream, terms: Promotion) -> None:
    """Print after how many rows the guardrails stop broken candidates, and whether they ever stop healthy ones."""
    live = flights.scores[stream.LIVE]
    parts = [slice(begin, begin + FIRST_ROWS) for begin in range(0, len(live) - FIRST_ROWS, FIRST_ROWS)]
    print(f"\nRows until a candidate is stopped, looked at every {ENOUGH} rows: the worst of {len(parts)} beginnings")
    for what, broken in BROKEN.items():
        print(f"{what:<44}{max(_stopped(live[part], broken(live[part]), terms) for part in parts):>10,}")
    healthy = [_stopped(live[part], said[part], terms) for said in flights.scores.values() for part in parts]
    print(f"healthy candidates stopped: {sum(rows < NEVER for rows in healthy)} of {len(healthy):,}", flush=True)


def _rejected(flights: Stream, name: str, share: float, terms: Promotion, seed: int) -> int:
    """The day on which a candidate that begins on a random day, with so many scores shuffled, is shown to be worse."""
    random = np.random.default_rng(seed)
    begin = int(random.integers(0, flights.days.max() - DAYS))
    rows = np.flatnonzero((flights.days >= begin) & (flights.days < begin + DAYS))
    scores = flights.scores[name].copy()
    hit = rows[random.random(len(rows)) < share]
    scores[hit] = scores[random.permutation(hit)]
    harm = flights.differences(scores, flights.scores[stream.LIVE], terms.loss)[rows]
    sums = np.bincount(flights.days[rows] - begin, harm)
    return int(worlds.evidence(Daily(sums[None], sums[None], sums[None]), terms.harm_level, terms.block_days)[0])


def _stopped(live: np.ndarray, candidate: np.ndarray, terms: Promotion) -> int:
    looks = range(ENOUGH, len(live) + 1, ENOUGH)
    return next((rows for rows in looks if faults(stream.TASK, live[:rows], candidate[:rows], terms)), NEVER)
