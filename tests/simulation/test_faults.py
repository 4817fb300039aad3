"""The data fault of a replay follows from the contract and the rows."""

import datetime as dt

import polars as pl
import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.simulation.replay.faults import choose_fault
from penumbra.simulation.replay.traffic import load_traffic
from tests.helpers.problems.orders import load_orders

FAULT_DAYS = (dt.date(2024, 2, 10), dt.date(2024, 2, 11))
KEYLESS = {"schema": [("dy.Int64(primary_key=True, min=1)", "dy.Int64(nullable=False, min=1)")]}
TWO_MONTHS = ("MONTHS = 6", "MONTHS = 2")


def choose_for_orders(folder, days=FAULT_DAYS, **changes):
    problem = load_orders(folder, **{**changes, "source": [TWO_MONTHS, *changes.get("source", ())]})
    data = load_settings(environ={}).data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    traffic = load_traffic(data, problem)
    rows = [traffic.select_day(day).requests for day in days]
    return problem, choose_fault(problem, traffic.select_days_before(days[0]), rows), rows


FEATURES = '(Category("region"), Number("amount"), Number("age"))'
TEXT = {"schema": [('dy.Enum(["north", "south", "west"])', "dy.String(nullable=False)")]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "amount has another unit (miles → kilometres)"),
        (KEYLESS, "amount has another unit (miles → kilometres)"),
        (
            {"features": [(FEATURES, '(Category("region"),)')]},
            "region is frozen: it has the day's first value in all rows",
        ),
        ({"features": [(FEATURES, '(Category("region"),)')], **TEXT}, "west in region is renamed to WEST"),
        ({"source": [("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 10")]}, "amount is missing from all rows"),
    ],
)
def test_the_fault_suits_the_columns(tmp_path, changes, words):
    _, fault, _ = choose_for_orders(tmp_path, **changes)
    assert fault.words.replace("north", "west").replace("south", "west").replace("NORTH", "WEST") == words


@pytest.mark.slow
def test_requests_with_the_fault_keep_the_contract_and_only_its_columns_differ(tmp_path):
    problem, fault, days = choose_for_orders(tmp_path)
    for rows in days:
        altered = fault.alter_rows(rows)
        assert problem.schema.Row.is_valid(altered)
        assert altered.drop(fault.columns).equals(rows.drop(fault.columns))
        assert not altered.select(fault.columns).equals(rows.select(fault.columns))


@pytest.mark.slow
def test_columns_that_a_check_ties_together_change_their_unit_together():
    problem = load_problem()
    names = problem.schema.Row.columns()
    hours = pl.datetime_range(dt.datetime(2013, 4, 1), dt.datetime(2013, 4, 30, 23), "12m", time_zone="UTC", eager=True)
    rows = pl.DataFrame({"time_hour": hours.cast(pl.Datetime("us", "UTC"))}).with_row_index("n")
    temp = 50.0 + (pl.col("n") * 7 % 30) * 0.18
    rows = rows.with_columns(
        carrier=pl.lit("UA"), flight=pl.col("n") % 9000 + 1, origin=pl.lit("EWR"), dest=pl.lit("IAH"),
        sched_dep_time=1715, sched_arr_time=2030, distance=1400, temp=temp, dewp=temp - 9.0,
    )  # fmt: skip
    rows = problem.schema.Row.cast(
        rows.with_columns(pl.lit(None).alias(name) for name in names if name not in rows.columns).select(list(names))
    )
    before, day = rows.filter(pl.col("time_hour").dt.day() < 29), rows.filter(pl.col("time_hour").dt.day() == 29)
    fault = choose_fault(problem, before, [day])
    assert fault.words == "temp and dewp have another unit (°F → °C)"


@pytest.mark.slow
def test_a_contract_whose_columns_cannot_vary_gets_no_fault(tmp_path):
    changes = {
        "schema": [
            ("age = dy.Int16(nullable=False, min=18, max=99)", "age = dy.Int16(nullable=False, min=30, max=30)")
        ],
        "features": [(FEATURES, '(Number("age"),)')],
        "source": [("draw.randint(18, 90)", "30")],
    }
    assert choose_for_orders(tmp_path, **changes)[1] is None
