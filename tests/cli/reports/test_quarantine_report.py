"""The output of `penumbra quarantine`."""

import polars as pl

from penumbra.cli.reports.quarantine_report import describe_quarantine

REJECTED = pl.DataFrame(
    {
        "penumbra.batch": ["2013-02"] * 3,
        "penumbra.row": pl.Series([4, 9, 12], dtype=pl.UInt32),
        "penumbra.broken": [["temp|max"], ["temp|max", "carrier|dtype"], ["dewp_not_above_temp"]],
        "carrier": ["UA", "ZZ", "AA"],
        "temp": ["451", "452", "10"],
        "dewp": ["10", "10", "20"],
    }
)


def test_an_empty_quarantine_says_that_all_is_well():
    assert describe_quarantine([]) == "The quarantine is empty: every row of every batch keeps the contract."


def test_each_rule_is_counted_with_the_commonest_first():
    lines = describe_quarantine([REJECTED]).splitlines()
    assert lines[0] == "2013-02: 3 rows rejected"
    assert lines[1].startswith("  temp|max: 2 rows")


def test_the_first_row_that_broke_a_columns_rule_is_shown_with_its_original_value():
    assert "  carrier|dtype: 1 row, the first is row 9 with carrier = 'ZZ'" in describe_quarantine([REJECTED])


def test_a_rule_between_columns_shows_the_whole_row():
    assert "row 12 with carrier = 'AA', temp = '10', dewp = '20'" in describe_quarantine([REJECTED])
