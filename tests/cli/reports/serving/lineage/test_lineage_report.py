"""The lineage of an answer, and how it is drawn: from the answer to the raw batches."""

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penumbra.cli.reports.serving.lineage_report import describe_flywheel_batches, format_explanation, format_lineage
from penumbra.data.flywheel_manifest import FlywheelManifest
from penumbra.logs import append_log
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries import lookup
from penumbra.registry.lineage import explain_prediction
from problem import schema
from tests.cli.reports.serving.lineage.explaining import catch_up
from tests.helpers.logs import prediction_logs
from tests.helpers.servers import local_service

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.mark.slow
def test_the_chain_goes_from_the_answer_to_the_raw_batches(deployed: Path, name: str) -> None:
    model = explain_prediction(catch_up(deployed), name)["model"]
    assert (model["version"], model["run"], model["candidate"]) == ("1", "run-1", "forest")
    assert (model["revision"], model["data_version"]) == ("3f1c2a90", "afdb6797.dir")
    assert model["batches"] == ["2013-01", "2013-02", "2013-03"]


def test_no_password_of_the_settings_is_shown(deployed: Path, name: str) -> None:
    settings = explain_prediction(catch_up(deployed), name)["model"]["settings"]
    assert settings["registry"]["tracking"] == "postgresql://me:***@host/db"


def test_a_version_that_is_not_here_is_named_all_the_same(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    model = explain_prediction(catch_up(tmp_path), name)["model"]
    assert (model["version"], "bundle" in model["problem"]) == ("7", True)


def test_of_the_settings_those_are_shown_that_are_others_today(deployed: Path, name: str) -> None:
    facts = explain_prediction(catch_up(deployed), name)
    recorded = {"data": {"today": "2013-04-01"}, "review": {"per_day": 50}}
    for today, shown in (
        ({}, "data.today=2013-04-01  review.per_day=50"),
        (recorded, "as they are today"),
        (
            {**recorded, "data": {"today": "2013-05-01"}},
            f"as they are today, but for:\n{'':15}data.today=2013-04-01",
        ),
    ):
        model = {**facts["model"], "settings": recorded}
        assert f"     settings  {shown}\n" in format_lineage({**facts, "model": model, "settings": today})


def test_of_many_batches_the_first_and_the_last_are_named(deployed: Path, name: str) -> None:
    facts = explain_prediction(catch_up(deployed), name)
    batches = [f"2013-01-{day:02}" for day in range(1, 14)]
    for known, shown in (
        (batches[:12], " ".join(batches[:12])),
        ([*batches[1:], batches[0]], "2013-01-01 to 2013-01-13, 13 batches"),
    ):
        assert f"  raw batches  {shown}\n" in format_lineage({**facts, "model": {**facts["model"], "batches": known}})


def test_where_nobody_is_in_the_shadow_the_chain_waits_for_nobody(deployed: Path, name: str) -> None:
    shown = format_lineage(explain_prediction(catch_up(deployed), name))
    assert "       shadow  no other version has answered it\n" in shown


def test_a_flywheel_batch_says_who_labelled_it_and_what_its_rows_count(tmp_path: Path) -> None:
    batches = ["2013-01", "2013-01+flywheel-2013-02-01", "2013-01+flywheel-2013-03-01", "2013-01+flywheel-2013-04-01"]
    manifest = FlywheelManifest(
        begin=None, end=dt.date(2013, 2, 1), predictions=900, first="a", last="b", labels=("c", "d"),
        models={"1": 120}, origins={"outcome": 80, "people": 40}, late=0, of_source=0, unsigned=0, prevented=0,
        explored=0, reviewers={"ann": 30, "<bob>": 15}, largest_count=20.0,
    )  # fmt: skip
    for batch, content in zip(batches, [b"{}", msgspec.json.encode(manifest), b"{}"], strict=False):
        (tmp_path / "batches" / batch).mkdir(parents=True)
        (tmp_path / "batches" / batch / "manifest.json").write_bytes(content)
    first, second, damaged = describe_flywheel_batches(tmp_path, batches)
    assert first == f"{batches[1]}: of 900 answered rows 80 labelled by outcome, 40 labelled by people"
    assert second == "people: ann 30, \\x3cbob\\x3e 15; a row stands for up to 20"
    assert damaged.startswith(f"{tmp_path}/batches/{batches[2]}/manifest.json can't be read: ")
    assert describe_flywheel_batches(tmp_path / "gone", batches) == []


def test_the_drawing_of_a_version_that_knows_nothing_says_so(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    assert format_lineage(explain_prediction(catch_up(tmp_path), name)).count("not recorded") == 5


@pytest.mark.parametrize(
    ("uncertainty", "line"),
    [
        ({"coverage": 0.9, "set": [False, True]}, "no or yes: the set that holds the truth in 90% of the cases"),
        ({"coverage": 0.8, "set": ["rain"]}, "rain: the set that holds the truth in 80% of the cases"),
        (
            {"coverage": 0.9, "interval": [1.5, None]},
            "1.5 to any: the interval that holds the truth in 90% of the cases",
        ),
    ],
)
def test_the_chain_says_how_sure_the_answer_was(deployed: Path, name: str, uncertainty: Any, line: str) -> None:
    facts = explain_prediction(catch_up(deployed), name)
    assert "holds the truth" not in format_lineage(facts)
    assert line in format_lineage({**facts, "uncertainty": uncertainty})


def test_of_the_prediction_log_one_line_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        prediction_logs.log_predictions(tmp_path, *map(prediction_logs.make_prediction, range(1, 100)))
        for _ in range(3)
    ]
    opened: list[Path] = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *words: opened.append(path) or original(path, *words))
    assert append_log.find_entry_in_segments(tmp_path / "predictions", names[1][50]) is not None
    assert [path.stem for path in opened] == [names[1][50].split("-")[0]]


@pytest.mark.parametrize("query", [lookup.PREDICTION_QUERY, lookup.LABEL_HISTORY_QUERY, lookup.SHADOW_RESULTS_QUERY])
def test_every_question_to_the_index_is_a_search_and_no_scan(tmp_path: Path, query: str) -> None:
    LogIndex.from_settings(local_service.make_service_settings(tmp_path), schema).catch_up()
    with prediction_logs.make_index(tmp_path).open() as db:
        steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", ("x",))]
    tables = [step for step in steps if any(table in step for table in ("predictions", "labels", "shadow"))]
    assert tables
    assert all(step.startswith("SEARCH") for step in tables)


@pytest.mark.slow
def test_a_million_records_are_explained_as_one_is(tmp_path: Path) -> None:
    writer, entry = LogWriter(tmp_path / "predictions"), encode_json(prediction_logs.make_prediction(1))
    names = [name for _ in range(100) for name in writer.append([entry] * 10_000)]
    prediction_logs.log_labels(tmp_path, prediction_logs.make_label_by_id(names[500_000], 42))
    settings = catch_up(tmp_path)
    for name in (names[0], names[500_000], names[-1]):
        facts = explain_prediction(settings, name)
        assert facts["prediction"]["id"] == name
        assert facts["labels"]["current"]["label"] == {"arr_delay": 42}


def test_an_explanation_of_a_class_names_it_and_sums_up_what_is_small() -> None:
    attributions = [{"feature": f"f{n}", "value": None if n else 2.5, "attribution": 1 / (n + 1)} for n in range(12)]
    explained = {
        "scale": "margin",
        "explained_class": "dove",
        "expected": -1.0,
        "score": 2.1,
        "attributions": attributions,
    }
    first, second, third, *_, last = format_explanation(explained)
    assert first == "margin of dove 2.1000, expected -1.0000"
    assert (second, third, last) == ("+1.0000  f0=2.5", "+0.5000  f1=null", "+0.1742  2 others")
