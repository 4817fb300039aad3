"""What `penumbra labels` says beside its tables."""

import polars as pl

from penumbra.cli.reports.serving.label_report import LabelCounts, format_label_counts


def make_counts(*outcomes):
    rows = pl.DataFrame([("batch", outcome, 2) for outcome in outcomes], ["source", "outcome", "labels"], orient="row")
    return LabelCounts(24.0, pl.DataFrame(), pl.DataFrame(), pl.DataFrame(), rows, 0)


def test_orphans_are_explained_where_there_are_any():
    assert "An orphan is the label of a row that nobody has asked for yet" in " ".join(
        format_label_counts(make_counts("attached", "orphan"))
    )
    assert "An orphan" not in " ".join(format_label_counts(make_counts("attached")))
