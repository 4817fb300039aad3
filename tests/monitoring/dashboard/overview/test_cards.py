"""Cards of the overview: the data and how old they are by the clock of this process, and what evidence rests on."""

from pathlib import Path

import pytest

from monitoring.dashboard.overview.cards import build_data_card, describe_evidence_size
from penumbra.core.settings import DataSettings, load_settings
from penumbra.sources import SqlQuery
from tests.helpers.problems.orders import load_orders


def make_data(folder: Path, today: str = "2024-03-06") -> DataSettings:
    """A data folder with one batch, and a pointer file beside it."""
    places = {"FOLDER": folder / "data", "DERIVED": folder / "derived", "TODAY": today}
    data = load_settings(environ={f"PENUMBRA_DATA__{name}": str(value) for name, value in places.items()}).data
    (data.folder / "batches/2024-02").mkdir(parents=True)
    data.folder.with_suffix(".dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n  path: data\n")
    return data


@pytest.mark.parametrize(
    ("today", "words"),
    [
        ("2024-03-06", "complete until 2024-03-01, 5 days before the flows' clock"),
        ("2024-03-01", "complete until 2024-03-01, 0 days before the flows' clock"),
        (
            "2023-12-31",
            "complete until 2024-03-01, 61 days after the flows' clock "
            "(data.today is 2023-12-31 here, and was later for the ingest)",
        ),
    ],
)
def test_the_age_of_the_data_is_a_sentence_on_the_clock_of_this_process(tmp_path: Path, today: str, words: str) -> None:
    """The clock of an ingest may have been set forward in its own environment."""
    assert dict(build_data_card(make_data(tmp_path, today), load_orders(tmp_path)).lines)["age"] == words


def test_a_source_that_is_away_leaves_the_card_with_the_batches_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = load_orders(tmp_path)
    monkeypatch.setattr(problem.source, "batches", lambda: SqlQuery("${GONE}", "", time="at").batches())
    lines = dict(build_data_card(make_data(tmp_path), problem).lines)
    assert lines["batches"] == "1: 2024-02 to 2024-02"
    assert "the environment variable GONE isn't set" in lines["age"]


def test_made_up_days_have_no_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = load_orders(tmp_path)
    source = SqlQuery("duckdb://", "select 1", time="at", has_made_up_days=True)
    monkeypatch.setattr(problem.source, "parse", source.parse)
    lines = dict(build_data_card(make_data(tmp_path), problem).lines)
    assert lines["age"] == "not known: the days are made up, as the rows have no time"


def test_what_evidence_rests_on_says_that_its_days_are_those_of_whole_blocks() -> None:
    assert describe_evidence_size({"days": 49, "labels": 700, "block_days": 7}) == "49 days in blocks of 7, 700 labels"
    assert describe_evidence_size({"days": 1, "labels": 1}) == "1 day, 1 label"
