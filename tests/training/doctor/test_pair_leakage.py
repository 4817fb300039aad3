import numpy as np
import polars as pl
import pytest
from hypothesis import given

from penumbra.training.doctor.pair_leakage import find_pair_leaks
from tests.training.doctor.test_leakage import SEEDS, columns_of, noise


def matches(rows=2000):
    random = np.random.default_rng(3)
    goals = {name: random.poisson(rate, rows).astype(float) for name, rate in (("home", 1.6), ("away", 1.2))}
    teams = {name: random.choice(list("abcdefgh"), rows) for name in ("winner", "host")}
    others = {name: random.normal(size=rows) for name in ("wind", "rain", "noise", "heat")}
    return pl.DataFrame({**others, **goals, **teams, "price": random.gamma(3, 10, rows), "items": goals["home"] + 1})


def find(frame, target):
    return find_pair_leaks(frame, frame.select(label=target)["label"])


@pytest.mark.parametrize(
    ("target", "pair", "words"),
    [
        (pl.col("home") > pl.col("away"), "home, away", "home - away"),
        (pl.col("wind") > pl.col("rain") + 0.5, "wind, rain", "wind - rain"),
        (pl.col("wind") + pl.col("rain") > 1, "wind, rain", "wind + rain"),
        (pl.col("price") > 12 * pl.col("items"), "price, items", "price / items"),
        (pl.col("price") * pl.col("items"), "price, items", "price · items"),
        (pl.col("winner") == pl.col("host"), "winner, host", "winner = host"),
        ((pl.col("home") - pl.col("away")).sign().cast(pl.String), "home, away", "home - away"),
        (pl.col("wind") > pl.col("rain") + 2, "wind, rain", "wind - rain"),
        ((pl.col("home") - pl.col("away")).abs() == 1, "home, away", "home - away"),
    ],
    ids=[
        "a win",
        "a distance",
        "a sum",
        "a ratio",
        "a product",
        "the same text",
        "one of three classes",
        "a rare one",
        "stripes",
    ],
)
def test_two_features_that_tell_the_target_once_compared_are_a_leak(target, pair, words):
    frame = matches().drop("home" if "items" in pair else "items")
    found = find(frame, target)
    assert columns_of(found) == [pair]
    assert f"of {words} its" in found[0].evidence
    assert "ROC AUC 1.0000 on the later 1,000 rows" in found[0].evidence


def test_where_one_of_them_is_missing_in_some_rows_it_is_a_leak_all_the_same():
    frame = matches().drop("items")
    gaps = frame.with_columns(pl.when(pl.int_range(pl.len()) % 20 > 0).then(pl.col("away")))
    assert columns_of(find_pair_leaks(gaps, frame["home"] > frame["away"])) == ["home, away"]


def test_what_tells_the_target_alone_is_no_pair():
    frame = matches()
    assert find(frame.with_columns(copy=pl.col("wind") > 0), pl.col("wind") > 0) == []


def test_two_strong_features_that_leave_doubt_are_no_leak():
    frame = matches()
    doubt = pl.lit(pl.Series(np.random.default_rng(4).normal(0, 0.2, frame.height)))
    assert find(frame, pl.col("wind") - pl.col("rain") + doubt > 0) == []


@pytest.mark.slow
@given(SEEDS)
def test_independent_features_tell_nothing_once_compared(seed):
    assert find_pair_leaks(*noise(seed)) == []


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_hardly_any_rows_tell_nothing_once_compared(size):
    assert find_pair_leaks(*noise(7, size)) == []


@pytest.mark.parametrize("label", [list("abcdefgh") * 20, [1, 2, 3, 4] * 40], ids=["text", "whole numbers"])
def test_classes_that_are_all_rare_are_told_by_no_pair(label):
    frame = matches(len(label))
    assert find_pair_leaks(frame, pl.Series("label", label)) == []
