from pathlib import Path
from typing import Any

import pytest

from penumbra.core.task import Task
from penumbra.logs.append_log import encode_json
from penumbra.registry.bundles import bundle
from problem import schema
from service.shadow.scorer import Scorer
from tests.helpers.logs.local_shadow import RECORD_CONTRACT, TRIGGER_VALUES, make_entry, make_record
from tests.helpers.models import faulty_bundles
from tests.helpers.servers import local_service

TASK = Task.from_schema(schema)
DISTANCES = [100, 200, 300, 400, 500]


def make_scorer(folder: Path, fault: str) -> Scorer:
    loaded = bundle.read_bundle(faulty_bundles.make_faulty_bundle(folder / "bundle", fault), local_service.PROBLEM, "2")
    return Scorer(loaded, RECORD_CONTRACT)


def make_log_lines(*bad: int, **changes: Any) -> list[bytes]:
    """Five logged predictions, those at the positions `bad` with other values."""
    return [encode_json(make_entry(d, **(changes if n in bad else {}))) for n, d in enumerate(DISTANCES)]


@pytest.mark.slow
def test_a_logged_prediction_gets_the_score_of_training_time(tmp_path: Path) -> None:
    scorer = make_scorer(tmp_path, "")
    expected = scorer.bundle.score(RECORD_CONTRACT.to_frame([make_record(distance) for distance in DISTANCES])).tolist()
    results = scorer.score(make_log_lines())
    assert [each.output for each in results] == expected
    assert [each.decision for each in results] == [output >= 0.5 for output in expected]


def test_what_a_version_has_answered_itself_isnt_scored_again(tmp_path: Path) -> None:
    """The previous model was live when these were asked; "raises" would fail on any that it scored."""
    own = make_entry(100, **TRIGGER_VALUES)
    own.model = "2"
    (result,) = make_scorer(tmp_path, "raises").score([encode_json(own)])
    assert (result.status, result.reason) == ("skipped", "this version has answered it itself")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("raises", "error", "InvalidArgument"),
        ("nan", "nan", "not a finite number"),
        ("shape", "shape", "shape (1, 3), expected (1, 2)"),
    ],
)
def test_a_fault_is_recorded_on_its_row_and_the_others_are_scored(
    tmp_path: Path, fault: str, status: str, words: str
) -> None:
    scorer = make_scorer(tmp_path, fault)
    healthy, results = scorer.score(make_log_lines()), scorer.score(make_log_lines(1, 4, **TRIGGER_VALUES))
    assert [each.status for each in results] == ["ok", status, "ok", "ok", status]
    assert words in results[1].reason
    assert [results[n].output for n in (0, 2, 3)] == [healthy[n].output for n in (0, 2, 3)]
    assert (results[1].output, results[1].decision) == (None, None)


def test_a_record_of_another_contract_is_an_error_that_says_so(tmp_path: Path) -> None:
    good, bad = make_log_lines()[0], b'{"record":{"carrier":"UA"}}'
    results = make_scorer(tmp_path, "").score([bad, good, b"damaged"])
    assert [each.status for each in results] == ["error", "ok", "error"]
    assert "doesn't keep this contract" in results[0].reason
    assert "can't be read" in results[2].reason


@pytest.mark.slow
def test_a_record_of_an_earlier_contract_is_no_error_of_the_version(tmp_path: Path) -> None:
    line = encode_json(make_entry(100)).replace(b'"distance":100', b'"miles":100')
    earlier = line.replace(RECORD_CONTRACT.version.encode(), b"earlier")
    results = make_scorer(tmp_path, "").score([line, earlier])
    assert [result.status for result in results] == ["error", "skipped"]
    assert results[1].reason.startswith("the record doesn't keep the contract as it is now")
