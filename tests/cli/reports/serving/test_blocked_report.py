"""The output of `penumbra blocked`, and what it changes."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from problem import schema
from service.inference.blocked_records import SuspectRecord, append_event
from tests.helpers.command_line import run_command_line
from tests.helpers.servers import local_service

RECORD = json.dumps(schema.EXAMPLE, default=str)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, value in local_service.make_service_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/live").write_text("7")
    return tmp_path / "state"


def test_a_record_is_blocked_by_hand_whatever_its_spacing_and_released(state: Path) -> None:
    assert run_command_line("blocked").stdout == "No record is blocked.\n"
    (added,) = json.loads(run_command_line("blocked", "--json", "--add", RECORD).stdout)
    (again,) = json.loads(run_command_line("blocked", "--json", "--add", f"  {RECORD} ").stdout)
    assert (added["digest"], added["version"]) == (again["digest"], "7")
    assert added["cause"].startswith("blocked by ")
    assert f"{added['digest']}  version 7  since 20" in run_command_line("blocked").stdout
    assert run_command_line("blocked", "--release", added["digest"][:8]).stdout == "No record is blocked.\n"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('{"a": 1}', ["distance: expected a value: the field is required", "a 1: expected no field of this name"]),
        ("7", ["7: expected an object with the fields of one record"]),
        ("{", ["the body is not valid JSON: "]),
    ],
)
def test_what_is_no_record_is_refused_with_its_faults(state: Path, text: str, faults: list[str]) -> None:
    result = run_command_line("blocked", "--add", text)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("nothing was blocked, as this is no record that keeps the contract: ")
    assert all(fault in result.stderr for fault in faults)


def test_a_suspect_is_shown_as_one_and_released(state: Path) -> None:
    append_event(state, "crash", "SIGKILL", [SuspectRecord("7", "4253a10f", msgspec.Raw(b'{"x":1}'))])
    first, record = run_command_line("blocked").stdout.splitlines()
    assert (first[:21], first[-16:], record) == ("4253a10f  version 7  ", "SIGKILL  suspect", '  {"x":1}')
    assert json.loads(run_command_line("blocked", "--json").stdout)[0]["is_suspect"]
    assert run_command_line("blocked", "--release", "4253").stdout == "No record is blocked.\n"


def test_a_digest_that_nothing_has_is_refused_in_a_sentence(state: Path) -> None:
    result = run_command_line("blocked", "--release", "abc")
    assert result.exit_code == 1
    assert result.stderr == "no blocked record has the digest 'abc': `penumbra blocked` lists them\n"
