"""Tables have the columns of the contract, or are named with what they lack and with how they may be read."""

import polars as pl
import pytest

from flows.steps.score.parts.record_check import RowsRefused
from flows.steps.score.receipts import describe_receipts, format_receipts
from flows.steps.score.score_order import ScoreRefused, begin_tables, make_order
from flows.steps.score.scoring import score_tables
from problem import schema
from tests.flows.score.scored_flights import (
    make_flights,
    make_problem,
    make_score_settings,
    read_logged,
    score_files,
    write_flights,
)


@pytest.mark.slow
def test_columns_that_may_be_null_may_be_missing(folder):
    score_files(folder, write_flights(folder / "in.csv", make_flights().drop("temp", "visib")))
    assert {entry["record"]["temp"] for entry in read_logged(folder)} == {None}


@pytest.mark.slow
def test_a_column_that_is_missing_is_named_and_nothing_is_logged(folder):
    source = write_flights(folder / "in.csv", make_flights().drop("dest", "distance"))
    with pytest.raises(RowsRefused, match=r"in\.csv has no column dest, distance; it has carrier, flight, time_hour"):
        score_files(folder, source)
    assert read_logged(folder) == []


@pytest.mark.slow
def test_a_column_that_is_read_as_missing_is_named_with_those_that_nothing_reads(folder):
    flights = make_flights().rename({"temp": "temperature"}).with_columns(n=pl.lit(1))
    scored = score_files(folder, source := write_flights(folder / "in.csv", flights))
    said = "  no column temp: read as missing; not read: temperature, n"
    assert list(format_receipts(scored, schema))[1] == said
    assert said in list(format_receipts(score_files(folder, source), schema))
    assert describe_receipts(scored)[0]["missing"] == ["temp"]


@pytest.mark.slow
def test_columns_that_nothing_reads_are_not_spoken_of_where_none_is_missing(folder):
    source = write_flights(folder / "in.csv", make_flights().with_columns(n=pl.lit(1)))
    assert "not read" not in "".join(format_receipts(score_files(folder, source), schema))


@pytest.mark.slow
def test_a_separator_that_was_not_named_is_suggested(folder):
    make_flights().write_csv(folder / "in.csv", separator="\t")
    with pytest.raises(RowsRefused, match=r"it has '?carrier.*separates the names: .* or --separator \$'\\t'$"):
        score_files(folder, folder / "in.csv")


@pytest.mark.slow
def test_a_csv_file_without_a_quote_character_is_read_as_that_is_said(folder):
    flights = make_flights(5).with_columns(note=pl.lit('9" tall'))
    flights.write_csv(folder / "in.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ", quote_style="never")
    with pytest.raises(ValueError, match=r"in\.csv.*or quote=\"\" in the source, or --quote \"\" of a command"):
        score_files(folder, folder / "in.csv")
    settings = make_score_settings(folder)
    asked = make_order(settings.score, str(folder / "in.csv"), str(folder / "out.csv"), "", make_problem(), quote="")
    ((receipt, _),) = score_tables(settings, make_problem(), asked, begin_tables(settings, asked))
    assert receipt.facts.answered == 5


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        ({"separator": ";;"}, r"--separator is ';;': expected one ASCII character$"),
        ({"separator": ""}, r"--separator is '': expected one ASCII character$"),
        ({"encoding": ""}, r"--encoding is '': expected one of Python's"),
        ({"encoding": "rot13"}, r"--encoding is 'rot13': expected one of Python's"),
        ({"separator": "\n"}, r"--separator is '\\n'"),
        ({"separator": "·"}, r"--separator is '·'"),
        ({"quote": "''"}, r"--quote is \"''\": expected one ASCII character"),
        ({"encoding": "idna"}, r"--encoding is 'idna': expected one of Python's"),
        ({"encoding": "undefined"}, r"--encoding is 'undefined': expected one of Python's"),
        ({"encoding": "cp99"}, r"--encoding is 'cp99': expected one of Python's, such as cp1252"),
    ],
)
def test_an_order_that_can_not_be_read_by_is_refused(tmp_path, reading, reason):
    with pytest.raises(ScoreRefused, match=reason):
        make_order(make_score_settings(tmp_path).score, "in.csv", "out.csv", "", make_problem(), **reading)
