import datetime as dt
import functools
import zipfile
from itertools import chain

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import problem.schema as contract
from penumbra.core.columns import INPUTS_COLUMN, LABEL_COLUMN
from penumbra.core.encoding import derive_features
from penumbra.features import NotAbove, ValidClock
from penumbra.patterns.candidate import Candidate
from penumbra.training.fit import build_matrix, select_labelled_rows
from penumbra.training.onnx.compile import compile_model, measure_parity
from penumbra.training.release import add_missing_values
from problem import source
from problem.candidates import CANDIDATES, baseline
from problem.features import FEATURES

MONTHS = [f"2013-{month:02}" for month in range(1, 13)]
KNOWN_ONLY_LATER = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"}
EXAMPLE = pl.DataFrame([contract.EXAMPLE]).with_columns(source.CONVERSIONS)
BREAKING = {
    ValidClock("sched_dep_time"): {"sched_dep_time": 1260},
    ValidClock("sched_arr_time"): {"sched_arr_time": 2099},
    NotAbove("dewp", "temp"): {"temp": 40.0, "dewp": 41.0},
}


@pytest.fixture(scope="module")
def months():
    return {month: source.fetch(month) for month in MONTHS}


def whole(name):
    folder = source._folder()
    packed = folder / f"{name}.zip"
    return zipfile.ZipFile(packed).read(name) if packed.exists() else (folder / name).read_bytes()


# The source


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flights.csv", "weather.csv"])
def test_the_months_have_every_line_of_the_source_once_byte_for_byte(months, name):
    header, *lines = whole(name).splitlines(keepends=True)
    slices = [month[name].splitlines(keepends=True) for month in months.values()]
    assert {first for first, *_ in slices} == {header}
    assert sorted(chain.from_iterable(rest for _, *rest in slices)) == sorted(lines)


@pytest.mark.slow
def test_every_flight_of_a_month_is_in_it_by_its_scheduled_date(months):
    dates = pl.read_csv(months["2013-02"]["flights.csv"], null_values="NA", infer_schema_length=None).select(
        "year", "month"
    )
    assert dates.unique().rows() == [(2013, 2)]


@pytest.mark.slow
def test_fetching_twice_gives_the_same_bytes(months):
    assert source.fetch("2013-03") == months["2013-03"]


def test_the_batches_are_the_months_each_complete_on_the_first_day_after_it():
    batches = source.batches()
    assert [batch.name for batch in batches] == MONTHS
    assert [batch.complete - dt.timedelta(days=1) for batch in batches][:2] == [
        dt.date(2013, 1, 31),
        dt.date(2013, 2, 28),
    ]
    assert batches[-1].complete == dt.date(2014, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("month", "flights", "cancelled"), [("2013-01", 27004, 606), ("2013-02", 24951, 1340), ("2013-03", 28834, 932)]
)
def test_january_to_march_keep_the_contract(months, month, flights, cancelled):
    rows, broken = contract.Labelled.filter(source.parse(months[month]).with_columns(source.CONVERSIONS), cast=True)
    assert (rows.height, broken.counts(), rows["arr_delay"].null_count()) == (flights, {}, cancelled)


@pytest.mark.slow
def test_parsing_keeps_the_order_and_number_of_the_flights(months):
    lines = pl.read_csv(months["2013-01"]["flights.csv"], infer_schema=False)
    assert source.parse(months["2013-01"])["flight"].equals(lines["flight"])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "flights.csv is missing; the batch has no files"),
        ({"flights.csv": b"carrier,flight\n"}, "flights.csv has no column time_hour, .*; it has carrier, flight"),
        ({"flights.csv": b""}, "flights.csv is not readable as CSV"),
        ({"flights.csv": b"PK\x03\x04" + bytes(range(256))}, "flights.csv is not readable as CSV"),
    ],
)
def test_what_cannot_be_parsed_is_refused_by_name(files, words):
    with pytest.raises(ValueError, match=words):
        source.parse(files)


@given(st.binary(max_size=60) | st.text(',"\n\r\0a1\ufeff', max_size=30).map(str.encode))
def test_no_file_is_unreadable_in_another_way(content):
    with pytest.raises(ValueError, match=r"flights\.csv"):
        source.parse({"flights.csv": content})


# The contract


def test_the_example_keeps_the_contract():
    assert contract.Row.is_valid(EXAMPLE, cast=True)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.expectation)
def test_each_check_between_columns_is_a_rule_of_the_contract(check):
    broken = EXAMPLE.with_columns(**{name: pl.lit(value) for name, value in BREAKING[check].items()})
    assert not contract.Row.is_valid(broken, cast=True)


def test_the_contract_has_no_column_that_is_known_only_later():
    assert set(contract.Row.columns()) & KNOWN_ONLY_LATER == set()


def test_the_outcome_is_the_only_column_that_labelled_rows_have_besides():
    assert set(contract.Labelled.columns()) - set(contract.Row.columns()) == {"arr_delay"}


@pytest.mark.parametrize(("minutes", "late"), [(15, False), (16, True), (-20, False), (None, None)])
def test_late_is_more_than_15_minutes_and_unknown_without_an_arrival(minutes, late):
    rows = pl.DataFrame({"arr_delay": [minutes]}, schema={"arr_delay": pl.Int16})
    assert rows.select(contract.target()).item() is late


# The features and the candidates


@pytest.mark.parametrize("kind", FEATURES, ids=lambda kind: kind.name)
def test_a_feature_reads_only_what_the_contract_knows_beforehand(kind):
    assert set(kind.columns) <= set(contract.Row.columns())


def test_features_have_names_of_their_own():
    assert len({kind.name for kind in FEATURES}) == len(FEATURES)


@pytest.fixture(scope="module")
def some_flights(months):
    """Inputs, labels and encoding of the flights of the first four days of March that arrived."""
    text = source.parse(months["2013-03"]).with_columns(source.CONVERSIONS).head(4000)
    rows = select_labelled_rows(contract.Labelled.validate(text, cast=True), contract.target())
    rows = rows.select(LABEL_COLUMN, "arr_delay", pl.struct(derive_features(FEATURES, rows)).alias(INPUTS_COLUMN))
    return rows, *build_matrix(rows, FEATURES)


RECIPES = {**CANDIDATES, "baseline": Candidate(baseline)}


@pytest.fixture(scope="module")
def learnt(some_flights):
    """Each candidate, fitted once."""
    return functools.cache(lambda name: fitted(name, some_flights))


def fitted(name, some_flights):
    rows, inputs, encoding = some_flights
    y = pl.col(LABEL_COLUMN) if RECIPES[name].learns is None else RECIPES[name].learns
    return RECIPES[name].make(encoding).fit(inputs, rows.select(y).to_series().to_numpy())


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_candidate_compiles_to_a_model_that_answers_the_same_also_where_values_are_missing(
    some_flights, learnt, name
):
    inputs = add_missing_values(some_flights[1], some_flights[2].categorical)
    assert measure_parity(learnt(name), compile_model(learnt(name), inputs.shape[1]), inputs) <= 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_candidate_learns_the_same_from_the_same_rows(some_flights, learnt, name):
    first, second = learnt(name), fitted(name, some_flights)
    assert compile_model(first, first.n_features_in_) == compile_model(second, second.n_features_in_)


@pytest.mark.slow
def test_the_baseline_says_the_base_rate(some_flights, learnt):
    rows, inputs, _ = some_flights
    said = learnt("baseline").predict_proba(inputs)[:, 1]
    np.testing.assert_allclose(said, rows[LABEL_COLUMN].mean())
