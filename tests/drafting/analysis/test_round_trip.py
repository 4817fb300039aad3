"""Data that keep a known schema are drafted to a problem that accepts them all, and those of the next months, too."""

import datetime as dt
import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penumbra.drafting.analysis.problem_analysis import draft_problem
from tests.helpers.problems.drafted_orders import write_csv
from tests.helpers.problems.written_problems import count_broken_rules, load_written

ROWS_A_DAY, DAYS, LATER_DAYS = 8, 60, 30
FIRST_DAY = dt.date(2024, 3, 1)
FOLDERS = itertools.count()


def write_german(value):
    return f"{value:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")


# By kind of column: a function from a random generator to the text of one value.
KINDS = {
    "small": lambda draw: str(draw.randint(1, 40)),
    "large": lambda draw: str(draw.randint(0, 5_000_000)),
    "signed": lambda draw: str(draw.randint(-300, 50)),
    "whole floats": lambda draw: f"{draw.randint(0, 90)}.0",
    "shares": lambda draw: repr(draw.random()),
    "measures": lambda draw: f"{draw.gauss(20, 5):.3f}",
    "prices": lambda draw: f"{draw.lognormvariate(3, 0.5):.2f}",
    "dollars": lambda draw: f"${draw.uniform(1, 9000):,.2f}",
    "euros": lambda draw: f"{write_german(draw.uniform(1, 9000))} €",
    "percent": lambda draw: f"{draw.randint(0, 100)} %",
    "answers": lambda draw: draw.choice(["yes", "no"]),
    "flags": lambda draw: draw.choice("01"),
    "regions": lambda draw: draw.choice(["north", "south", "east, far", 'the "west"']),
    "cities": lambda draw: f"city {int(draw.paretovariate(1))}",
    "postcodes": lambda draw: f"{draw.randint(0, 120):05}",
    "births": lambda draw: (dt.date(1940, 1, 1) + dt.timedelta(days=draw.randint(0, 25_000))).strftime("%d.%m.%Y"),
    "signups": lambda draw: (dt.datetime(2023, 1, 1) + dt.timedelta(minutes=draw.randint(0, 600_000))).isoformat(" "),
    "hours": lambda draw: f"{draw.randint(0, 23):02}:{draw.randint(0, 59):02}",
    "remarks": lambda draw: " ".join(draw.choice(["late", "broken", "fine", "again"]) for _ in range(15)),
}
TARGETS = {
    "answer": lambda draw: draw.choice(["yes", "no", "no"]),
    "german": lambda draw: draw.choice(["ja", "nein", "nein"]),
    "class": lambda draw: draw.choice(["red", "green", "blue"]),
    "number": lambda draw: f"{draw.gauss(0, 10):.2f}",
}
TIMES = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%d/%m/%Y %H:%M:%S")


def make_table(draw, kinds, target, form, missing, days):
    """Rows of so many days: columns called after their kinds, a key, a time, a target, some with missing values."""
    moments = [
        dt.datetime.combine(FIRST_DAY + dt.timedelta(days=n // ROWS_A_DAY), dt.time(draw.randint(0, 23), n % 60))
        for n in range(days * ROWS_A_DAY)
    ]
    table = {"id": [f"A{n:06}" for n in range(len(moments))], "ordered": [each.strftime(form) for each in moments]}
    for kind in kinds:
        table[kind] = ["" if draw.random() < missing else KINDS[kind](draw) for _ in moments]
    return table | {"target": [TARGETS[target](draw) for _ in moments]}


def cut(table, rows):
    return {name: values[:rows] for name, values in table.items()}


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    kinds=st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=6, unique=True),
    target=st.sampled_from([*TARGETS]),
    form=st.sampled_from(TIMES),
    missing=st.sampled_from([0, 0.1]),
    separator=st.sampled_from([",", ";"]),
)
def test_rows_of_the_same_kind_are_accepted_now_and_later(tmp_path, seed, kinds, target, form, missing, separator):
    table = make_table(random.Random(seed), kinds, target, form, missing, DAYS + LATER_DAYS)
    folder = tmp_path / f"{next(FOLDERS)}"
    folder.mkdir()
    path = write_csv(folder / "data.csv", cut(table, DAYS * ROWS_A_DAY), separator=separator)
    draft = draft_problem(str(path), "target", time="ordered")
    assert [column.name for column in draft.columns if column.is_key] == ["id"]
    assert draft.source.time == "ordered"
    write_csv(path, table, separator=separator)
    with load_written(draft, folder, ("schema", "source", "features")) as problem:
        assert count_broken_rules(problem) == ({}, (DAYS + LATER_DAYS) * ROWS_A_DAY)


@pytest.mark.slow
def test_columns_of_every_kind_are_features_and_accepted_with_missing_values(tmp_path):
    table = make_table(random.Random(1), KINDS, "answer", "%Y-%m-%d", 0.1, DAYS)
    draft = draft_problem(str(write_csv(tmp_path / "data.csv", table)), "target", time="ordered")
    assert [column.name for column in draft.columns if column.role == "feature"] == [*KINDS][:-1]
    with load_written(draft, tmp_path, ("schema", "source", "features")) as problem:
        assert count_broken_rules(problem) == ({}, DAYS * ROWS_A_DAY)
