"""A policy of retraining played over days whose losses are given."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.core.metrics.losses import LossScale
from penumbra.simulation.backtest.policies import ModelFit, RetrainingPolicy, simulate_policy

PROMOTION = SimpleNamespace(block_days=1, promote_level=0.02, harm_level=0.1, shadow_days=9, margin_share=1.0)
BEGIN, END, ROWS = 20, 90, 100


@dataclass
class SimpleHistory:
    """Each model's loss on each day is a number; windows drift, or cost too much, as is said of their first days."""

    loss: Callable[[ModelFit, int], float] = lambda fit, day: 50.0 - fit.end
    drifting: frozenset[int] = frozenset()
    costly: frozenset[int] = frozenset()
    begin: int = BEGIN
    end: int = END
    delay: int = 2
    window: int = 7

    scale = LossScale("log-loss", 1.0)

    def __post_init__(self):
        self.rows = np.full(self.end, ROWS)

    def fit(self, end, days):
        return ModelFit(end, days)

    def losses(self, fit, first, end):
        assert first >= fit.end
        return np.array([self.loss(fit, day) for day in range(first, end)])

    def drift(self, fit, since, first):
        return 2.0 if first in self.drifting else 0.5

    def loss_ratio(self, fit, since, first):
        return 2.0 if first in self.costly else 0.5


def lose_with_noise(fit, day):
    return 40 + np.random.default_rng([fit.end, day]).normal()


def list_event_days(run, what):
    return [event.day for event in run.events if event.what == what]


def test_who_never_retrains_serves_the_first_model_to_the_end():
    run = simulate_policy(RetrainingPolicy("never"), SimpleHistory(), PROMOTION)
    assert set(run.served.values()) == {ModelFit(BEGIN - 1)}
    assert len(run.served) == END - BEGIN


def test_an_untested_model_answers_on_the_day_on_which_it_is_made_and_has_learnt_all_known_labels():
    run = simulate_policy(RetrainingPolicy("weekly", every_days=7), SimpleHistory(), PROMOTION)
    assert list_event_days(run, "retrain") == list_event_days(run, "promote") == [27, 34, 41, 48, 55, 62, 69, 76, 83]
    assert [run.served[day].end for day in (26, 27, 33, 34)] == [19, 26, 26, 33]


def test_drift_retrains_on_the_day_after_the_window_and_loss_when_its_labels_are_known():
    history = SimpleHistory(drifting=frozenset({27}), costly=frozenset({48}))
    run = simulate_policy(RetrainingPolicy("both", on_drift=True, on_loss=True), history, PROMOTION)
    assert [(event.day, event.reason) for event in run.events if event.what == "retrain"] == [
        (34, "drift"),
        (56, "loss"),
    ]


def test_a_window_of_which_the_live_model_has_learnt_some_says_nothing():
    history = SimpleHistory(drifting=frozenset({27}), costly=frozenset({27}))
    run = simulate_policy(RetrainingPolicy("both", on_drift=True, on_loss=True, cooldown_days=0), history, PROMOTION)
    assert list_event_days(run, "retrain") == [34]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"cooldown_days": 7}, [27, 34, 41, 48, 55, 62, 69, 76, 83]),
        ({"cooldown_days": 15}, [27, 48, 69]),
        ({"max_retrains": 2, "period_days": 30}, [27, 34, 62, 69]),
    ],
)
def test_alarms_retrain_no_more_often_than_is_allowed(limits, expected):
    run = simulate_policy(
        RetrainingPolicy("drift", on_drift=True, **limits), SimpleHistory(drifting=frozenset(range(END))), PROMOTION
    )
    assert list_event_days(run, "retrain") == expected


@pytest.mark.slow
def test_a_tested_model_answers_after_its_days_in_the_shadow_and_meanwhile_there_is_no_other():
    run = simulate_policy(
        RetrainingPolicy("ours", every_days=7, tested=True), SimpleHistory(lose_with_noise), PROMOTION
    )
    assert list_event_days(run, "retrain")[:2] == [27, 36]
    assert list_event_days(run, "promote")[0] == 26 + PROMOTION.shadow_days + 1


@pytest.mark.slow
def test_a_candidate_that_is_shown_to_be_worse_is_rejected():
    run = simulate_policy(
        RetrainingPolicy("ours", every_days=7, tested=True),
        SimpleHistory(lambda fit, day: lose_with_noise(fit, day) + 5 * (fit.end > 19)),
        PROMOTION,
    )
    assert list_event_days(run, "promote") == []
    assert len(list_event_days(run, "reject")) > 0


def lose_more_later(fit, day):
    """The models after the first are as good until day 45 and bad from then on."""
    return lose_with_noise(fit, day) + 20 * (fit.end > 19 and day > 45)


def test_a_model_that_turns_out_to_be_worse_is_rolled_back_and_hindsight_agrees():
    history = SimpleHistory(lose_more_later, drifting=frozenset({20}))
    run = simulate_policy(RetrainingPolicy("ours", on_drift=True, tested=True), history, PROMOTION)
    assert list_event_days(run, "promote")[0] < 45 < list_event_days(run, "roll back")[0]
    assert run.served[list_event_days(run, "roll back")[0]] == ModelFit(19)
    assert run.count_mistakes("roll back", history, 28) == 0
    assert run.count_mistakes("promote", history, 28) == run.count("promote")


def test_a_rollback_from_a_model_that_would_have_been_better_is_a_mistake():
    history = SimpleHistory(
        lambda fit, day: lose_with_noise(fit, day) + (20 * (45 < day < 70) - 40 * (day >= 70)) * (fit.end > 19)
    )
    run = simulate_policy(
        RetrainingPolicy("ours", every_days=100, on_drift=True, tested=True),
        SimpleHistory(history.loss, frozenset({20})),
        PROMOTION,
    )
    assert run.count_mistakes("roll back", history, 60) == run.count("roll back") == 1


@pytest.mark.slow
@settings(max_examples=10)
@given(first=st.integers(BEGIN, BEGIN + 30), by=st.floats(-30, 30))
def test_what_is_not_known_in_the_morning_decides_nothing(first, by):
    changed = SimpleHistory(lambda fit, day: lose_with_noise(fit, day) + by * (fit.end > 19) * (day >= first), end=50)
    policy = RetrainingPolicy("ours", every_days=7, tested=True)
    before, after = (
        [event for event in simulate_policy(policy, history, PROMOTION).events if event.day <= first]
        for history in (SimpleHistory(lose_with_noise, end=50), changed)
    )
    assert before == after


def test_days_without_rows_are_no_evidence_and_without_new_rows_nothing_is_retrained():
    history = SimpleHistory(lose_with_noise)
    history.rows = np.where(np.arange(END) % 20 == 0, ROWS, 0)
    history.fit = lambda end, days: ModelFit(max((day + 1 for day in range(end) if history.rows[day]), default=0), days)
    run = simulate_policy(RetrainingPolicy("ours", every_days=7, tested=True), history, PROMOTION)
    assert [event.fit.end for event in run.events if event.what == "retrain"] == [21]
    assert run.count("promote") == 0
