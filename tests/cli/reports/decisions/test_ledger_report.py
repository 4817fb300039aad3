import json
from pathlib import Path

import pytest

from penumbra.cli.reports.decisions.ledger_report import (
    encode_ledger,
    find_ledger_entry,
    format_ledger,
    format_ledger_entry,
)
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from tests.helpers.command_line import run_command_line
from tests.helpers.models.registered_versions import make_registry_environment, write_example_ledger


def test_an_empty_ledger_says_what_makes_its_first_entries(tmp_path: Path) -> None:
    assert "make train" in format_ledger(Ledger(tmp_path).entries())


def test_the_table_has_a_line_for_each_entry_newest_last(tmp_path: Path) -> None:
    head, *lines = format_ledger(write_example_ledger(tmp_path).entries()).splitlines()
    assert head.split() == ["entry", "time", "kind", "verdict", "versions", "actor", "reason"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    assert "live 1, previous 2" in lines[4]
    assert lines[4].endswith("ann    earlier")


def test_an_entry_expands_to_all_its_evidence(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(LedgerEvent(kind="verdict", actor="ann", reason="r", evidence={"days": {"better": 80.5}}))
    assert '"better": 80.5' in format_ledger_entry(find_ledger_entry(ledger.entries(), 1))
    with pytest.raises(LookupError, match="no entry 2: it has 1"):
        find_ledger_entry(ledger.entries(), 2)


def test_an_older_entry_is_shown_without_its_password(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    settings = {"registry": {"tracking": "postgresql://me:secret@host"}, "monitor": {"webhook": "https://host/secret"}}
    ledger.append(LedgerEvent(kind="verdict", actor="ann", reason="r", settings=settings))
    shown = format_ledger_entry(ledger.entries()[0]) + encode_ledger(ledger.entries())
    assert "secret" not in shown
    assert shown.count("postgresql://me:***@host") == shown.count("https://host/***") == 2


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in make_registry_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_a_lost_line_is_one_sentence_and_exit_1(here: Path) -> None:
    path = write_example_ledger(here).folder / "ledger.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    result = run_command_line("history")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "line 1: this is entry 2: lines are missing" in result.stderr


def test_the_command_prints_table_entry_or_sentence(here: Path) -> None:
    write_example_ledger(here)
    assert "live 1, previous 2" in run_command_line("history").stdout
    assert '"kind": "rollback"' in run_command_line("history", "5").stdout
    assert run_command_line("history", "--verify").stdout == "Entries 1 to 6 are what was written.\n"
    result = run_command_line("history", "9")
    assert (result.exit_code, "no entry 9" in result.stderr) == (1, True)
    assert len(json.loads(run_command_line("history", "--json").stdout)) == 6
