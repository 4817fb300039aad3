"""What the shadow's log says of a batch."""

import datetime as dt
from pathlib import Path

import pytest

from penumbra.logs.schema import LoggedPrediction
from service.shadow.backlog import ScoringJob
from service.shadow.role_worker import summarise_shadow_batch
from service.shadow.scorer_client import ShadowResult

NOON = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("former", "live", "shadow"),
    [
        ([0.25, 0.75], 0.25, 0.5),
        (0.25, [0.25, 0.75], [0.5, 0.5]),
        ([0.25, 0.25, 0.5], [0.25, 0.75], [0.5, 0.5]),
    ],
)
def test_answers_that_were_given_while_the_task_was_another_are_not_compared(former, live, shadow):
    lines = [LoggedPrediction(name, NOON, output, "rain") for name, output in (("a", former), ("b", live))]
    job = ScoringJob(Path("segment.jsonl"), 0, 2, lines, [], is_new=True)
    batch = summarise_shadow_batch("2", job, [(line, ShadowResult(shadow, "rain")) for line in lines])
    assert (batch.statuses, batch.compared, batch.difference, batch.decided) == ({"ok": 2}, 1, 0.25, 1)
