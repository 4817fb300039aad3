from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.cli.reports.serving.rule_report import report_rules
from penumbra.logs.queries.rule_counts import count_rules
from penumbra.logs.schema import RefusalEntry, get_refusals_folder
from penumbra.rules import Answer, CloseCall, OneOf, Refuse, Review, Rule
from problem import schema
from tests.helpers.logs.prediction_logs import (
    NOON,
    append_to_new_segment,
    log_predictions,
    make_index,
    make_label_by_id,
    make_prediction,
)
from tests.helpers.logs.prediction_logs import log_labels as labels
from tests.helpers.servers import local_service

RULES = (
    Rule("close", "may be either", CloseCall(0.1), Review()),
    Rule("closed", "nothing leaves from there", OneOf("origin", ["LGA"]), Refuse()),
    Rule("hub", "well known", OneOf("dest", ["ATL"]), Answer(0.5)),
)


def log(folder: Path, *marks: dict[str, Any]) -> list[str]:
    """Predictions with these marks, each of a flight of its own; returns their ids."""
    entries = [msgspec.structs.replace(make_prediction(flight), **marked) for flight, marked in enumerate(marks, 1)]
    return log_predictions(folder, *entries) if entries else []


def refuse(folder: Path, *rules: str) -> None:
    append_to_new_segment(
        get_refusals_folder(folder / "predictions"),
        [RefusalEntry(NOON, "c", schema.EXAMPLE, rule, "1") for rule in rules],
    )


def printed(folder: Path) -> list[str]:
    return "\n".join(report_rules(local_service.make_service_settings(folder), RULES)).splitlines()


def line(folder: Path, name: str) -> list[str]:
    return next(text.split() for text in printed(folder) if text.split()[:1] == [name])


def test_before_anything_is_predicted_each_rule_has_fired_never(tmp_path: Path) -> None:
    assert [line(tmp_path, rule.name)[-2:] for rule in RULES] == [["0", "0"]] * 3


def test_rules_stand_in_the_order_in_which_they_are_tried_with_what_they_do(tmp_path: Path) -> None:
    table = printed(tmp_path)
    assert [text.split()[0] for text in table[1:4]] == ["closed", "hub", "close"]
    assert "when origin is LGA: refuse" in table[1]
    assert "when the decision hangs by less than 0.1: review" in table[3]


def test_fired_failed_and_refused_are_counted(tmp_path: Path) -> None:
    log(tmp_path, {"rules": ["hub"]}, {"rules": ["close"], "review": True}, {"failed_rules": ["hub"]}, {})
    refuse(tmp_path, "closed", "closed")
    assert [line(tmp_path, rule.name)[-2:] for rule in RULES] == [["1", "0"], ["2", "0"], ["1", "1"]]


def test_a_rule_that_is_no_more_is_still_counted(tmp_path: Path) -> None:
    log(tmp_path, {"rules": ["winter"]})
    assert line(tmp_path, "winter")[-2:] == ["1", "0"]


def test_rows_wait_for_review_until_they_have_a_label(tmp_path: Path) -> None:
    first, *_ = log(tmp_path, {"review": True}, {"review": True}, {})
    make_index(tmp_path).catch_up()
    assert "Of 3 predictions in the log, 2 were routed to review, of which 2 wait for a label." in printed(tmp_path)
    labels(tmp_path, make_label_by_id(first, 40))
    make_index(tmp_path).catch_up()
    assert "Of 3 predictions in the log, 2 were routed to review, of which 1 wait for a label." in printed(tmp_path)


def test_without_an_index_it_says_what_to_do(tmp_path: Path) -> None:
    log(tmp_path, {"review": True})
    assert "`penumbra labels`" in printed(tmp_path)[-1]


def test_fallbacks_are_told(tmp_path: Path) -> None:
    log(tmp_path, {"fallback": "previous"}, {"fallback": "previous"}, {"fallback": "baseline"})
    assert "2 by the previous and 1 by the baseline were answered" in printed(tmp_path)[-1]


@given(st.lists(st.lists(st.sampled_from(["a", "b"]), max_size=2), max_size=6))
def test_the_counts_are_those_of_the_entries(tmp_path_factory: pytest.TempPathFactory, rules: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("log")
    log(folder, *({"rules": names} for names in rules))
    fired = count_rules(folder / "predictions", folder / "labels")
    assert fired.predictions == len(rules)
    assert {name: fired.rules[name] for name in "ab"} == {
        name: sum(names.count(name) for names in rules) for name in "ab"
    }
