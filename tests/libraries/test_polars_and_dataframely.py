"""polars and dataframely."""

import inspect

import dataframely as dy
import polars as pl
import pytest


class Order(dy.Schema):
    number = dy.Int16(primary_key=True)


def test_dataframely_cuts_a_fraction_off_where_it_casts_to_an_integer():
    good, failure = Order.filter(pl.DataFrame({"number": [1.9]}), cast=True)
    assert (good["number"].to_list(), len(failure)) == ([1], 0)


def test_dataframely_rejects_every_row_of_a_repeated_key():
    good, failure = Order.filter(pl.DataFrame({"number": [1, 1, 2]}), cast=True)
    assert (good["number"].to_list(), len(failure)) == ([2], 2)


@pytest.mark.parametrize("dtype", [pl.Boolean, pl.Date])
def test_polars_casts_no_text_to_booleans_or_dates(dtype):
    with pytest.raises(pl.exceptions.InvalidOperationError):
        pl.Series(["true", "2024-01-31"]).cast(dtype, strict=False)


def test_polars_promises_no_order_of_rows_after_a_join():
    assert inspect.signature(pl.DataFrame.join).parameters["maintain_order"].default is None


def test_polars_holds_nan_for_larger_than_every_number():
    assert pl.Series([float("nan")]).gt(5).to_list() == [True]


def test_polars_reads_the_types_of_a_csv_from_its_first_100_rows():
    with pytest.raises(pl.exceptions.ComputeError):
        pl.read_csv("\n".join(["n", *["1"] * 100, "1.5"]).encode())


@pytest.mark.parametrize(
    ("dtype", "number"), [(pl.Datetime("us"), 2**63 - 1), (pl.Date, 2**31 - 1)], ids=["time", "date"]
)
def test_polars_panics_where_a_time_is_beyond_what_it_can_convert(dtype, number):
    times = pl.Series([number]).cast(pl.Int32 if dtype == pl.Date else pl.Int64).cast(dtype)
    with pytest.raises(pl.exceptions.PanicException):
        times.to_list()


def test_polars_takes_a_quotation_mark_behind_a_blank_for_text():
    assert pl.read_csv(b'a,b\n1, "x"\n')["b"].to_list() == [' "x"']
