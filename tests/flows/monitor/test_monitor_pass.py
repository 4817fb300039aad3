"""A pass of `make monitor`: which windows it judges, once, and what it says of them."""

import datetime as dt
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from flows.steps.monitor import due_windows, window_summary
from flows.steps.monitor.monitor_pass import KnownModels, learn_model
from monitoring.losses.loss_threshold import StretchLoss
from monitoring.reports import window_figures
from monitoring.windows.window_records import ScoreReference, WindowLoss
from monitoring.windows.window_store import WindowStore
from penumbra.core.columns import LABEL_COLUMN
from penumbra.data.batches import DataStore
from penumbra.data.versioning import versions
from penumbra.logs.schema import PredictionEntry
from penumbra.registry.bundles import bundle
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.storage.work_lock import PassInProgress, hold_pass_lock
from tests.helpers.logs import prediction_logs
from tests.helpers.logs.prediction_logs import NOON
from tests.helpers.models import monitored_model as world
from tests.helpers.models import recorded_windows
from tests.helpers.models.monitored_model import DONE, ONE_DAY, PROBLEM, SECOND, WEEK, WINDOW_BEGIN, run_monitor_pass
from tests.helpers.models.registered_versions import read_ledger_entries
from tests.helpers.planted_secrets import PLANTED, find_planted_files
from tests.helpers.problems.regular_flights import make_regular_flights


@pytest.fixture
def folder(tmp_path: Path, calm: Path) -> Path:
    return Path(shutil.copytree(calm, tmp_path, dirs_exist_ok=True))


@pytest.mark.slow
def test_each_window_that_is_over_is_judged_once_however_late_the_pass_comes(folder: Path) -> None:
    assert run_monitor_pass(folder, DONE) == []
    found = world.read_windows(folder)
    assert [(each.begin, each.end) for each in found] == [(WINDOW_BEGIN, SECOND), (SECOND, SECOND + WEEK)]
    assert [(each.verdict, each.model, each.rows) for each in found] == [("ok", "1", 840)] * 2
    record = folder / "monitor/windows" / f"{WINDOW_BEGIN}.json"
    before = record.stat().st_mtime_ns
    assert run_monitor_pass(folder, DONE) == []
    assert record.stat().st_mtime_ns == before


@pytest.mark.slow
def test_each_window_is_said_as_it_is_judged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_monitor_pass(folder, DONE)
    assert capsys.readouterr().out.splitlines() == [
        f"{WINDOW_BEGIN} to {SECOND - ONE_DAY}: ok (1 of 2)",
        f"{SECOND} to {SECOND + WEEK - ONE_DAY}: ok (2 of 2)",
    ]


@pytest.mark.slow
def test_a_pass_writes_no_secret_of_its_settings_anywhere(folder: Path) -> None:
    assert run_monitor_pass(folder, DONE, every_days=1, webhook=f"https://hooks.example.org/{PLANTED}") != []
    recorded = [entry.settings["monitor"]["webhook"] for entry in read_ledger_entries(folder) if entry.settings]
    assert set(recorded) == {"https://hooks.example.org/***"}
    assert find_planted_files(folder) == []


@pytest.mark.slow
def test_after_a_change_of_features_a_version_is_watched_by_what_it_reads_itself(folder: Path) -> None:
    features = SimpleNamespace(FEATURES=PROBLEM.features.FEATURES[:3])
    changed = SimpleNamespace(**{**PROBLEM.loaded, "features": features})
    due_windows.judge_due_windows(world.make_monitor_settings(folder, DONE), changed)
    after = world.read_windows(folder)
    shutil.rmtree(folder / "monitor")
    run_monitor_pass(folder, DONE)
    before = world.read_windows(folder)
    assert [(each.verdict, each.columns, each.drift) for each in after] == [
        (each.verdict, each.columns, each.drift) for each in before
    ]
    assert "temp" in after[0].columns  # no feature of the changed code reads it


@pytest.mark.slow
def test_after_a_change_of_the_task_the_answers_of_an_earlier_version_are_passed_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = SimpleNamespace(**{**vars(PROBLEM.schema), "target": lambda: pl.col("arr_delay")})
    changed = SimpleNamespace(**{**PROBLEM.loaded, "schema": schema})
    due_windows.judge_due_windows(world.make_monitor_settings(folder, DONE), changed)
    assert world.read_windows(folder) == []
    assert "the answers of version 1 aren't watched: it was made for another task" in capsys.readouterr().out


@pytest.mark.slow
def test_a_window_says_what_is_known_of_its_rows(folder: Path) -> None:
    run_monitor_pass(folder, DONE)
    found = world.read_windows(folder)[0]
    assert found.loss
    assert found.loss.threshold
    assert found.estimated
    assert found.labels
    assert found.drift
    assert found.loss.low < found.loss.mean < found.loss.high < found.loss.threshold
    assert found.estimated.low < found.estimated.mean < found.estimated.high
    assert abs(found.estimated.mean - found.loss.mean) < 0.03
    assert (found.labels.due, found.labels.arrived, found.loss.labels) == (840, 840, 840)
    assert found.calibration is not None
    assert found.calibration < 0.1
    assert found.coverage
    assert found.coverage.low < found.coverage.mean < found.coverage.high
    assert (found.coverage.labels, found.coverage.promised) == (840, 0.9)
    assert 0 < found.drift.ratio < 1
    assert found.columns["temp"].threshold > 0
    assert found.slices == []


@pytest.mark.slow
def test_predictions_are_compared_with_the_version_s_own_earlier_days_and_until_then_it_is_said_that_they_arent(
    folder: Path,
) -> None:
    run_monitor_pass(folder, DONE)
    first, second = world.read_windows(folder)
    (unjudged,) = first.limits
    assert unjudged.startswith("drift of the predictions isn't judged yet")
    assert first.reason.endswith(unjudged)
    assert (first.prediction, first.compared) == (None, None)
    assert (second.compared, second.limits) == (ScoreReference(WINDOW_BEGIN, SECOND - ONE_DAY, 7, 7), [])
    assert second.prediction
    assert window_figures.describe_window(second)["drift of the predictions"].endswith(
        "; compared with the same version's scores of 7 days, 2013-04-04 to 2013-04-10; pictures show the bundle's "
        "reference"
    )


@pytest.mark.slow
def test_a_column_without_any_value_in_the_reference_ends_no_pass_whether_the_window_has_it_or_not(
    empty: Path,
) -> None:
    nothing = pl.lit(None, pl.Float64)
    reference = bundle.read_reference_rows(empty / "state/bundles/1")
    world.make_reference_bundle(empty, reference.with_columns(temp=nothing))
    days = (make_regular_flights(world.WINDOW_BEGIN_NUMBER + number) for number in range(7))
    world.log_monitored_days(empty, 14, {number: day.with_columns(temp=nothing) for number, day in enumerate(days)})
    run_monitor_pass(empty, DONE)
    without, appeared = world.read_windows(empty)
    assert without.estimated
    assert appeared.estimated
    assert "extrapolated" not in without.estimated.method
    assert "extrapolated" in appeared.estimated.method


@pytest.mark.slow
def test_rows_of_a_kind_that_never_gets_an_outcome_are_no_fault_and_no_drift(empty: Path) -> None:
    reference = bundle.read_reference_rows(empty / "state/bundles/1")
    never = pl.col("origin") == "JFK"
    unlabelled = reference.filter(never).with_columns(pl.lit(None, pl.Boolean).alias(LABEL_COLUMN))
    world.make_reference_bundle(empty, reference.filter(~never), unlabelled=unlabelled)
    world.log_monitored_days(empty, 7)
    run_monitor_pass(empty, DONE)
    (window,) = world.read_windows(empty)
    assert window.faults == []
    assert window.drift is not None
    assert window.drift.ratio < 1


@pytest.mark.slow
def test_a_window_that_isnt_over_is_not_judged(folder: Path) -> None:
    run_monitor_pass(folder, SECOND - ONE_DAY)
    assert world.read_windows(folder) == []


@pytest.mark.slow
def test_loss_waits_for_the_last_label_and_is_then_judged(folder: Path) -> None:
    run_monitor_pass(folder, SECOND)
    (early,) = world.read_windows(folder)
    assert (early.loss, early.drift is None) == (None, False)
    run_monitor_pass(folder, SECOND + ONE_DAY)
    (late,) = world.read_windows(folder)
    assert late.loss
    assert late.drift == early.drift


@pytest.mark.slow
def test_a_pass_that_knows_what_earlier_ones_have_learnt_and_has_a_thread_says_what_a_pass_by_itself_says(
    folder: Path,
) -> None:
    run_monitor_pass(folder, SECOND)
    run_monitor_pass(folder, SECOND + ONE_DAY)
    alone = world.read_windows(folder)
    shutil.rmtree(folder / "monitor" / "windows")
    with ThreadPoolExecutor(1) as beside:
        known = KnownModels(beside=beside)
        for day in (SECOND, SECOND + ONE_DAY):
            due_windows.judge_due_windows(world.make_monitor_settings(folder, day), PROBLEM, known)
    again = world.read_windows(folder)
    assert (known.watched.keys(), known.estimators.keys()) == ({"1"}, {"1"})
    assert len(known.watched["1"].row_faults) == 1
    assert [(each.loss, each.estimated, each.drift, each.explanation) for each in again] == [
        (each.loss, each.estimated, each.drift, each.explanation) for each in alone
    ]


@pytest.mark.slow
def test_a_model_that_was_learnt_ahead_is_not_loaded_by_a_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, known = world.make_monitor_settings(folder, SECOND), KnownModels()
    learn_model(settings, PROBLEM, known, "1")
    monkeypatch.delattr("flows.steps.monitor.measures.watched_model.load_watched_model")
    monkeypatch.delattr("monitoring.estimation.loss_estimator.LossModel.fit")
    due_windows.judge_due_windows(settings, PROBLEM, known)
    assert [(each.verdict, each.model) for each in world.read_windows(folder)] == [("ok", "1")]


@pytest.mark.slow
def test_the_candidate_is_shown_beside_the_live_model_with_a_noise_floor(tmp_path: Path, database: Path) -> None:
    world.make_live_model(tmp_path, database).set_alias("candidate", "2")
    world.log_monitored_days(tmp_path, 7, beside="2")
    run_monitor_pass(tmp_path, SECOND + ONE_DAY)
    shadow = world.read_windows(tmp_path)[0].shadow
    assert shadow
    assert shadow.rows == 840
    assert shadow.disagreement == pytest.approx(0.05)
    assert shadow.floor is not None


@pytest.mark.slow
def test_a_pass_killed_before_the_record_was_written_enters_nothing_twice(empty: Path) -> None:
    world.log_monitored_days(empty, 7, wrong=True)
    assert len(run_monitor_pass(empty, SECOND + ONE_DAY)) == 1
    (empty / "monitor/windows" / f"{WINDOW_BEGIN}.json").unlink()
    assert run_monitor_pass(empty, SECOND + ONE_DAY) == []
    assert world.read_windows(empty)[0].verdict == "retrain"
    assert len(read_ledger_entries(empty)) == 1


@pytest.mark.slow
def test_a_window_that_led_to_a_retraining_says_so_once_its_labels_are_judged_too(folder: Path) -> None:
    (alarm,) = run_monitor_pass(folder, SECOND, every_days=1)
    assert "version 1: retrain: age" in alarm
    settings = world.make_monitor_settings(folder, SECOND)
    for batch in DataStore(settings.data, PROBLEM).arrived():
        (settings.data.folder / "batches" / batch).mkdir(parents=True)
        (settings.data.folder / "batches" / batch / "flights.csv").write_text("a flight\n")
    trained = {"versions": {"candidate": "2"}, "data_version": versions.compute_data_version(settings.data)}
    open_ledger(settings).append(LedgerEvent(kind="verdict", verdict="pass", actor="ann", reason="gate", **trained))
    assert run_monitor_pass(folder, SECOND + ONE_DAY, every_days=1) == []
    (window,) = world.read_windows(folder)
    assert (window.verdict, window.loss is None) == ("retrain", False)


@pytest.mark.slow
def test_windows_of_a_version_that_was_deleted_are_left_out_and_the_others_judged(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.log_monitored_days(empty, 7, model="0")
    world.log_monitored_days(empty, 14, dict.fromkeys(range(7), make_regular_flights(0).clear()))
    run_monitor_pass(empty, DONE)
    assert [each.begin for each in world.read_windows(empty)] == [SECOND]
    assert f"{WINDOW_BEGIN} to 2013-04-10: version 0 is no longer in the registry" in capsys.readouterr().out


@pytest.mark.slow
def test_rows_that_stop_coming_are_one_alarm(folder: Path) -> None:
    (alarm,) = run_monitor_pass(folder, DONE + 5 * ONE_DAY)
    assert "the last rows are of 2013-04-17" in alarm
    assert run_monitor_pass(folder, DONE + 6 * ONE_DAY) == []


@pytest.mark.slow
def test_rows_of_far_days_end_no_pass_hide_no_silence_and_are_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = [dt.datetime.min, dt.datetime(1000, 1, 1), dt.datetime.now() + 40 * ONE_DAY, dt.datetime.max]
    records = [{**PROBLEM.schema.EXAMPLE, "time_hour": time.replace(tzinfo=dt.UTC)} for time in far]
    answers = [PredictionEntry(NOON, "contract", record, [], 0.25, False, "1", 80) for record in records]
    prediction_logs.log_predictions(folder, *answers)
    (alarm,) = run_monitor_pass(folder, DONE + 5 * ONE_DAY)
    assert "the last rows are of 2013-04-17" in alarm
    assert [each.begin for each in world.read_windows(folder)] == [WINDOW_BEGIN, SECOND]
    said, *windows = capsys.readouterr().out.splitlines()
    assert said.startswith("3 rows are left out, of days before 1900-01-01 or after ")
    assert "(0001-01-01, 9999-12-31)" in said
    assert len(windows) == 2
    assert run_monitor_pass(folder, DONE + 6 * ONE_DAY) == []


@pytest.mark.slow
def test_a_day_long_ago_is_one_window_and_those_without_rows_are_none(folder: Path) -> None:
    record = {**PROBLEM.schema.EXAMPLE, "time_hour": dt.datetime(1950, 1, 1, tzinfo=dt.UTC)}
    prediction_logs.log_predictions(folder, PredictionEntry(NOON, "contract", record, [], 0.25, False, "1", 80))
    begins = due_windows.find_due_windows(world.make_monitor_settings(folder, DONE), PROBLEM)[1].begins
    assert begins == [dt.date(1949, 12, 29), WINDOW_BEGIN, SECOND]


@pytest.mark.slow
def test_of_two_passes_at_once_one_says_so_and_leaves(folder: Path) -> None:
    with hold_pass_lock(folder / "monitor", "watch"), pytest.raises(PassInProgress, match="another pass is at it"):
        run_monitor_pass(folder, DONE)
    assert run_monitor_pass(folder, DONE) == []


def test_beside_a_live_model_without_ledger_and_answers_a_pass_stops(empty: Path) -> None:
    with pytest.raises(BrokenLedger, match=r"version 1 of .* is live in .* doesn't name it, and .* has no answer"):
        run_monitor_pass(empty, DONE)
    assert read_ledger_entries(empty) == []


def test_without_any_answers_there_is_nothing_to_judge(entered: Path) -> None:
    assert run_monitor_pass(entered, DONE) == []
    assert "No window is over yet" in window_summary.format_window_summary(
        world.make_monitor_settings(entered, DONE).monitor, DONE, [], ""
    )


def test_the_table_shows_the_loss_that_is_nearest_to_an_alarm_with_its_days(entered: Path) -> None:
    monitor = world.make_monitor_settings(entered, DONE).monitor
    loss = WindowLoss(100, 0.5, 0.4, 0.6, 0.7, longer=StretchLoss(56, 0.55, 0.52))
    WindowStore(monitor.folder).write(recorded_windows.make_window(0, loss=loss))
    table = window_summary.format_window_summary(monitor, DONE, [], "")
    assert "0.5500 of 0.5200, over the last 56 days" in table
    assert "of 0.7000" not in table


@pytest.mark.slow
def test_the_last_windows_are_shown_as_a_table(folder: Path) -> None:
    run_monitor_pass(folder, DONE)
    shown = window_summary.format_window_summary(
        world.make_monitor_settings(folder, DONE).monitor, DONE, ["it broke"], ""
    )
    expected = [[str(begin), "1", "840", "100%"] for begin in (WINDOW_BEGIN, SECOND)]
    assert [line.split()[:4] for line in shown.splitlines()[1:3]] == expected
    assert shown.endswith("New:\n  it broke")
