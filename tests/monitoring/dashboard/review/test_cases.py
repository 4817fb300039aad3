"""What the review page shows of a case."""

from pathlib import Path

from monitoring.dashboard.review.cases import CaseReader
from penumbra.reviews.queue import ReviewQueue
from tests.helpers.logs.review_cases import make_review_settings, pick_predictions
from tests.helpers.servers.local_service import PROBLEM


def test_of_an_answer_of_another_task_that_is_said(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path, said={"output": [0.25, 0.75], "decision": "rain"})
    settings = make_review_settings(tmp_path)
    said = CaseReader(settings, PROBLEM).describe_opinions(ReviewQueue.read(settings.review.folder).states[case])
    assert said["models"] == [("the service (version 7)", "an answer of another task")]
