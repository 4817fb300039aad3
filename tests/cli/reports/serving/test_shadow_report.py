import datetime as dt
import os
from pathlib import Path

from penumbra.cli.reports.serving.shadow_report import report_shadow
from penumbra.logs.schema import ShadowBatch, ShadowRow, ShadowStart
from penumbra.logs.shadow.shadow_log import ShadowLog
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from tests.helpers.logs import prediction_logs
from tests.helpers.servers import local_service

NOON = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)


def words(folder: Path) -> str:
    """Return the output of `penumbra shadow`."""
    return "\n\n".join(report_shadow(local_service.make_service_settings(folder)))


def answer(folder: Path, name: str, end: int, **sums: float) -> None:
    """Version 8, the candidate, has answered one prediction and timed out on the next."""
    log = ShadowLog(folder / "shadow", folder / "predictions")
    log.append(ShadowStart("8", NOON, {}, []))
    segment, position = name.split("-")[0], end // 2
    log.append(ShadowBatch("8", segment, 0, position, {"ok": 1}, **sums), [ShadowRow(name, "8", NOON, 0.3, True)])  # type: ignore[arg-type]
    log.append(ShadowBatch("8", segment, position, end, {"timeout": 1}), [ShadowRow("x", "8", NOON, status="timeout")])
    log.close()
    (folder / "state").mkdir()
    (folder / "state/candidate").write_text("8")


def test_an_empty_shadow_says_who_would_be_in_it(tmp_path: Path) -> None:
    assert "Nobody is in the shadow" in words(tmp_path)
    assert "has not run yet" in words(tmp_path)


def test_coverage_failures_and_disagreement_are_told(tmp_path: Path) -> None:
    name, *_ = prediction_logs.log_predictions(tmp_path, *(prediction_logs.make_prediction(1) for _ in range(4)))
    (path,) = (tmp_path / "predictions").glob("*.jsonl")
    answer(tmp_path, name, path.stat().st_size // 2, compared=1, difference=0.2, decided=1, differing=1)
    cells = words(tmp_path).splitlines()[1].split()
    assert cells == ["candidate", "8", "2013-04-01", "12:00", "1", "1", "2", "25.0%", "1", "0.2", "100.0%"]
    assert "Version 8 gave no answer: 1 timeout." in words(tmp_path)


def test_a_model_whose_answers_can_be_compared_with_none_says_so_and_quotes_the_last_verdict(tmp_path: Path) -> None:
    name, *_ = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    (path,) = (tmp_path / "predictions").glob("*.jsonl")
    answer(tmp_path, name, path.stat().st_size)
    said = {"reason": "no day counts yet", "details": ["the next day to count is 2013-04-02"]}
    event = LedgerEvent(
        kind="verdict", verdict="keep collecting", actor="ann", versions={"candidate": "8", "live": "7"}, **said
    )
    Ledger(local_service.make_service_settings(tmp_path).ledger.folder).append(event)
    assert "Version 8 can be compared on none of 1 row: a rule or a fallback had a say in each." in words(tmp_path)
    assert "(`penumbra promote`): no day counts yet.\n  - the next day to count is 2013-04-02" in words(tmp_path)


def test_a_model_that_has_answered_nothing_yet_says_since_when(tmp_path: Path) -> None:
    log = ShadowLog(tmp_path / "shadow", tmp_path / "predictions")
    log.append(ShadowStart("8", NOON, {}, []))
    log.close()
    (tmp_path / "state").mkdir()
    (tmp_path / "state/candidate").write_text("8")
    assert "Version 8 has answered nothing yet: it answers what others than itself are asked from 2013-04-01" in words(
        tmp_path
    )


def test_a_refused_candidate_and_a_heartbeat_that_stands_still_are_told(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/refused").write_text("9\ndamaged or replaced\n")
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow/metrics").write_text("")
    assert "Version 9 is refused: damaged or replaced" in words(tmp_path)
    assert "The shadow is running." in words(tmp_path)
    os.utime(tmp_path / "shadow/metrics", (1.0, 1.0))
    assert "isn't running" in words(tmp_path)
