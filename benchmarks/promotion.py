"""`make bench-promotion`: how often equal models are promoted, how soon better ones are, and how soon broken ones are
stopped; in worlds made of the real stream of flights, and on the year as it was."""

import datetime as dt
import json
from collections.abc import Iterator

import numpy as np
import polars as pl

import settings
from benchmarks import broken, stream, worlds
from benchmarks.stream import Stream
from benchmarks.worlds import NEVER, Daily
from monitoring.cohorts import cohorts
from monitoring.evidence import Rule, course, weigh
from settings import Promotion

WORLDS, LENGTH, LONG = 1000, 180, 364
EFFECTS = (1.0, 0.5, 0.3)
EQUAL = (stream.TWIN, stream.DEEPER, stream.refit("2013-06"))


def main() -> None:
    flights, terms = stream.read(), settings.load().promotion
    result = {
        "false_promotion_rate": false_promotions(flights, terms),
        "days_to_promote_half_sigma": days_to_promote(flights, terms),
        "broken5_days": broken.shuffled(flights, terms),
    }
    broken.guarded(flights, terms)
    as_it_was(flights, terms)
    print(json.dumps(result))


def false_promotions(flights: Stream, terms: Promotion) -> float:
    """Print how often each test ever promotes one of two equal models; return ours at its worst of the equal pairs."""
    print(f"Equal models promoted, daily looks for {LENGTH} days, {WORLDS:,} worlds; the t-tests' level is 0.05")
    head = f"{'gradient boosting and':<24}{'loss':<10}{'ours':>7}{'t, days':>9}{'t, rows':>9}"
    print(f"{head}   rejected by ours, in {terms.shadow_days} days")
    found = {}
    for name, loss, world in _equal(flights, (*EQUAL, stream.LINEAR)):
        ours = worlds.evidence(world, terms.promote_level, terms.block_days)
        tests = (ours, worlds.t_test_of_days(world, 0.05), worlds.t_test_of_rows(world, 0.05))
        shares = [float((days < NEVER).mean()) for days in tests]
        found[name, loss] = shares[0]
        harmed = worlds.evidence(world.turned(), terms.harm_level, terms.block_days)
        rejected = f"{(harmed < NEVER).mean():>17.3f}{(harmed <= terms.shadow_days).mean():>12.3f}"
        print(f"{name:<24}{loss:<10}{shares[0]:>7.3f}{shares[1]:>9.3f}{shares[2]:>9.3f}{rejected}", flush=True)
    return max(share for (name, _), share in found.items() if name in EQUAL)


def days_to_promote(flights: Stream, terms: Promotion) -> float:
    """Print how soon better models are promoted, and what other levels would do; return the median at half a sigma."""
    world = _daily(flights, stream.TWIN, terms.loss).equal(WORLDS, LONG, np.random.default_rng(2))
    sigma = float(world.sums.std())
    print("\nDays until a better model is promoted (median / 80 %), beside the best single look at level 0.05")
    print(f"{'better by':<14}{'ours':>12}{'one look':>12}{'rejected by mistake':>21}")
    medians = {}
    for effect in EFFECTS:
        better = world.better(effect * sigma)
        days = worlds.evidence(better, terms.promote_level, terms.block_days)
        mistaken = worlds.evidence(better.turned(), terms.harm_level, terms.block_days) < days
        look = [worlds.fixed_sample(world, effect * sigma, 0.05, power) for power in (0.5, 0.8)]
        text = f"{effect} day-sigma"
        print(f"{text:<14}{worlds.quantiles(days):>12}{look[0]:>6} / {look[1]:<3}{mistaken.mean():>21.3f}", flush=True)
        medians[effect] = float(np.median(days))
    _levels(flights, world, sigma)
    return medians[0.5]


def _levels(flights: Stream, world: Daily, sigma: float) -> None:
    print("\nOther levels and blocks: equal models promoted (the worst of the equal pairs), and days to promote")
    print(f"{'block_days':<12}{'promote_level':<15}{'promoted':>9}" + "".join(f"{e:>10} sd" for e in EFFECTS))
    equal = [each for _, _, each in _equal(flights, EQUAL)]
    for block in (1, 2):
        for level in (0.05, 0.03, 0.02, 0.01):
            promoted = max(float((worlds.evidence(each, level, block) < NEVER).mean()) for each in equal)
            days = [worlds.quantiles(worlds.evidence(world.better(e * sigma), level, block)) for e in EFFECTS]
            print(f"{block:<12}{level:<15}{promoted:>9.3f}" + "".join(f"{each:>13}" for each in days), flush=True)


def as_it_was(flights: Stream, terms: Promotion) -> None:
    """Print the first verdict on the year as it was, or where it stood in the end."""
    print(
        "\nThe year as it was: the verdict and its day, and the candidate's gain in loss a row by then and in the end"
    )
    print(f"{'live':<20}{'candidate':<23}{'gate':<16}{'verdict':<16}{'day':>4}{'by then':>10}{'in the end':>12}")
    for month in stream.later_months():
        _verdict(flights, stream.LIVE, stream.refit(month), month, "non-inferiority", terms)
    for month in stream.later_months():
        _verdict(flights, stream.LIVE, stream.refit(month), month, "superiority", terms)
    for candidate in (stream.TWIN, stream.DEEPER, stream.LINEAR):
        _verdict(flights, stream.LIVE, candidate, stream.FIRST, "superiority", terms)
    _verdict(flights, stream.LINEAR, stream.LIVE, stream.FIRST, "superiority", terms)


def _verdict(flights: Stream, live: str, candidate: str, month: str, rule: Rule, terms: Promotion) -> None:
    blocks = _blocks(flights, live, candidate, month, terms)
    grown = course(blocks)
    harmed = worlds.first((grown["worse"] >= 1 / terms.harm_level).to_numpy())
    earned = worlds.first((grown["better"] >= 1 / terms.promote_level).to_numpy())
    waited = terms.shadow_days if rule == "non-inferiority" else earned
    then = weigh(blocks.head(int(min(harmed, waited, blocks.height))), rule, terms)
    end = weigh(blocks, rule, terms)
    gains = f"{then.difference:>+10.4f}{end.difference:>+12.4f}"
    print(f"{live:<20}{candidate:<23}{rule:<16}{then.verdict:<16}{then.days:>4}{gains}", flush=True)


def _blocks(flights: Stream, live: str, candidate: str, month: str, terms: Promotion) -> pl.DataFrame:
    """The complete blocks from a month on: the labels of a year that is over are all mature."""
    served = flights.months >= month
    live_loss, candidate_loss = (flights.losses(flights.scores[name], terms.loss) for name in (live, candidate))
    rows = pl.DataFrame(
        {"time": flights.times[served], "loss_live": live_loss[served], "loss_candidate": candidate_loss[served]}
    ).with_columns(mature=True)
    return cohorts(rows, dt.date(2014, 1, 1), terms).filter("complete")


def _equal(flights: Stream, names: tuple[str, ...]) -> Iterator[tuple[str, str, Daily]]:
    for name in names:
        for loss in ("log_loss", "brier"):
            world = _daily(flights, name, loss).equal(WORLDS, LENGTH, np.random.default_rng(1))
            yield name, loss, world


def _daily(flights: Stream, name: str, loss: str) -> Daily:
    return Daily.of(flights.days, flights.differences(flights.scores[stream.LIVE], flights.scores[name], loss))


if __name__ == "__main__":
    main()
