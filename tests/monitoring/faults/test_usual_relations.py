"""What belongs together in the rows of a reference, and what only seems to."""

import datetime as dt

import polars as pl

from monitoring.faults.usual_relations import learn_constants, learn_shared_keys
from penumbra.core.columns import DAY_COLUMN

NOON = dt.datetime(2024, 1, 1, 12)
PLACES = ["a", "b", "c", "d", "e"] * 8


def make_rows(moments: int, times: int) -> pl.DataFrame:
    """A moment an hour, with a number of its own that each of its rows has, and rows that differ by their key alone."""
    rows = [(n, NOON + dt.timedelta(hours=n // times), float(n // times), "x", "y") for n in range(moments * times)]
    return pl.DataFrame(rows, ["id", "at", "temp", "place", "kind"], orient="row")


def test_a_number_that_rows_of_a_moment_share_is_learnt_whatever_other_columns_follow():
    assert learn_shared_keys(make_rows(24, 2), "at", ["temp"], ["place", "kind"]) == {"temp": ("at",)}


def test_rows_that_are_there_twice_share_nothing_with_a_moment():
    rows = make_rows(24, 1)
    assert learn_shared_keys(pl.concat([rows, rows]), "at", ["temp"], ["place"]) == {}


def test_a_number_that_one_column_tells_is_learnt_whatever_other_columns_follow():
    distances = [100.0 + 7 * PLACES.index(place) for place in PLACES]
    days = [1 + n // 5 for n in range(40)]
    rows = pl.DataFrame({"to": PLACES, "kind": ["x", "y"] * 20, "distance": distances, DAY_COLUMN: days})
    assert {name: by for name, (by, _) in learn_constants(rows, ["distance"], ["to", "kind"]).items()} == {
        "distance": ("to",)
    }
