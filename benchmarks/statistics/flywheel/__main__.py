"""`penumbra bench flywheel`: what labels of people are worth, on three data sets; the last line is one JSON object."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.statistics.flywheel.coverage import (
    MADE_LIFTS,
    MADE_RATES,
    SIMULATIONS,
    Coverage,
    judge_stream,
    make_days,
    measure_coverage,
)
from benchmarks.statistics.flywheel.labelling import POLICIES, measure_all_labels, play_labelling
from benchmarks.statistics.flywheel.streams import ALL_DAYS, ANSWERED_DAYS, KNOWN_DAYS, RowStream, read_streams
from penumbra.core.text.tables import align_columns

SHARES = (1 / 12, 1 / 6, 1 / 3)  # of the answered rows that people label
SEEDS, FIRST_SEED = 4, 318_000  # the power of weights was chosen on others
COVERAGE_SEED = 118_000  # the interval of an error rate was chosen on others
SECONDS_PER_LABEL = 30  # of a person's time, assumed
AIM = 0.003  # of log-loss above the model that learnt all labels
REPORTED = ("by need", "by chance")
Losses = Mapping[str, np.ndarray]


def main() -> None:
    """Print the tables, and a JSON document in the last line."""
    streams = read_streams()
    print(
        f"Log-loss on days {ANSWERED_DAYS + 1} to {ALL_DAYS} above that of the model that learnt all labels: mean of "
        f"{SEEDS} seeds, and half\nof its 95 % interval. A label takes {SECONDS_PER_LABEL} s of a person's time."
    )
    reached = {name: measure_label_share(name, stream) for name, stream in streams.items()}
    covered = measure_real_coverage(streams)
    measure_made_coverage()
    print(
        json.dumps(
            {
                "labels_share": reached,
                "coverage_weighted": round(float(np.mean([each.weighted for each in covered])), 3),
                "coverage_naive": round(float(np.mean([each.naive for each in covered])), 3),
            }
        )
    )


def measure_label_share(
    name: str, stream: RowStream, shares: Sequence[float] = SHARES, seeds: int = SEEDS
) -> dict[str, float | None]:
    """Print the losses by number of labels.

    Args:
        name: The name of the data set.
        stream: Its rows.
        shares: The shares of the rows that people label, ascending.
        seeds: How often each is played.

    Returns:
        The first share with which the mean loss comes within `AIM` of all labels, by need with weights and by chance;
        None where none does.
    """
    least = measure_all_labels(stream)
    print(
        f"\n{name}: {len(stream.select_days(KNOWN_DAYS, ANSWERED_DAYS)):,} rows to label, model {stream.model!r}; "
        f"log-loss with all labels {least:.4f}, with none {measure_all_labels(stream, KNOWN_DAYS):.4f}"
    )
    played = [_play_policies(stream, share, seeds, least) for share in shares]
    rows = [_format_losses(share, *each) for share, each in zip(shares, played, strict=True)]
    print(align_columns([("labels", "share", "hours", *POLICIES), *rows], [False]), flush=True)
    return {name: _find_first_share(shares, [losses[name].mean() for _, losses in played]) for name in REPORTED}


def measure_real_coverage(streams: Mapping[str, RowStream], simulations: int = SIMULATIONS) -> list[Coverage]:
    """Print how often the interval of an estimated error rate holds the truth, on real days.

    Args:
        streams: The data sets by name.
        simulations: How many simulations of each.

    Returns:
        What was measured of each.
    """
    print(
        f"\nEstimated error rates of all rows of four weeks; {simulations:,} simulations each: how often the 95 % "
        "interval\nholds the truth, with weights and without"
    )
    covered = {name: measure_coverage(judge_stream(each), COVERAGE_SEED, simulations) for name, each in streams.items()}
    _print_coverage("data set", covered)
    return list(covered.values())


def measure_made_coverage(simulations: int = SIMULATIONS) -> list[Coverage]:
    """Print the same of made worlds with few errors and many, where rows with a reason are wrong as often or more.

    Args:
        simulations: How many simulations of each.

    Returns:
        What was measured of each.
    """
    print("\nThe same of a week of made days; a tenth of their rows has a reason")
    covered = {
        f"{rate:.0%} wrong, {lift} times as often where needed": measure_coverage(
            make_days(rate, lift, COVERAGE_SEED), COVERAGE_SEED, simulations
        )
        for rate in MADE_RATES
        for lift in MADE_LIFTS
    }
    _print_coverage("world", covered)
    return list(covered.values())


def _play_policies(stream: RowStream, share: float, seeds: int, least: float) -> tuple[int, Losses]:
    """How many labels there are, and by policy how far each seed's loss is above the least, float64 [seeds]."""
    played = {
        name: [play_labelling(stream, policy, share, FIRST_SEED + seed) for seed in range(seeds)]
        for name, policy in POLICIES.items()
    }
    count = played[REPORTED[0]][0][0]
    return count, {name: np.array([loss for _, loss in each]) - least for name, each in played.items()}


def _find_first_share(shares: Sequence[float], losses: Sequence[float]) -> float | None:
    return next((round(share, 3) for share, loss in zip(shares, losses, strict=True) if loss <= AIM), None)


def _format_losses(share: float, count: int, losses: Losses) -> list[str]:
    hours = count * SECONDS_PER_LABEL / 3600
    return [f"{count:,}", f"{share:.2f}", f"{hours:.0f}", *map(_format_interval, losses.values())]


def _format_interval(values: np.ndarray) -> str:
    from scipy.special import stdtrit

    half = stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.4f} ±{half:.4f}"


def _print_coverage(title: str, covered: Mapping[str, Coverage]) -> None:
    header = (title, "picked", "error rate", "weighted holds", "its width", "unweighted holds", "its mean")
    rows = [
        (
            name,
            f"{each.picked:.0f}",
            f"{each.rate:.3f}",
            f"{each.weighted:.3f}",
            f"{each.width:.3f}",
            f"{each.naive:.3f}",
            f"{each.naive_rate:.3f}",
        )
        for name, each in covered.items()
    ]
    print(align_columns([header, *rows]), flush=True)


if __name__ == "__main__":
    main()
