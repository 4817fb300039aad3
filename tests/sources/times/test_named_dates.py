"""The date in a path is the most telling one; what may be read in two ways is refused."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.sources import TableFiles
from penumbra.sources.times.named_dates import find_named_date

DAYS = st.dates(dt.date(1700, 1, 1), dt.date(2199, 12, 31))


@pytest.mark.parametrize(
    ("name", "day", "period"),
    [
        ("orders-2024-03-05.csv", "2024-03-05", "day"),
        ("orders_20240305T1200.csv", "2024-03-05", "day"),
        ("2024/orders-2024-03-05.csv", "2024-03-05", "day"),
        ("2024/03/orders-20240305.csv", "2024-03-05", "day"),
        ("2024/03/05/part-00001.parquet", "2024-03-05", "day"),
        ("2024/0305.csv", "2024-03-05", "day"),
        ("orders-2024-3-5.csv", "2024-03-05", "day"),
        ("year=2024/month=3/day=5/a.parquet", "2024-03-05", "day"),
        ("2024/03/orders.csv", "2024-03-01", "month"),
        ("2023/2024-01.csv", "2024-01-01", "month"),
        ("2000_2024-06.csv", "2024-06-01", "month"),
        ("year=2024/month=3/a.parquet", "2024-03-01", "month"),
        ("202403_store7.csv", "2024-03-01", "month"),
        ("2024/orders.csv", "2024-01-01", "year"),
        ("2024/marketing.csv", "2024-01-01", "year"),
        ("orders-2024-final.csv", "2024-01-01", "year"),
        ("year=2024/part-00000-3f2a.snappy.parquet", "2024-01-01", "year"),
    ],
)
def test_the_most_telling_date_of_a_path_is_taken(name, day, period):
    assert find_named_date(name) == (dt.date.fromisoformat(day), period)


@pytest.mark.parametrize(
    "name",
    [
        "orders_05-03-2024.csv",
        "03-2024.csv",
        "orders-2024-Q1.csv",
        "2024W10.csv",
        "Q1_2024.csv",
        "year=2024/quarter=1/a.parquet",
        "orders-2024-3.csv",
        "2024/3/orders.csv",
        "2024-03-1.csv",
        "2024-02-31.csv",
        "2024-13-01.csv",
        "orders-mar-2024.csv",
        "2024/march.csv",
        "2023-2024.csv",
        "orders-2024-01-01-2024-01-31.csv",
        "05032024.csv",
        "orders.csv",
    ],
)
def test_a_date_that_is_not_certain_is_refused(name):
    with pytest.raises(ValueError, match=r"expected one such as orders-2024-03-05\.csv"):
        find_named_date(name)


@given(DAYS, st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y/%m/%Y-%m-%d", "%Y/x-%Y_%m_%d", "%Y-%m/%d"]))
def test_a_day_is_read_in_every_form_below_folders_of_its_month_and_year(day, form):
    path = day.strftime(form.replace("%Y", f"{day.year:04}"))
    assert find_named_date(f"{path}.csv.gz") == (day, "day")


def test_files_below_folders_of_years_are_in_the_batches_of_their_own_days(tmp_path):
    for year in (2023, 2024):
        (tmp_path / f"{year}").mkdir()
        for month in (3, 11):
            (tmp_path / f"{year}" / f"orders-{year}-{month:02}-15.csv").write_text("n\n1\n")
    source = TableFiles(tmp_path, time="day", dated_names=True)
    assert [batch.name for batch in source.batches()] == ["2023-03", "2023-11", "2024-03", "2024-11"]


def test_made_up_days_are_not_told_by_the_names_of_files(tmp_path):
    (tmp_path / "orders-2024-03-05.csv").write_text("n\n1\n2\n")
    source = TableFiles(tmp_path, time="day", rows_per_day=1)
    assert source.parse(source.fetch("2000-01"))["day"].to_list() == ["2000-01-01T00:00:00", "2000-01-02T00:00:00"]
