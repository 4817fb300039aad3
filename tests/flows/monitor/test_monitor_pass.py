"""A pass of `make monitor`: which windows it judges, what it enters, and what it asks for."""

import datetime as dt
import multiprocessing
import shutil
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from flows.steps.monitor import due_windows, retraining, window_summary
from flows.steps.monitor.monitor_pass import KnownModels
from monitoring.reports import window_figures
from monitoring.windows.window_records import ScoreReference
from penumbra.core.loading.problem_loading import load_problem
from penumbra.data.versioning import versions
from penumbra.logs.archiving.archive_health import save_archive_health
from penumbra.logs.lag import INDEX_METRICS_FILE
from penumbra.registry.bundles import bundle
from penumbra.registry.history.ledger import BrokenLedger, Ledger, LedgerEvent
from penumbra.storage.work_lock import PassInProgress, hold_pass_lock
from tests.helpers.logs import prediction_logs
from tests.helpers.models import monitored_model as world
from tests.helpers.models import registered_versions
from tests.helpers.models.monitored_model import ONE_DAY, WINDOW_BEGIN, read_ledger_entries, run_monitor_pass
from tests.helpers.planted_secrets import PLANTED, find_planted_files
from tests.helpers.problems.regular_flights import make_regular_flights
from tests.helpers.servers import local_service

PROBLEM = load_problem()

WEEK = 7 * ONE_DAY
SECOND = WINDOW_BEGIN + WEEK
DONE = SECOND + WEEK + ONE_DAY  # two windows are over, with all their labels


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """Two weeks in which nothing happens."""
    folder = tmp_path_factory.mktemp("calm")
    world.make_live_model(folder, database)
    world.log_monitored_days(folder, 14)
    return folder


@pytest.fixture
def folder(tmp_path: Path, calm: Path) -> Path:
    return Path(shutil.copytree(calm, tmp_path, dirs_exist_ok=True))


@pytest.fixture
def empty(tmp_path: Path, database: Path) -> Path:
    """A live model that hasn't answered anything."""
    world.make_live_model(tmp_path, database)
    return tmp_path


@pytest.fixture
def entered(empty: Path) -> Path:
    """One that the ledger knows, as it does of each that was trained."""
    registered_versions.append_earlier_event(empty, "promotion", "promote", live="1")
    return empty


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


def test_after_a_change_of_the_task_the_answers_of_an_earlier_version_are_passed_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = SimpleNamespace(**{**vars(PROBLEM.schema), "target": lambda: pl.col("arr_delay")})
    changed = SimpleNamespace(**{**PROBLEM.loaded, "schema": schema})
    due_windows.judge_due_windows(world.make_monitor_settings(folder, DONE), changed)
    assert world.read_windows(folder) == []
    assert "the answers of version 1 aren't watched: it was made for another task" in capsys.readouterr().out


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
    assert unjudged.startswith("predictions aren't judged yet: before this window")
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


def test_a_pass_that_knows_what_earlier_ones_have_learnt_says_what_a_pass_by_itself_says(folder: Path) -> None:
    run_monitor_pass(folder, SECOND)
    run_monitor_pass(folder, SECOND + ONE_DAY)
    alone, known = world.read_windows(folder), KnownModels()
    shutil.rmtree(folder / "monitor" / "windows")
    for day in (SECOND, SECOND + ONE_DAY):
        due_windows.judge_due_windows(world.make_monitor_settings(folder, day), PROBLEM, known)
    again = world.read_windows(folder)
    assert (known.watched.keys(), known.estimators.keys()) == ({"1"}, {"1"})
    assert [(each.loss, each.estimated, each.drift, each.explanation) for each in again] == [
        (each.loss, each.estimated, each.drift, each.explanation) for each in alone
    ]


@pytest.mark.slow
def test_labels_that_come_after_the_last_judgement_are_seen_once_the_window_s_record_is_gone(folder: Path) -> None:
    labels, late = folder / "labels", folder / "late"
    labels.rename(late)
    run_monitor_pass(folder, SECOND + ONE_DAY)
    shutil.rmtree(labels, ignore_errors=True)
    late.rename(labels)
    assert run_monitor_pass(folder, SECOND + ONE_DAY) == []
    (unseen,) = world.read_windows(folder)
    assert (unseen.labels and unseen.labels.arrived, unseen.loss) == (0, None)
    (folder / f"monitor/windows/{WINDOW_BEGIN}.json").unlink()
    run_monitor_pass(folder, SECOND + ONE_DAY)
    (seen,) = world.read_windows(folder)
    assert seen.labels
    assert seen.labels.arrived == seen.labels.due
    assert seen.loss


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


def frozen(number: int) -> pl.DataFrame:
    return make_regular_flights(world.WINDOW_BEGIN_NUMBER + number).with_columns(temp=pl.lit(50.0))


@pytest.mark.slow
def test_a_fault_that_lasts_for_weeks_is_one_alarm(empty: Path) -> None:
    world.log_monitored_days(empty, 14, {number: frozen(number) for number in range(5, 11)})
    (alarm,) = run_monitor_pass(empty, DONE)
    assert "temp has one value all day" in alarm
    first, second = world.read_windows(empty)
    assert [each.verdict for each in (first, second)] == ["investigate"] * 2
    assert {fault.day for fault in second.faults} == {SECOND + number * ONE_DAY for number in range(4)}
    (entry,) = read_ledger_entries(empty)
    assert (entry.verdict, entry.versions, entry.data_version) == ("investigate", {"live": "1"}, "data-1")


@pytest.mark.slow
def test_a_fault_that_comes_back_is_a_new_alarm(empty: Path) -> None:
    world.log_monitored_days(empty, 14, {number: frozen(number) for number in (1, 3, 8)})
    assert len(run_monitor_pass(empty, DONE)) == 2
    assert [len(entry.evidence["faults"]) for entry in read_ledger_entries(empty)] == [2, 1]


def test_a_fault_that_is_known_can_be_accepted(empty: Path) -> None:
    world.log_monitored_days(empty, 7, {1: frozen(1)})
    assert run_monitor_pass(empty, SECOND + ONE_DAY, accept=f"{WINDOW_BEGIN + ONE_DAY} temp, humid") == []
    assert world.read_windows(empty)[0].faults == []


def test_loss_beyond_its_threshold_asks_for_a_retraining_once_within_the_cool_down(empty: Path) -> None:
    world.log_monitored_days(empty, 14, wrong=True)
    (alarm,) = run_monitor_pass(empty, DONE, cooldown_days=14)
    assert alarm.startswith("2013-04-04 to 2013-04-10, version 1: retrain: loss")
    assert [each.verdict for each in world.read_windows(empty)] == ["retrain", "ok"]
    assert "the last retraining was on 2013-04-11" in world.read_windows(empty)[1].reason
    assert retraining.find_pending_verdict(read_ledger_entries(empty)) == read_ledger_entries(empty)[0]


def test_where_loss_has_risen_is_named_and_changes_no_verdict(empty: Path) -> None:
    world.log_monitored_days(empty, 7, wrong_at="JFK")
    run_monitor_pass(empty, SECOND + ONE_DAY, on_loss="false")
    (window,) = world.read_windows(empty)
    worst = window.slices[0]
    assert (window.verdict, worst.column, worst.value) == ("ok", "origin", "JFK")
    assert worst.low > worst.reference
    assert "loss where origin is JFK" in window_figures.describe_window(window)


@pytest.mark.slow
def test_a_pass_killed_before_the_record_was_written_enters_nothing_twice(empty: Path) -> None:
    world.log_monitored_days(empty, 7, wrong=True)
    assert len(run_monitor_pass(empty, SECOND + ONE_DAY)) == 1
    (empty / "monitor/windows" / f"{WINDOW_BEGIN}.json").unlink()
    assert run_monitor_pass(empty, SECOND + ONE_DAY) == []
    assert world.read_windows(empty)[0].verdict == "retrain"
    assert len(read_ledger_entries(empty)) == 1


@pytest.mark.slow
def test_killed_at_one_thing_it_writes_after_the_other_a_pass_ends_as_if_nothing_had_been(empty: Path) -> None:
    world.log_monitored_days(empty, 14, {number: frozen(number) for number in (1, 8)})
    for written in ("monitor/profiles.db", "ledger/ledger.jsonl", f"monitor/windows/{WINDOW_BEGIN}.json"):
        process = multiprocessing.get_context("spawn").Process(target=run_monitor_pass, args=(empty, DONE))
        process.start()
        local_service.wait_until((empty / written).exists, seconds=60)
        process.kill()
        process.join()
    run_monitor_pass(empty, DONE)
    assert [entry.evidence["window"]["begin"] for entry in read_ledger_entries(empty)] == [
        str(WINDOW_BEGIN),
        str(SECOND),
    ]
    assert [each.verdict for each in world.read_windows(empty)] == ["investigate"] * 2


def test_rows_that_stop_coming_are_one_alarm(folder: Path) -> None:
    (alarm,) = run_monitor_pass(folder, DONE + 5 * ONE_DAY)
    assert "the last rows are of 2013-04-17" in alarm
    assert run_monitor_pass(folder, DONE + 6 * ONE_DAY) == []


NO_FLIGHTS = make_regular_flights(0).clear()
A_SUNDAY = 2  # of the numbers of days
SUNDAYS, A_TUESDAY = (3, 10), 12  # counted from the first window on


@pytest.mark.slow
@pytest.mark.parametrize(("silent", "faults"), [(SUNDAYS, []), ((*SUNDAYS, A_TUESDAY), ["volume"])])
def test_a_day_without_rows_is_a_fault_unless_the_reference_has_none_on_such_days(
    tmp_path: Path, database: Path, silent: tuple[int, ...], faults: list[str]
) -> None:
    world.make_live_model(tmp_path, database, [each for each in world.REFERENCE_DAY_NUMBERS if each % 7 != A_SUNDAY])
    world.log_monitored_days(tmp_path, 14, dict.fromkeys(silent, NO_FLIGHTS))
    run_monitor_pass(tmp_path, DONE)
    assert [fault.what for each in world.read_windows(tmp_path) for fault in each.faults] == faults


def test_rows_that_come_every_fifth_day_stop_after_far_more_than_five(tmp_path: Path, database: Path) -> None:
    world.make_live_model(tmp_path, database, world.REFERENCE_DAY_NUMBERS[::5])
    world.log_monitored_days(tmp_path, 11, {number: NO_FLIGHTS for number in range(11) if number % 5})
    last = WINDOW_BEGIN + 10 * ONE_DAY
    said = [" ".join(run_monitor_pass(tmp_path, last + days * ONE_DAY)) for days in (8, 12)]
    assert [f"the last rows are of {last}" in each for each in said] == [False, True]


def test_who_is_behind_with_the_logs_is_an_alarm_of_the_pass(entered: Path) -> None:
    prediction_logs.log_labels(entered, prediction_logs.make_label_by_key(1, 42))
    (entered / "predictions").mkdir()
    (entered / "predictions" / INDEX_METRICS_FILE).touch()
    (alarm,) = run_monitor_pass(entered, DONE)
    assert "labels wait for the index, more than 60 s (labels.max_lag_seconds)" in alarm
    assert run_monitor_pass(entered, DONE) == []


@pytest.mark.slow
def test_a_day_with_few_rows_is_a_fault(empty: Path) -> None:
    world.log_monitored_days(empty, 14, {9: make_regular_flights(world.WINDOW_BEGIN_NUMBER + 9).head(30)})
    run_monitor_pass(empty, DONE)
    assert [fault.what for fault in world.read_windows(empty)[1].faults] == ["volume"]


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


@pytest.mark.slow
def test_the_last_windows_are_shown_as_a_table(folder: Path) -> None:
    run_monitor_pass(folder, DONE)
    shown = window_summary.format_window_summary(
        world.make_monitor_settings(folder, DONE).monitor, DONE, ["it broke"], ""
    )
    expected = [[str(begin), "1", "840", "100%"] for begin in (WINDOW_BEGIN, SECOND)]
    assert [line.split()[:4] for line in shown.splitlines()[1:3]] == expected
    assert shown.endswith("New:\n  it broke")


def asked(folder: Path) -> None:
    place = {"begin": str(WINDOW_BEGIN), "end": str(SECOND)}
    event = LedgerEvent(
        kind="verdict", verdict="retrain", actor="ann", reason="drift: temp", evidence={"window": place}
    )
    Ledger(folder / "ledger").append(event)


def test_a_retraining_that_fails_is_entered_and_not_tried_again_and_again(empty: Path) -> None:
    asked(empty)
    settings = world.make_monitor_settings(empty, DONE)
    said = retraining.respond_to_verdict(settings, PROBLEM, ingest=lambda: False, train=lambda reason: True)
    assert "the ingest failed" in said
    assert (read_ledger_entries(empty)[-1].kind, read_ledger_entries(empty)[-1].verdict) == ("retrain", "failed")
    assert retraining.respond_to_verdict(settings, PROBLEM, ingest=lambda: False, train=lambda reason: True) == ""


def test_a_training_whose_pass_was_killed_before_it_was_entered_is_entered_as_one(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(empty)
    versions = {"candidate": "2", "live": "1"}
    event = LedgerEvent(kind="verdict", actor="ann", reason="gate", verdict="pass", versions=versions)
    Ledger(empty / "ledger").append(event)
    monkeypatch.setattr(retraining.plan, "make_plan", lambda *_: None)
    monkeypatch.setattr(retraining.plan, "find_trained_version", lambda *_: "2")
    retraining.respond_to_verdict(world.make_monitor_settings(empty, DONE), PROBLEM, lambda: True, lambda reason: True)
    last = read_ledger_entries(empty)[-1]
    assert (last.kind, last.verdict, last.versions) == ("retrain", "trained", {"new": "2"})


def test_the_ledger_has_the_reason_that_a_flow_stopped_for(empty: Path) -> None:
    asked(empty)

    def stop() -> bool:
        raise retraining.FlowFailed("the source is away")

    retraining.respond_to_verdict(world.make_monitor_settings(empty, DONE), PROBLEM, stop, lambda reason: True)
    assert read_ledger_entries(empty)[-1].reason.endswith("the ingest failed, the source is away")


def test_without_a_verdict_nothing_is_trained(empty: Path) -> None:
    assert (
        retraining.respond_to_verdict(
            world.make_monitor_settings(empty, DONE), PROBLEM, ingest=lambda: 1 / 0 > 0, train=lambda reason: True
        )
        == ""
    )


def test_while_one_trains_another_does_not_begin(empty: Path) -> None:
    asked(empty)
    with hold_pass_lock(empty / "monitor", "retrain"), pytest.raises(PassInProgress):
        retraining.respond_to_verdict(
            world.make_monitor_settings(empty, DONE), PROBLEM, ingest=lambda: True, train=lambda reason: True
        )
    assert len(read_ledger_entries(empty)) == 1


def test_data_that_a_version_was_made_from_is_not_newer(empty: Path) -> None:
    early, later = (world.make_monitor_settings(empty, day) for day in (dt.date(2013, 1, 1), DONE))
    assert retraining.has_new_data(early.data, PROBLEM, [])
    (empty / "data/batches/2013-01").mkdir(parents=True)
    (empty / "data/batches/2013-01/flights.csv").write_text("a flight\n")
    gate = {"versions": {"candidate": "2"}, "data_version": versions.compute_data_version(early.data)}
    Ledger(empty / "ledger").append(LedgerEvent(kind="verdict", verdict="pass", actor="ann", reason="gate", **gate))
    assert not retraining.has_new_data(early.data, PROBLEM, read_ledger_entries(empty))
    assert retraining.has_new_data(later.data, PROBLEM, read_ledger_entries(empty))


def test_an_archiver_that_fails_is_an_alarm_once(entered: Path) -> None:
    settings = world.make_monitor_settings(entered, DONE)
    since = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
    save_archive_health(settings.service.predictions, ["DamagedArchive: a part", "OSError: disk"], since)
    reason = "the archiver fails since 2013-04-01 00:00 UTC, and the logs may fill the disk: DamagedArchive: a part"
    assert run_monitor_pass(entered, DONE) == [f"investigate: {reason} (and 1 more)"]
    assert run_monitor_pass(entered, DONE) == []
    assert read_ledger_entries(entered)[-1].verdict == "investigate"
