"""What the live model answered, beside what a model of the shadow said of the same rows."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penumbra.logs.queries.shadow import pair_shadow_outputs
from penumbra.logs.schema import ShadowBatch, ShadowRow, ShadowStart
from penumbra.logs.shadow.shadow_log import ShadowLog
from tests.helpers.logs import prediction_logs
from tests.helpers.logs.prediction_logs import NOON, make_hours, make_prediction
from tests.helpers.models import registered_versions


def pairs(folder: Path, begin: float = -1, end: float = 1) -> list[tuple[Any, Any]]:
    span = NOON + make_hours(begin), NOON + make_hours(end)
    found = list(pair_shadow_outputs(prediction_logs.make_updated_index(folder), "7", "8", *span, at_once=1))
    assert all(part.height == 1 for part in found)
    return [row for part in found for row in part.select("output", "said").rows()]


def said(folder: Path, names: list[str], *outputs: Any) -> None:
    registered_versions.log_shadow_answers(folder, "8", names, [NOON] * len(names), list(outputs))


def test_both_say_something_of_each_row(tmp_path: Path) -> None:
    said(tmp_path, prediction_logs.log_predictions(tmp_path, make_prediction(1), make_prediction(2)), 0.4, 0.5)
    assert sorted(pairs(tmp_path)) == [(pytest.approx(0.1), 0.4), (pytest.approx(0.2), 0.5)]


def test_only_rows_of_that_time_are_found(tmp_path: Path) -> None:
    said(tmp_path, prediction_logs.log_predictions(tmp_path, make_prediction(1)), 0.4)
    assert pairs(tmp_path, 0, 1) == [(pytest.approx(0.1), 0.4)]
    assert pairs(tmp_path, -1, 0) == []


def test_what_failed_another_model_answered_or_a_rule_decided_is_left_out(tmp_path: Path) -> None:
    ruled = msgspec.structs.replace(make_prediction(3), rules=["closed"])
    names = prediction_logs.log_predictions(tmp_path, make_prediction(1), make_prediction(2, model="6"), ruled)
    said(tmp_path, names, math.nan, 0.5, 0.6)
    assert pairs(tmp_path) == []


def test_of_several_classes_both_are_lists(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(
        tmp_path, msgspec.structs.replace(make_prediction(1), output=[0.25, 0.75], decision="rain")
    )
    segment = name.partition("-")[0]
    log = ShadowLog(tmp_path / "shadow", tmp_path / "predictions")
    log.append(ShadowStart("8", NOON, {segment: 0}, []))
    end = (tmp_path / "predictions" / f"{segment}.jsonl").stat().st_size
    log.append(ShadowBatch("8", segment, 0, end, {"ok": 1}), [ShadowRow(name, "8", NOON, [0.5, 0.5], "rain")])
    log.close()
    assert pairs(tmp_path) == [([0.25, 0.75], [0.5, 0.5])]


def test_without_rows_there_are_no_pairs(tmp_path: Path) -> None:
    assert list(pair_shadow_outputs(prediction_logs.make_updated_index(tmp_path), "7", "8", NOON, NOON)) == []
