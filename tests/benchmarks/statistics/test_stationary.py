"""Problems on which nothing changes: their rows, a model's life on them, and the measurements on tiny samples."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from benchmarks.helpers.rates import compute_alarm_rate
from benchmarks.statistics.stationary import tables
from benchmarks.statistics.stationary.changes import STANDARD_CHANGES, raise_scores
from benchmarks.statistics.stationary.made_problems import MADE_PROBLEMS, MadeRows, build_made_problem
from benchmarks.statistics.stationary.measures import measure_change_detection, measure_stationary_alarms
from benchmarks.statistics.stationary.problems import Phases, ShuffledUnits
from benchmarks.statistics.stationary.real_tables import REAL_TABLES
from benchmarks.statistics.stationary.worlds import draw_world
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN

SHORT_LIFE = Phases(train=8, reference=20, weeks=3)


@pytest.fixture
def made():
    return replace(build_made_problem("tree", MadeRows("binary", 30)), phases=SHORT_LIFE)


@pytest.fixture
def real():
    return replace(REAL_TABLES["iris"](), phases=Phases(train=15, reference=20, weeks=2))


@pytest.mark.slow
def test_each_week_is_judged_by_columns_predictions_and_loss(made, real):
    found = [measure_stationary_alarms(problem, first_seed=0, windows=6) for problem in (made, real)]
    assert [(each.models, each.windows) for each in found] == [(2, 6), (3, 6)]
    assert all(each.rate >= max(each.shares) and len(each.shares) == 3 for each in found)


@pytest.mark.slow
def test_each_change_is_looked_for_in_each_world(made):
    seen = measure_change_detection(made, first_seed=0, worlds=1)
    assert {name: len(weeks) for name, weeks in seen.items()} == dict.fromkeys(STANDARD_CHANGES, 1)
    assert all(week >= 1 for weeks in seen.values() for week in weeks)


@pytest.mark.slow
def test_a_change_that_a_problem_has_no_column_for_is_left_out(real):
    seen = measure_change_detection(real, first_seed=0, worlds=1)
    assert seen["10 % moved"] == []


def test_a_change_begins_on_its_day(made):
    world = draw_world(made, seed=0)
    changed = world.with_change(raise_scores, first=7)
    scores = [each.answered[PREDICTION_COLUMN].to_numpy() for each in (world, changed)]
    later = world.answered[DAY_COLUMN].to_numpy() >= 7
    assert (scores[0][~later] == scores[1][~later]).all()
    assert np.allclose(np.minimum(1.3 * scores[0][later], 1), scores[1][later])


def test_the_reference_is_scored_by_fits_that_have_not_learnt_it(made):
    world = draw_world(made, seed=0)
    assert world.reference[DAY_COLUMN].unique().to_list() == list(range(20))
    again = world.model.answer_rows(world.reference)
    assert (again[PREDICTION_COLUMN] != world.reference[PREDICTION_COLUMN]).any()


def test_all_days_of_a_series_come_once_before_any_comes_again():
    rows = pl.DataFrame({"value": [1.0, 2.0, 2.5, 3.0]})
    days = ShuffledUnits(rows, np.array([0, 1, 1, 2]), per_day=1).draw_rows(seed=0, days=6)
    by_day = days.group_by(DAY_COLUMN, maintain_order=True).agg("value")["value"].to_list()
    for three in (by_day[:3], by_day[3:]):
        assert sorted(three) == [[1.0], [2.0, 2.5], [3.0]]


def test_made_rows_depend_on_the_seed_alone():
    law = MadeRows("multiclass", 40, shape="heavy", words=(4, 90), nulls=0.2, leaning=0.3, weekly=True)
    one, same, other = (law.draw_rows(seed, days=30) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)
    assert one.columns == ["x0", "x1", "x2", "c0", "c1", LABEL_COLUMN, DAY_COLUMN]
    assert 0.1 < one["x0"].null_count() / one.height < 0.5
    assert set(one[LABEL_COLUMN]) == {0, 1, 2, 3}


def test_made_problems_are_of_every_task_model_and_size():
    problems = [build() for build in MADE_PROBLEMS.values()]
    assert {(each.task.kind, each.model) for each in problems} >= {
        (kind, model)
        for kind in ("binary", "multiclass", "regression")
        for model in ("tree", "boosting 20", "boosting", "forest", "linear")
    }
    assert {each.rows for each in problems} == {20, 50, 200, 1000, 5000}


def test_there_are_forty_problems():
    assert len(tables.PROBLEMS) >= 40


def test_the_bound_of_a_rate_is_over_worlds_where_they_differ():
    alike, apart = [[False] * 9 + [True]] * 10, [[True] * 10] + [[False] * 10] * 9
    assert compute_alarm_rate(alike)[0] == compute_alarm_rate(apart)[0] == 0.1
    assert compute_alarm_rate(alike)[1] < 0.17 < 0.28 < compute_alarm_rate(apart)[1]
