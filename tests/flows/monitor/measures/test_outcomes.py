"""What came of a day: sums that are the rows', read one time, and kept as long as they hold."""

import datetime as dt
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows.steps.monitor.measures import outcomes as settling
from flows.steps.monitor.measures import window_signals
from flows.steps.monitor.measures.drift_signals import read_model_profiles
from flows.steps.monitor.measures.group_differences import measure_group_differences
from flows.steps.monitor.measures.outcomes import OutcomeReader
from flows.steps.monitor.measures.watched_model import load_watched_model
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from monitoring.losses.loss_threshold import DailyLosses
from penumbra.core.columns import ID_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, OutcomeSums, list_profiled_columns
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.logs.archiving import archive
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.daily.outcome_sums import OutcomeSumStore
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.daily.shadow_profiles import ShadowProfileStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labels import join_labels
from penumbra.logs.queries.samples import read_records_by_id
from penumbra.registry.bundles.bundle import Bundle
from penumbra.registry.models import ModelRegistry
from problem import features, schema
from tests.helpers.logs import prediction_logs
from tests.helpers.models import monitored_model as world
from tests.helpers.models.monitored_model import ONE_DAY, WINDOW_BEGIN

PROBLEM = load_checked_problem()

DAYS = 3
LATER = dt.datetime.combine(WINDOW_BEGIN + 10 * ONE_DAY, dt.time(), dt.UTC)
SUMS = OutcomeSums(9, 8, 7, 7, 3.5, 2.5, np.array([3, 4]), np.array([1.5, 2.0]), np.arange(6.0).reshape(3, 2))


def plain(outcomes: OutcomeSums) -> dict[str, object]:
    return {name: np.asarray(value).tolist() for name, value in vars(outcomes).items()}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    folder = tmp_path_factory.mktemp("answered")
    world.make_live_model(folder, database)
    world.log_monitored_days(folder, DAYS)
    return folder


@pytest.fixture
def folder(tmp_path: Path, answered: Path) -> Path:
    return Path(shutil.copytree(answered, tmp_path, dirs_exist_ok=True))


def reader(folder: Path, now: dt.datetime = LATER) -> OutcomeReader:
    settings = world.make_monitor_settings(folder, WINDOW_BEGIN)
    index = LogIndex.from_settings(settings, schema)
    index.catch_up()
    model = load_watched_model(settings, PROBLEM, ModelRegistry(settings.registry), "1")
    with index.open() as db:
        rows = dict(db.execute("SELECT date(event, 'unixepoch'), count(*) FROM predictions GROUP BY 1"))
    place = window_signals.WindowSpan(
        WINDOW_BEGIN,
        WINDOW_BEGIN + DAYS * ONE_DAY,
        now,
        {dt.date.fromisoformat(day): count for day, count in rows.items()},
    )
    binning = Binning.learn(model.reference, list_profiled_columns(features.FEATURES, schema.TIME))
    return OutcomeReader(settings, index, model, binning, place)


def came(folder: Path) -> list[dict[str, object]]:
    return [plain(day) for day in reader(folder).outcomes()]


@pytest.mark.slow
def test_sums_are_those_of_the_rows(folder: Path) -> None:
    made = reader(folder)
    rows = join_labels(made.index)
    said = extract_predictions(made.model.task, rows["output"])
    losses = compute_known_losses(
        made.model.task, made.settings.promotion.loss, rows["target"], said, made.model.ceiling
    )
    days = made.outcomes()
    whole = days[0] + days[1] + days[2]
    assert (whole.rows, whole.due, whole.arrived, whole.labels) == (rows.height,) * 4
    assert whole.loss == pytest.approx(losses.sum())
    assert whole.squares == pytest.approx((losses**2).sum())
    assert whole.covered == made.model.limits.find_covered(rows["target"].to_numpy(), said).sum() > 0
    assert whole.scores.sum(axis=1) == pytest.approx([rows.height, said.sum(), rows["target"].sum()])
    for place in made.binning.columns.values():
        assert whole.counts[place].sum() == rows.height
        assert whole.losses[place].sum() == pytest.approx(losses.sum())


@pytest.mark.slow
def test_a_day_whose_labels_are_there_is_read_one_time(folder: Path) -> None:
    before, again = reader(folder), came(folder)
    shutil.rmtree(folder / "predictions")
    shutil.rmtree(folder / "labels")
    assert [plain(day) for day in before.outcomes()] == again


@pytest.mark.slow
def test_a_day_that_waits_for_labels_is_read_again(folder: Path) -> None:
    soon = dt.datetime.combine(WINDOW_BEGIN + DAYS * ONE_DAY, dt.time(), dt.UTC)
    early = reader(folder, soon).outcomes()
    assert [day.labels > 0 for day in early] == [True, True, False]
    assert (early[2].rows, early[2].counts.sum(), early[2].due < early[2].rows) == (early[0].rows, 0, True)
    assert reader(folder).outcomes()[2].labels == early[2].rows


@pytest.mark.slow
def test_a_day_for_which_more_rows_come_is_read_again(folder: Path) -> None:
    (before, *_) = came(folder)
    world.log_monitored_days(folder, 1)
    (after, *_) = came(folder)
    assert after["rows"] == 2 * before["rows"]  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("typed", [False, True])
def test_rows_are_found_wherever_the_log_is_and_however_many_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, typed: bool
) -> None:
    expected = came(folder)
    shutil.rmtree(folder / "monitor")
    predictions = folder / "predictions"
    closed = archive.seal_closed_segments(predictions)
    columns = LogFrameReader(schema).read_archived if typed else None
    archive.compact_segments(predictions, closed, dt.datetime.now(dt.UTC).date() + ONE_DAY, columns)
    for path in closed:
        path.unlink()
    monkeypatch.setattr(settling, "MAX_ROWS_PER_READ", 50)
    for one, other in zip(came(folder), expected, strict=True):
        assert one.pop("losses") == pytest.approx(other.pop("losses"))  # rows in another order
        assert one == other


@pytest.mark.slow
def test_rows_that_the_log_has_no_more_are_in_no_bin_but_in_the_mean(folder: Path) -> None:
    made = reader(folder)
    for path in (folder / "predictions").iterdir():
        path.unlink()
    day = made.outcomes()[0]
    assert (day.labels > 0, day.loss > 0, day.counts.sum()) == (True, True, 0)


@pytest.mark.slow
def test_a_prediction_without_outcome_counts_for_nothing(folder: Path) -> None:
    (before, *_) = came(folder)
    (name,) = join_labels(LogIndex.from_settings(world.make_monitor_settings(folder, WINDOW_BEGIN), schema))[
        "id"
    ].to_list()[:1]
    prediction_logs.log_labels(folder, prediction_logs.make_label_by_id(name, None, LATER))
    shutil.rmtree(folder / "monitor")
    (after, *_) = came(folder)
    assert after["rows"] == before["rows"] - 1  # type: ignore[operator]


def test_what_is_kept_of_a_day_is_what_is_found(tmp_path: Path) -> None:
    kept = OutcomeSumStore(tmp_path, "7")
    assert kept.find(WINDOW_BEGIN, "terms") is None
    kept.save(WINDOW_BEGIN, "terms", SUMS)
    found = kept.find(WINDOW_BEGIN, "terms")
    assert found
    assert plain(found) == plain(SUMS)
    assert found.counts.dtype == np.int64
    assert OutcomeSumStore(tmp_path, "8").find(WINDOW_BEGIN, "terms") is None


def test_what_was_kept_on_other_terms_is_none(tmp_path: Path) -> None:
    OutcomeSumStore(tmp_path, "7").save(WINDOW_BEGIN, "terms", SUMS)
    assert OutcomeSumStore(tmp_path, "7").find(WINDOW_BEGIN, "others") is None


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    kept = OutcomeSumStore(tmp_path, "7")
    kept.save(WINDOW_BEGIN, "terms", SUMS)
    (path,) = (tmp_path / "settled/7").glob("*.msgpack")
    path.write_bytes(path.read_bytes()[:20])
    assert kept.find(WINDOW_BEGIN, "terms") is None


def test_what_came_of_days_adds_up() -> None:
    assert plain(SUMS + SUMS)["scores"] == (2 * SUMS.scores).tolist()
    assert (SUMS + SUMS).rows == 18


@pytest.mark.slow
def test_a_rise_that_a_window_can_t_show_alone_is_in_the_record_with_the_days_before(folder: Path) -> None:
    made = reader(folder)
    day = made.outcomes()[0]
    spread = np.random.default_rng(5).normal(0, 0.05, 120) + 0.4
    days = [replace(day, loss=mean * day.labels, squares=mean**2 * day.labels) for mean in spread.tolist()]
    worse = [replace(each, loss=each.loss * 1.1) for each in days[60:]]
    rows = np.full(60, float(day.labels))
    losses = DailyLosses(*(np.array([getattr(each, name) for each in days[:60]]) for name in ("loss", "squares")), rows)
    model = replace(made.model, losses=losses)
    alone, together = (
        window_signals.measure_losses(made.settings, worse[-7:], before, model, made.binning)["loss"]
        for before in ([], worse[-56:-7])
    )
    assert (alone.is_high, alone.longer, together.is_high) == (False, None, True)
    assert together.longer.days > 7
    assert together.threshold > together.mean


@pytest.mark.slow
@pytest.mark.parametrize("moved", [0.3, 0.0])
def test_the_references_losses_are_raised_by_what_the_live_fit_loses_more_on_its_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, moved: float
) -> None:
    monkeypatch.setattr(Bundle, "score", lambda _, rows: (rows[PREDICTION_COLUMN] + moved).clip(0, 1).to_numpy())
    model = reader(folder).model
    scored = extract_predictions(model.task, model.reference[PREDICTION_COLUMN])
    before, after = (
        compute_known_losses(model.task, "log_loss", model.reference[LABEL_COLUMN], each, model.ceiling)
        for each in (scored, np.clip(scored + moved, 0, 1))
    )
    assert model.excess == pytest.approx(after.mean() - before.mean())
    assert (model.excess > 0) == (moved > 0)
    assert model.losses.mean == pytest.approx(before.mean() + model.excess)


@pytest.mark.slow
def test_the_days_before_a_window_are_those_since_the_model_s_first_answer(folder: Path) -> None:
    made = reader(folder)
    profiles = ProfileStore(made.settings.monitor.folder, made.settings.service.predictions, schema)
    profiles.update(lambda _: made.model.profiled_reference)
    later = replace(made.span, begin=WINDOW_BEGIN + 7 * ONE_DAY, end=WINDOW_BEGIN + 14 * ONE_DAY)
    shadow = ShadowProfileStore(made.settings.monitor.folder, made.index)
    known = read_model_profiles(shadow, profiles, made.model, later)
    memory = window_signals.find_memory_span(made.settings.monitor, known, later)
    assert (memory.begin, memory.end) == (WINDOW_BEGIN, later.begin)
    first = window_signals.find_memory_span(made.settings.monitor, known, made.span)
    assert replace(made, span=first).outcomes() == []


ORIGIN = {"origin": pl.col("origin").cast(pl.String)}


@pytest.mark.slow
def test_groups_of_a_sensitive_column_have_the_sums_of_their_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PROBLEM.schema, "SENSITIVE", ORIGIN)
    made = reader(folder)
    rows = join_labels(made.index).drop_nulls("target")
    origins = read_records_by_id(made.index.predictions, rows["id"].to_list(), {"origin": pl.String()})
    expected = rows.join(origins.rename({ID_COLUMN: "id"}), on="id").with_columns(
        decided=pl.col("output") >= made.model.facts["threshold"]
    )
    found = defaultdict(lambda: [0.0, 0])
    for day in made.outcomes():
        for _, group, metric, total, count in day.groups:
            found[group, metric] = [found[group, metric][0] + total, found[group, metric][1] + count]
    for origin, of_origin in expected.group_by("origin"):
        late = of_origin.filter("target")
        assert found[origin[0], "selection_rate"] == [of_origin["decided"].sum(), of_origin.height]
        assert found[origin[0], "true_positive_rate"] == [late["decided"].sum(), late.height]
    assert [plain(day) for day in made.outcomes()] == came(folder)  # as they are kept


@pytest.mark.slow
def test_a_window_says_how_much_the_groups_differ_that_differ_most(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PROBLEM.schema, "SENSITIVE", ORIGIN)
    early = reader(folder, dt.datetime.combine(WINDOW_BEGIN + ONE_DAY, dt.time(), dt.UTC))
    assert measure_group_differences(early.span.days, early.outcomes(), early.model, 0.2) == []
    made = reader(folder)
    found = measure_group_differences(made.span.days, made.outcomes(), made.model, 0.2)
    parity, odds = (
        {each.comparison: each for each in found}[name] for name in ("demographic_parity", "equalized_odds")
    )
    assert parity.low <= parity.value <= parity.high
    assert (odds.column, odds.limit, parity.limit) == ("origin", 0.2, None)
    assert odds.highest != odds.lowest


@pytest.mark.slow
def test_no_group_is_read_without_a_sensitive_column(folder: Path) -> None:
    assert [day.groups for day in reader(folder).outcomes()] == [[]] * DAYS
