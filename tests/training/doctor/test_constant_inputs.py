"""Features that vary among rows without an outcome alone."""

import polars as pl

from penumbra.training.doctor.notes import note_constant_inputs


def test_a_feature_that_varies_only_among_rows_without_an_outcome_is_noted():
    rows = pl.DataFrame({"code": ["MDC", "MDC", "other"], "note": [None, None, "x"], "amount": [1.0, 2.0, 3.0]})
    said = (
        "{} has {} in all 2 rows with an outcome, and others in rows without one: no model learns anything from it, "
        "and those are rows of another kind"
    )
    expected = [said.format("code", "the value 'MDC'"), said.format("note", "no value")]
    assert list(note_constant_inputs(rows, rows.head(2))) == expected


def test_a_feature_that_is_constant_in_all_rows_is_no_note_as_it_is_a_finding():
    rows = pl.DataFrame({"code": ["MDC", "MDC", "MDC"]})
    assert list(note_constant_inputs(rows, rows.head(2))) == []
