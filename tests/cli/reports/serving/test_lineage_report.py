import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penumbra.cli.reports.serving.lineage_report import describe_flywheel_batches, format_explanation, format_lineage
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.data.flywheel_manifest import FlywheelManifest
from penumbra.logs import append_log
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries import lookup
from penumbra.registry.bundles.fetching import AbsentBundle, fetch_absent_bundle
from penumbra.registry.bundles.manifest import BrokenBundle, read_manifest, write_manifest
from penumbra.registry.lineage import explain_prediction
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.reviews.case_lineage import explain_reviewed_prediction
from problem import schema
from problem.schema import EXAMPLE
from tests.helpers.logs import prediction_logs, review_cases
from tests.helpers.models import registered_versions
from tests.helpers.servers import local_service

FACTS = {
    "candidate": "forest",
    "metrics": {"log_loss": 0.48},
    "settings": {"registry": {"tracking": "postgresql://me:secret@host/db"}},
    "revision": "3f1c2a90",
    "data_version": "afdb6797.dir",
    "train": ["2013-01"],
    "validation": ["2013-02"],
    "test": ["2013-03"],
}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a deployed version 1 that knows where it came from."""
    folder = tmp_path_factory.mktemp("explain")
    bundle = local_service.make_bundle(folder / "registry/1")
    write_manifest(bundle, {**read_manifest(bundle), **FACTS})
    local_service.deploy_version(folder, "1")
    return folder


@pytest.fixture(scope="module")
def client(deployed: Path) -> Iterator[Any]:
    with local_service.open_test_client(deployed) as http:
        yield http


@pytest.fixture
def name(client: Any) -> str:
    """The id of a new prediction."""
    return str(client.post("/predict", json=EXAMPLE).json()["prediction_id"])


def catch_up(folder: Path) -> Settings:
    settings = local_service.make_service_settings(folder)
    LogIndex.from_settings(settings, schema).catch_up()
    return settings


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **local_service.make_service_environment(folder)}
    return subprocess.run(
        [sys.executable, "-m", "penumbra.cli.app", "explain", *words],
        cwd=PROJECT_ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )


def test_the_chain_goes_from_the_answer_to_the_raw_batches(deployed: Path, name: str) -> None:
    model = explain_prediction(catch_up(deployed), name)["model"]
    assert (model["version"], model["run"], model["candidate"]) == ("1", "run-1", "forest")
    assert (model["revision"], model["data_version"]) == ("3f1c2a90", "afdb6797.dir")
    assert model["batches"] == ["2013-01", "2013-02", "2013-03"]


def test_no_password_of_the_settings_is_shown(deployed: Path, name: str) -> None:
    settings = explain_prediction(catch_up(deployed), name)["model"]["settings"]
    assert settings["registry"]["tracking"] == "postgresql://me:***@host/db"


def test_the_service_explains_as_the_command_does(client: Any, deployed: Path, name: str) -> None:
    answer = client.get(f"/explain/{name}")
    assert answer.status_code == 200
    told = explain_reviewed_prediction(review_cases.make_review_settings(deployed), name)
    assert answer.content == encode_json(told)


def test_the_labels_are_told_with_what_came_of_each(client: Any, deployed: Path, name: str) -> None:
    client.post("/feedback", json=[{"prediction_id": name, "arr_delay": minutes} for minutes in (3, 3, 42)])
    catch_up(deployed)
    labels = client.get(f"/explain/{name}").json()["labels"]
    assert labels["current"] == {"label": {"arr_delay": 42}, "target": True}
    assert [label["outcome"] for label in labels["history"][-3:]][1:] == ["duplicate", "correction"]
    assert labels["late"] is False
    assert "problem" not in labels


@pytest.mark.slow
def test_a_bundle_that_is_gone_is_fetched_from_the_registry_and_a_damaged_one_says_what_to_do(tmp_path: Path) -> None:
    models = ModelRegistry(registered_versions.make_registry_settings(tmp_path).registry)
    bundle = local_service.make_bundle(tmp_path / "registry/1", candidate="forest")
    models.register(models.record(FinishedRun("train", 0, 1), artifacts={"bundle": bundle}), "bundle", {})
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path) as http:
        name = http.post("/predict", json=EXAMPLE).json()["prediction_id"]
    shutil.rmtree(tmp_path / "state/bundles")
    shown = command(tmp_path, name)
    assert shown.returncode == 0, shown.stderr
    assert "model version  1: forest" in shown.stdout
    assert re.search(r"explanation  .*, expected ", shown.stdout), shown.stdout
    (damaged,) = tmp_path.glob("state/bundles/1/attributions.npz")
    damaged.chmod(0o644)
    damaged.write_bytes(b"PK")
    assert f"Remove {damaged.parent}: the version is fetched" in command(tmp_path, name).stdout


def test_a_bundle_that_nobody_has_is_one_sentence(tmp_path: Path) -> None:
    settings = registered_versions.make_registry_settings(tmp_path)
    with pytest.raises(AbsentBundle, match=r"the bundle of version 7 is not in .*, and the registry") as caught:
        fetch_absent_bundle(settings, "7")
    assert "Errno" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(BrokenBundle, match=r"bundle\.json: No such file or directory$"):
        read_manifest(tmp_path)


def test_a_prediction_without_a_label_says_so(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    assert explain_prediction(catch_up(tmp_path), name)["labels"] == {"current": None, "history": []}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([], "none yet: picked for review, waits for a person"),
        ([("ann", 42)], "none yet: picked for review, waits for a second person; answered by ann"),
        ([("bob", 42), ("ann", 3)], "none yet: picked for review, conflict; answered by ann, bob"),
    ],
)
def test_a_case_without_a_label_says_whom_it_waits_for(
    tmp_path: Path, answers: list[tuple[str, int]], words: str
) -> None:
    (name,) = review_cases.pick_predictions(tmp_path, reviewers=2)
    with review_cases.open_desk(tmp_path) as desk:
        for reviewer, minutes in answers:
            desk.record(review_cases.make_action(name, reviewer, minutes))
    catch_up(tmp_path)
    assert words in format_lineage(explain_reviewed_prediction(review_cases.make_review_settings(tmp_path), name))


def test_a_label_later_than_due_is_late(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    prediction_logs.log_labels(
        tmp_path, prediction_logs.make_label_by_id(name, 42, prediction_logs.NOON + prediction_logs.make_hours(24.5))
    )
    labels = explain_prediction(catch_up(tmp_path), name)["labels"]
    assert (labels["late"], labels["delay_hours"]) == (True, 24.5)


def test_a_label_that_was_there_before_its_answer_came_after_no_time(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    before = prediction_logs.NOON - prediction_logs.make_hours(24.5)
    prediction_logs.log_labels(tmp_path, prediction_logs.make_label_by_id(name, 42, before))
    shown = format_lineage(explain_prediction(catch_up(tmp_path), name))
    assert "arr_delay=42: target true; the first was there already" in shown


def test_a_label_of_people_says_who_why_and_how_sure_and_what_corrected_it(tmp_path: Path) -> None:
    (case,) = review_cases.pick_predictions(tmp_path)
    with review_cases.open_desk(tmp_path) as desk:
        desk.record(review_cases.make_action(case, "ann", 5, sureness="guess", note="<b>no</b> storm"))
    (given,) = explain_prediction(catch_up(tmp_path), case)["labels"]["history"]
    assert given["counts"]
    said = {"reviewers": ["ann"], "reasons": ["close call"], "probability": 0.25, "sureness": "guess"}
    assert given["review"] == {"prediction": case, **said, "note": "<b>no</b> storm"}
    tomorrow = dt.datetime.now(dt.UTC) + prediction_logs.make_hours(24)
    (later,) = prediction_logs.log_labels(tmp_path, prediction_logs.make_label_by_id(case, 42, tomorrow))
    facts = explain_prediction(catch_up(tmp_path), case)
    assert [label["counts"] for label in facts["labels"]["history"]] == [False, True]
    assert facts["labels"]["history"][0]["review"]["corrected_by"] == later
    shown = format_lineage(facts)
    assert "by ann (guess), picked with a chance of 0.25: close call" in shown
    assert "note: \\x3cb\\x3eno\\x3c/b\\x3e storm" in shown
    assert f"corrected by arr_delay=42 (feedback) at {tomorrow:%Y-%m-%d %H:%M}" in shown


def test_a_label_that_people_took_back_is_told_and_does_not_count(tmp_path: Path) -> None:
    (case,) = review_cases.pick_predictions(tmp_path)
    with review_cases.open_desk(tmp_path) as desk:
        desk.record(review_cases.make_action(case, "ann", 5))
        desk.record(review_cases.make_action(case, "ann", kind="undo", at=2))
    labels = explain_prediction(catch_up(tmp_path), case)["labels"]
    assert labels["current"] is None
    assert [label["outcome"] for label in labels["history"]] == ["attached", "taken back"]
    assert "corrected_by" not in labels["history"][0]["review"]


def test_an_index_that_is_behind_or_missing_is_owned_up_to(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    assert (
        "no readable index"
        in explain_prediction(local_service.make_service_settings(tmp_path), name)["labels"]["problem"]
    )
    catch_up(tmp_path)
    prediction_logs.log_labels(tmp_path, prediction_logs.make_label_by_id(name, 42))
    assert "behind" in explain_prediction(local_service.make_service_settings(tmp_path), name)["labels"]["problem"]


def test_a_version_that_is_not_here_is_named_all_the_same(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    model = explain_prediction(catch_up(tmp_path), name)["model"]
    assert (model["version"], "bundle" in model["problem"]) == ("7", True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("0" * 17 + "-0", "has no prediction"),
        ("nonsense", "is no prediction id"),
        ("..%2F..%2Fetc", "is no prediction id"),
        ("unlogged-1f", "could not be written"),
    ],
)
def test_an_unknown_id_is_a_404_in_words(client: Any, name: str, words: str) -> None:
    answer = client.get(f"/explain/{name}")
    assert answer.status_code == 404
    assert words in answer.json()["error"]


def test_other_methods_than_get_are_refused(client: Any) -> None:
    answer = client.post("/explain/x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_the_command_draws_the_chain(deployed: Path, name: str) -> None:
    result = command(deployed, name)
    assert result.returncode == 0
    links = ["prediction", "answer", "model version", "MLflow run", "settings", "git revision", "data version"]
    positions = [result.stdout.index(f"{link:>13}  ") for link in [*links, "raw batches", "label"]]
    assert positions == sorted(positions)


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


@pytest.mark.parametrize("words", [[""], ["nonsense"], ["0" * 17 + "-0"]])
def test_the_command_refuses_in_one_sentence(tmp_path: Path, words: list[str]) -> None:
    result = command(tmp_path, *words)
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1


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


def test_the_command_loads_nothing_heavy() -> None:
    code = "import sys, penumbra.cli.app, penumbra.cli.reports.serving.lineage_report, penumbra.registry.lineage; "
    code += "print(sorted({'mlflow', 'polars', 'numpy', 'onnxruntime'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


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


def test_explain_says_what_the_service_said_of_the_answer(client: Any, deployed: Path) -> None:
    answer = client.post("/predict?explain=true", json=EXAMPLE).json()
    told = msgspec.json.decode(command(deployed, answer["prediction_id"], "--json").stdout)
    assert told["explanation"] == answer["explanation"]
    shown = command(deployed, answer["prediction_id"]).stdout
    first = answer["explanation"]["attributions"][0]
    assert f"  explanation  probability {answer['probability']:.4f}, expected" in shown
    assert f"{first['attribution']:+.4f}  {first['feature']}={first['value']}\n" in shown


def test_explain_says_why_a_version_has_no_attributions(tmp_path: Path) -> None:
    made = local_service.make_bundle(tmp_path / "registry/1")
    (made / "attributions.npz").unlink()
    facts = read_manifest(made)
    del facts["sha256"]["attributions.npz"]
    write_manifest(made, facts)
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path) as http:
        name = http.post("/predict", json=EXAMPLE).json()["prediction_id"]
    shown = command(tmp_path, name).stdout
    assert "  explanation  none: it was made before attributions were recorded: train it again\n" in shown


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
