"""A backtest of problems that aren't the example, in process: any task, with or without a key, or why not."""

import datetime as dt
import json

import numpy as np
import pytest

from penumbra.core.settings import SettingsError, load_settings
from penumbra.simulation.backtest import report
from penumbra.simulation.backtest.history import BacktestHistory
from penumbra.simulation.backtest.policies import RetrainingPolicy
from penumbra.simulation.backtest.prepared_data import BacktestRefused, prepare_backtest_data
from penumbra.simulation.backtest.trials import PolicyTrial, play_trial
from tests.helpers.problems.orders import load_orders

TARGET = 'return pl.col("churned")'
NUMBER = {
    "schema": [(TARGET, 'return pl.col("churned").cast(pl.Float64) * 5_000')],
    "candidates": [("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")],
}
CLASSES = {"schema": [(TARGET, 'return pl.col("churned").cast(pl.String).cast(pl.Enum(["false", "true"]))')]}
KEYLESS = {"schema": [("dy.Int64(primary_key=True, min=1)", "dy.Int64(nullable=False, min=1)")]}
HONOLULU = {"schema": [("dy.Datetime(nullable=False)", 'dy.Datetime(nullable=False, time_zone="Pacific/Honolulu")')]}
HONOLULU["source"] = [("strict=False),", 'strict=False, time_zone="Pacific/Honolulu"),')]
HONOLULU["schema"] += [("2024-03-01T12:00:00", "2024-03-01T12:00:00Z")]


LINEAR = """from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(SimpleImputer(), LogisticRegression())"""

AUGMENTED = """def copy_rows(rows: Any, columns: Columns, random: Any) -> Any:
    return rows.copy()


def augmented(columns: Columns) -> Any:
    from penumbra.patterns import Augmented

    return Augmented(boosting(columns), copy_rows, columns, random_state=1)


CANDIDATES = {"boosting": Candidate(augmented)}"""
UNPICKLABLE = AUGMENTED.replace("columns), copy_rows", "columns), lambda rows, columns, random: rows.copy()")


def make_settings(folder, today=dt.date(2024, 2, 1), **replay):
    loaded = load_settings(environ={})
    data = loaded.data.model_copy(update={"today": today, "folder": folder / "own", "derived": folder / "own-derived"})
    update = {"candidate": "boosting", **replay}
    return loaded.model_copy(update={"data": data, "replay": loaded.replay.model_copy(update=update)})


def load_short_orders(folder, **changes):
    return load_orders(folder, **{**changes, "source": [("MONTHS = 6", "MONTHS = 2"), *changes.get("source", ())]})


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, KEYLESS, CLASSES, NUMBER, HONOLULU], ids=["binary", "no key", "classes", "number", "zone"]
)
def test_policies_are_played_on_any_task(tmp_path, changes):
    settings = make_settings(tmp_path)
    history = prepare_backtest_data(settings, load_short_orders(tmp_path, **changes), tmp_path / "backtest")
    past = BacktestHistory(history, settings)
    never, drift = (
        play_trial(past, PolicyTrial(policy))
        for policy in (RetrainingPolicy("never"), RetrainingPolicy("weekly", every_days=7, on_drift=True, on_loss=True))
    )
    assert len(never.losses) == len(drift.losses) >= 28 * 60
    assert drift.run.count("retrain") >= 3
    loss = "squared_error" if changes is NUMBER else "log_loss"
    lines = report.format_result_table([never, drift], drift, loss).splitlines()
    assert lines[0].split()[0] == loss.split("_")[0].removesuffix("_") + ("-loss" if loss == "log_loss" else "")
    assert loss in json.loads(report.format_results_json([never], loss))["never"]


@pytest.mark.slow
def test_a_policy_comes_to_the_same_alone_and_after_others_on_the_same_history(tmp_path):
    settings = make_settings(tmp_path)
    history = prepare_backtest_data(settings, load_short_orders(tmp_path), tmp_path / "backtest")
    shared, watched = BacktestHistory(history, settings), {"on_drift": True, "on_loss": True, "tested": True}
    play_trial(shared, PolicyTrial(RetrainingPolicy("weekly", every_days=7, on_drift=True)))
    trial = PolicyTrial(RetrainingPolicy("ours", cooldown_days=1, **watched), {"shadow_days": 3})
    after, alone = (play_trial(past, trial) for past in (shared, BacktestHistory(history, settings)))
    assert after.run.events == alone.run.events
    assert np.array_equal(after.losses, alone.losses)
    assert after.cpu_seconds == alone.cpu_seconds


@pytest.mark.slow
def test_a_model_predicts_the_days_that_are_asked_for_and_each_once_for_all_processes(tmp_path):
    settings = make_settings(tmp_path)
    history = prepare_backtest_data(settings, load_short_orders(tmp_path), tmp_path / "backtest")
    past = BacktestHistory(history, settings)
    fit = past.fit(30, 0)
    rows, predictions = past.models.predict_days(fit, 44, 46)
    assert set(past.day[rows].tolist()) == {44, 45}
    assert (np.diff(rows) > 0).all()
    kept = {path.name: path.stat().st_mtime_ns for path in history.fits.glob("*.npz")}
    assert [name for name in kept if "block" in name] == ["30-0-block-3.npz"]
    again = BacktestHistory(history, settings).models.predict_days(fit, 44, 46)
    assert np.array_equal(again.predictions, predictions)
    assert {path.name: path.stat().st_mtime_ns for path in history.fits.glob("*.npz")} == kept


def prepare_augmented_orders(folder, candidates):
    changes = {"candidates": [('CANDIDATES = {"boosting": Candidate(boosting)}', candidates)]}
    return prepare_backtest_data(make_settings(folder), load_short_orders(folder, **changes), folder / "backtest")


@pytest.mark.slow
def test_an_estimator_that_cannot_be_pickled_is_played_as_one_that_can(tmp_path):
    policy = RetrainingPolicy("ours", every_days=7, on_drift=True, on_loss=True, tested=True)
    picklable, unpicklable = (
        play_trial(BacktestHistory(history, make_settings(tmp_path)), PolicyTrial(policy))
        for history in (
            prepare_augmented_orders(tmp_path / "named", AUGMENTED),
            prepare_augmented_orders(tmp_path / "lambda", UNPICKLABLE),
        )
    )
    assert unpicklable.run.events == picklable.run.events
    assert np.array_equal(unpicklable.losses, picklable.losses)


@pytest.mark.slow
def test_an_estimator_that_cannot_be_pickled_predicts_for_all_processes_where_it_is_fitted(tmp_path):
    history, settings = prepare_augmented_orders(tmp_path, UNPICKLABLE), make_settings(tmp_path)
    fit = BacktestHistory(history, settings).fit(30, 0)
    kept = {path.name: path.stat().st_mtime_ns for path in history.fits.glob("*.npz")}
    assert {f"30-0-block-{number}.npz" for number in (1, 2, 3, 4)} <= kept.keys()
    read = BacktestHistory(history, settings).models.predict_days(fit, 16, 60)
    assert {path.name: path.stat().st_mtime_ns for path in history.fits.glob("*.npz")} == kept
    (history.fits / "30-0-block-3.npz").unlink()
    again = BacktestHistory(history, settings).models.predict_days(fit, 16, 60)
    assert np.array_equal(again.predictions, read.predictions)


@pytest.mark.slow
def test_too_few_days_before_today_are_a_sentence(tmp_path):
    problem, settings = load_short_orders(tmp_path), make_settings(tmp_path, dt.date(2024, 1, 3))
    with pytest.raises(BacktestRefused, match=r"data.today = 2024-01-03 the labels of the first 1 of these"):
        prepare_backtest_data(settings, problem, tmp_path / "backtest")


@pytest.mark.slow
def test_nothing_to_play_after_today_is_a_sentence(tmp_path):
    problem, settings = load_short_orders(tmp_path), make_settings(tmp_path, dt.date(2024, 6, 1))
    said = r"from 2024-01-01 to 2024-02-29, and data.today is 2024-06-01: .*; say `PENUMBRA_DATA__TODAY=2024-01-30 pen"
    with pytest.raises(BacktestRefused, match=said):
        prepare_backtest_data(settings, problem, tmp_path / "backtest")


def test_an_unknown_candidate_is_a_sentence(tmp_path):
    with pytest.raises(SettingsError, match=r"replay.candidate names forest: problem/candidates.py has boosting"):
        prepare_backtest_data(make_settings(tmp_path, candidate="forest"), load_short_orders(tmp_path), tmp_path / "b")


@pytest.mark.slow
def test_a_model_that_cannot_be_fitted_is_named_with_its_days(tmp_path):
    changes = {
        "source": [("churned = draw.random() < 1 / (1 + math.exp(-leaning))", "churned = day.month == 2")],
        "candidates": [("from sklearn.ensemble import HistGradientBoostingClassifier", LINEAR)],
    }
    problem, settings = load_short_orders(tmp_path, **changes), make_settings(tmp_path)
    history = prepare_backtest_data(settings, problem, tmp_path / "backtest")
    with pytest.raises(BacktestRefused, match="boosting on the rows before 2024-01-31 can't be fitted"):
        play_trial(BacktestHistory(history, settings), PolicyTrial(RetrainingPolicy("never")))


@pytest.mark.slow
def test_one_day_of_rows_a_month_makes_one_model_a_month(tmp_path):
    monthly = {"source": [("for day in days:", "for day in days[:1]:"), ("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 300")]}
    problem, settings = load_orders(tmp_path, **monthly), make_settings(tmp_path, dt.date(2024, 4, 1))
    history = prepare_backtest_data(settings, problem, tmp_path / "backtest")
    result = play_trial(BacktestHistory(history, settings), PolicyTrial(RetrainingPolicy("weekly", every_days=7)))
    assert result.run.count("retrain") == 2
    assert np.isfinite(result.losses).all()
    assert len(set(result.run.served.values())) == 3
