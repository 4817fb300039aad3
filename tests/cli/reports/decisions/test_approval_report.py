"""What waits for people, and who answers, by the command line."""

import json
from pathlib import Path

import pytest

from penumbra.approvals.requests import list_requests, make_approval_terms
from penumbra.cli.reports.decisions.approval_report import format_requests
from penumbra.core.system.actor import get_actor
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from tests.helpers.command_line import run_command_line
from tests.helpers.models.registered_versions import make_registry_environment, make_registry_settings


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Entry 1 is a retraining that waits, entry 2 an investigation."""
    ledger = Ledger(tmp_path / "ledger")
    terms = make_approval_terms(make_registry_settings(tmp_path).promotion)
    for verdict, evidence in (("retrain", terms), ("investigate", {})):
        ledger.append(LedgerEvent(kind="verdict", verdict=verdict, actor="ann", reason="temp", evidence=evidence))
    return ledger


def test_the_table_says_what_waits_for_whom_until_when(ledger: Ledger) -> None:
    head, first, second = format_requests(list_requests(ledger.entries())).splitlines()
    assert head.split() == ["entry", "kind", "status", "answers", "needed", "until", "what"]
    assert first.split()[:5] == ["1", "retraining", "waiting", "-", "1"]
    assert first.endswith("  retrain: temp")
    assert second.split() == ["2", "investigation", "waiting", "-", "1", "-", "investigate:", "temp"]
    assert format_requests([]) == "Nothing waits."


def test_the_commands_answer_under_the_accounts_name_in_one_sentence_and_list_for_machines(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in make_registry_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOGNAME", "bob")
    me = get_actor()
    kept = run_command_line("approve", "2", "--keep", "--reason", "the sensor is broken")
    assert kept.stdout == f"investigation 2 is ended by {me}: keep\n"
    assert run_command_line("decline", "1", "--reason", "no").stdout == f"entry 1 is declined by {me}\n"
    assert run_command_line("approvals").stdout == "Nothing waits.\n"
    listed = json.loads(run_command_line("approvals", "--all", "--json").stdout)
    assert [(each["entry"], each["status"], each["choices"]) for each in listed] == [
        (1, "declined", {me: "decline"}),
        (2, "approved", {me: "keep"}),
    ]
