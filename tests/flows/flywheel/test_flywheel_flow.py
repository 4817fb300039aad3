"""The real flows with a flywheel batch: made by hand, learnt from, and reproduced to the last bit."""

import pytest

from tests.helpers.flow_workspace import NEW_PYTHON, SKIP_DOCTOR, Workspace
from tests.helpers.problems.fed_orders import log_answer, log_order
from tests.helpers.problems.orders import write_orders

pytestmark = pytest.mark.slow

BATCH = "2024-04+flywheel-2024-06-01"
SETTINGS = {"data__today": "2024-06-02", "training__candidates": "boosting", "registry__model": "orders"}


def test_a_model_that_learnt_from_a_flywheel_batch_is_reproduced_to_the_last_bit(tmp_path, migrated_database):
    space = Workspace(tmp_path)
    space.use_database(migrated_database)
    source = [("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 30"), ("MONTHS = 6", "MONTHS = 4")]
    space.use_problem(write_orders(tmp_path / "written", source=source))
    for number in range(1, 121):
        name = log_order(tmp_path / "var", number, day=1 + number % 28)
        log_answer(tmp_path / "var", name, churned=number % 3 == 0, probability=(0.05, 1.0)[number % 2])
    output = space.run(*space.command("flywheel"), **SETTINGS)
    assert f"{BATCH}: of 120 answered rows 120 labelled by people" in output
    assert f"5 batches, 2024-01 to {BATCH}" in output
    space.run(*space.flow("train"), *SKIP_DOCTOR, **SETTINGS)
    space.python = NEW_PYTHON
    assert "Metrics and predictions are identical." in space.run(*space.command("reproduce", "1"), **SETTINGS)
