"""`penumbra bench promotion`: measure how often equal models are promoted, how soon better and broken ones are found.

The first worlds are made of the real stream of flights, on which test, level and blocks were chosen; then come streams
and drawn worlds that had no part in that; the year as it was comes last.
"""

import datetime as dt
import json
from collections.abc import Iterator

import numpy as np
import polars as pl

from benchmarks.helpers import flight_stream
from benchmarks.helpers.flight_stream import FlightStream
from benchmarks.statistics.promotion import broken_candidates, held_out_days, resampled_days, skewed_worlds
from benchmarks.statistics.promotion.resampled_days import NOT_REACHED, DailyDifferences
from penumbra.core.metrics.losses import LossScale, describe_loss
from penumbra.core.settings import PromotionSettings, load_settings
from penumbra.promotion.betting import find_shown_gains
from penumbra.promotion.day_blocks import sum_losses_by_block
from penumbra.promotion.evidence import compute_e_value_path, compute_evidence
from penumbra.promotion.verdict import PromotionRule

STREAMS, STREAM_DAYS, LONG_STREAM_DAYS = 1000, 180, 364
EFFECT_SIZES = (1.0, 0.5, 0.3)
GATE_DAYS = 30
EQUAL_MODELS = (flight_stream.TWIN_MODEL, flight_stream.DEEPER_MODEL, flight_stream.name_refit("2013-06"))


def main() -> None:
    flights, terms = flight_stream.read_flight_stream(), load_settings().promotion
    developed, median = measure_false_promotions(flights, terms), measure_days_to_promote(flights, terms)
    held_out, symmetric = held_out_days.measure_held_out(flights, terms), skewed_worlds.measure_symmetric_worlds(terms)
    skewed_worlds.print_impossibility()
    skewed = skewed_worlds.measure_skewed_worlds(terms)
    result = {
        "worlds": sum(each["worlds"] for each in (developed, held_out, symmetric, skewed)),
        "false_promotion_max": max(each["equal_max"] for each in (developed, held_out, symmetric)),
        "real_skew_max": held_out["centred_max"],
        **{name: value for name, value in skewed.items() if name != "worlds"},
        "days_to_promote_half_sigma": median,
        "broken5_days": broken_candidates.measure_shuffled_rejection(flights, terms),
    }
    broken_candidates.measure_guardrail_stops(flights, terms)
    replay_real_year(flights, terms)
    print(json.dumps(result))


def measure_false_promotions(flights: FlightStream, terms: PromotionSettings) -> dict[str, float]:
    """Print how often each test ever promotes one of two equal models; return the worlds, and ours at its worst."""
    print(f"Equal models promoted, daily looks for {STREAM_DAYS} days, {STREAMS:,} worlds; the t-tests' level is 0.05")
    head = f"{'gradient boosting and':<24}{'loss':<10}{'ours':>7}{'one test':>10}{'t, days':>9}{'t, rows':>9}"
    print(f"{head}   rejected by ours, in {terms.shadow_days} days")
    found = []
    for name, loss, world in _make_equal_streams(flights, (*EQUAL_MODELS, flight_stream.LINEAR_MODEL)):
        tests = (
            resampled_days.find_promotion_days(world, terms),
            resampled_days.find_evidence_days(world, terms.promote_level, terms.block_days),
            resampled_days.find_day_t_test_days(world, 0.05),
            resampled_days.find_row_t_test_days(world, 0.05),
        )
        ours, single, by_day, by_row = (float((days < NOT_REACHED).mean()) for days in tests)
        found.append(ours)
        harmed = resampled_days.find_evidence_days(world.negated(), terms.harm_level, terms.block_days)
        rejected = f"{(harmed < NOT_REACHED).mean():>17.3f}{(harmed <= terms.shadow_days).mean():>12.3f}"
        print(f"{name:<24}{loss:<10}{ours:>7.3f}{single:>10.3f}{by_day:>9.3f}{by_row:>9.3f}{rejected}", flush=True)
    return {"worlds": len(found) * STREAMS, "equal_max": max(found)}


def measure_days_to_promote(flights: FlightStream, terms: PromotionSettings) -> float:
    """Print how soon better models are promoted, and what other levels would do; return the median at half a sigma."""
    world = _sum_by_day(flights, flight_stream.TWIN_MODEL, terms.loss).resample_equal(
        STREAMS, LONG_STREAM_DAYS, np.random.default_rng(2)
    )
    sigma = float(world.sums.std())
    print("\nDays until a better model is promoted (median / 80 %), beside the best single look at level 0.05")
    at_gate = f"{GATE_DAYS} days at gate"
    print(f"{'better by':<14}{'ours':>12}{at_gate:>18}{'one test':>12}{'one look':>12}{'rejected by mistake':>21}")
    medians = {}
    for effect in EFFECT_SIZES:
        better = world.better(effect * sigma)
        days = resampled_days.find_promotion_days(better, terms)
        single = resampled_days.find_evidence_days(better, terms.promote_level, terms.block_days)
        with_gate = resampled_days.find_promotion_days(
            better, terms.model_copy(update={"seen_days": max(terms.seen_days - GATE_DAYS, 1)})
        )
        mistaken = resampled_days.find_evidence_days(better.negated(), terms.harm_level, terms.block_days) < days
        look = [resampled_days.count_fixed_sample_days(world, effect * sigma, 0.05, power) for power in (0.5, 0.8)]
        text = f"{effect} day-sigma"
        print(
            f"{text:<14}{resampled_days.format_day_quantiles(days):>12}"
            f"{resampled_days.format_day_quantiles(with_gate):>18}{resampled_days.format_day_quantiles(single):>12}"
            f"{look[0]:>6} / {look[1]:<3}{mistaken.mean():>21.3f}",
            flush=True,
        )
        medians[effect] = float(np.median(days))
    _print_levels(flights, world, sigma, terms)
    return medians[0.5]


def _print_levels(flights: FlightStream, world: DailyDifferences, sigma: float, terms: PromotionSettings) -> None:
    print("\nOther levels and blocks: equal models promoted (the worst of the equal pairs), and days to promote")
    print(f"{'block_days':<12}{'promote_level':<15}{'promoted':>9}" + "".join(f"{e:>10} sd" for e in EFFECT_SIZES))
    equal = [each for _, _, each in _make_equal_streams(flights, EQUAL_MODELS)]
    for block in (1, 2):
        for level in (0.05, 0.03, 0.02, 0.01):
            other = terms.model_copy(update={"promote_level": level, "block_days": block})
            promoted = max(
                float((resampled_days.find_promotion_days(each, other) < NOT_REACHED).mean()) for each in equal
            )
            days = [
                resampled_days.format_day_quantiles(resampled_days.find_promotion_days(world.better(e * sigma), other))
                for e in EFFECT_SIZES
            ]
            print(f"{block:<12}{level:<15}{promoted:>9.3f}" + "".join(f"{each:>13}" for each in days), flush=True)


def replay_real_year(flights: FlightStream, terms: PromotionSettings) -> None:
    """Print the first verdict on the year as it was, or where it stood in the end."""
    print(
        "\nThe year as it was: the verdict and its day, and the candidate's gain in loss a row by then and in the end"
    )
    print(f"{'live':<20}{'candidate':<23}{'gate':<16}{'verdict':<16}{'day':>4}{'by then':>10}{'in the end':>12}")
    for month in flight_stream.list_refit_months():
        _print_verdict(
            flights, flight_stream.LIVE_MODEL, flight_stream.name_refit(month), month, "non-inferiority", terms
        )
    for month in flight_stream.list_refit_months():
        _print_verdict(flights, flight_stream.LIVE_MODEL, flight_stream.name_refit(month), month, "superiority", terms)
    for candidate in (flight_stream.TWIN_MODEL, flight_stream.DEEPER_MODEL, flight_stream.LINEAR_MODEL):
        _print_verdict(flights, flight_stream.LIVE_MODEL, candidate, flight_stream.FIRST_MONTH, "superiority", terms)
    _print_verdict(
        flights, flight_stream.LINEAR_MODEL, flight_stream.LIVE_MODEL, flight_stream.FIRST_MONTH, "superiority", terms
    )


def _print_verdict(
    flights: FlightStream, live: str, candidate: str, month: str, rule: PromotionRule, terms: PromotionSettings
) -> None:
    blocks = _make_blocks(flights, live, candidate, month, terms)
    rate = np.full(len(flights.labels), flights.labels.mean())
    baseline = float(flights.losses(rate, terms.loss).mean())
    scale = LossScale(describe_loss(flight_stream.BINARY_TASK, terms.loss), baseline)
    harmed = resampled_days.find_first_true((compute_e_value_path(blocks)["worse"] >= 1 / terms.harm_level).to_numpy())
    sums = blocks["difference"].to_numpy()
    earned = resampled_days.find_first_true(find_shown_gains(sums, terms.promote_level, terms.seen_days))
    waited = terms.shadow_days if rule == "non-inferiority" else earned
    then = compute_evidence(blocks.head(int(min(harmed, waited, blocks.height))), rule, terms, scale)
    end = compute_evidence(blocks, rule, terms, scale)
    gains = f"{then.difference:>+10.4f}{end.difference:>+12.4f}"
    print(f"{live:<20}{candidate:<23}{rule:<16}{then.verdict:<16}{then.days:>4}{gains}", flush=True)


def _make_blocks(
    flights: FlightStream, live: str, candidate: str, month: str, terms: PromotionSettings
) -> pl.DataFrame:
    """The complete blocks from a month on: the labels of a year that is over are all mature."""
    served = flights.months >= month
    live_loss, candidate_loss = (flights.losses(flights.scores[name], terms.loss) for name in (live, candidate))
    rows = pl.DataFrame(
        {"time": flights.times[served], "loss_live": live_loss[served], "loss_candidate": candidate_loss[served]}
    ).with_columns(mature=True)
    return sum_losses_by_block(rows, dt.date(2014, 1, 1), terms).filter("complete")


def _make_equal_streams(flights: FlightStream, names: tuple[str, ...]) -> Iterator[tuple[str, str, DailyDifferences]]:
    for name in names:
        for loss in ("log_loss", "brier"):
            world = _sum_by_day(flights, name, loss).resample_equal(STREAMS, STREAM_DAYS, np.random.default_rng(1))
            yield name, loss, world


def _sum_by_day(flights: FlightStream, name: str, loss: str) -> DailyDifferences:
    return DailyDifferences.of(
        flights.days, flights.compute_differences(flights.scores[flight_stream.LIVE_MODEL], flights.scores[name], loss)
    )


if __name__ == "__main__":
    main()
