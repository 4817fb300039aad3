"""Commands where machines share their state: they know what others did, and a store that refuses is one sentence."""

import json
import os
from pathlib import Path

import pytest

from penumbra.core.settings import Settings, load_settings
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.pointers import read_pointer
from penumbra.storage.sealed import replace_sealed_file
from service.processes.deployment.rollback_watch import RollbackWatch
from tests.helpers.command_line import run_command_line
from tests.helpers.logs.prediction_logs import append_to_new_segment, make_label_by_id
from tests.helpers.logs.replica_logs import make_replica, ship
from tests.helpers.logs.reviewed_rows import log_rows
from tests.helpers.models.registered_versions import append_earlier_event, make_registry_environment

ANSWER = "13dc3c0b400aaaaaa-0"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine whose settings the commands read, beside others."""
    for name, value in make_registry_environment(tmp_path / "own").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", str(tmp_path / "state"))
    return load_settings()


def test_a_ledger_of_one_machine_is_taken_to_the_state(tmp_path: Path, machine: Settings) -> None:
    append_earlier_event(tmp_path / "own", "promotion", "promote", live="1")
    refused = run_command_line("history")
    assert (refused.exit_code, "`penumbra history --share` takes it there" in refused.stderr) == (1, True)
    for _ in range(2):
        shared = run_command_line("history", "--share")
        assert (shared.exit_code, shared.stdout) == (0, f"entries 1 to 1 are at {tmp_path}/state/ledger\n")
    assert open_ledger(machine).entries() == Ledger(machine.ledger.folder).entries()
    assert "earlier" in run_command_line("history").stdout


def test_another_ledger_than_the_shared_one_isnt_taken(tmp_path: Path, machine: Settings) -> None:
    event = LedgerEvent(kind="promotion", actor="bob", reason="first", verdict="promote", versions={"live": "1"})
    open_ledger(make_replica(tmp_path / "other", machine.cluster.state)).append(event)
    append_earlier_event(tmp_path / "own", "promotion", "promote", live="1")
    shared = run_command_line("history", "--share")
    assert (shared.exit_code, shared.stderr) == (1, f"{tmp_path}/state/ledger has a ledger already\n")


def test_a_machine_that_has_nothing_but_a_copy_verifies_every_entry_of_the_state(
    tmp_path: Path, machine: Settings
) -> None:
    append_earlier_event(tmp_path / "own", "promotion", "promote", live="1")
    append_earlier_event(tmp_path / "own", "promotion", "promote", live="2")
    run_command_line("history", "--share")
    verified = run_command_line("history", "--verify")
    assert (verified.exit_code, verified.stdout) == (0, "Entries 1 to 2 are what was written.\n")
    first = tmp_path / "state/ledger/000000000001"
    first.write_bytes(first.read_bytes().replace(b"earlier", b"EARLIER", 1))
    assert run_command_line("history").exit_code == 0
    refused = run_command_line("history", "--verify")
    assert (refused.exit_code, "state/ledger, line 2: not chained to the line before" in refused.stderr) == (1, True)


def test_a_ledger_is_shared_alone_and_with_a_state(machine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["--share", "--json"], ["--share", "--rebuild"], ["--share", "7"], ["--verify", "--share"]):
        assert run_command_line("history", *words).exit_code == 2
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", "")
    shared = run_command_line("history", "--share")
    assert (shared.exit_code, 'cluster.state = "" says' in shared.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["history"],
        ["history", "--share"],
        ["history", "--verify"],
        ["labels"],
        ["rules"],
        ["approvals"],
        ["rollback"],
        ["explain", ANSWER],
    ],
)
def test_a_store_that_refuses_is_one_sentence(
    tmp_path: Path, machine: Settings, bucket: str, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    if "--share" in words:
        append_earlier_event(tmp_path / "own", "promotion", "promote", live="1")
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", "s3://no-such-bucket/state")
    refused = run_command_line(*words)
    (sentence,) = [line for line in refused.stderr.splitlines() if not line.endswith("...")]  # of progress
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "s3://no-such-bucket/state/" in sentence
    assert "there is no such bucket; create it, or mend [cluster] state" in sentence


@pytest.mark.slow
def test_a_rollback_from_a_pod_without_a_service_reaches_the_replicas(
    tmp_path: Path, machine: Settings, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", f"{bucket}/state")
    monkeypatch.setenv("PENUMBRA_REGISTRY__TRACKING", "http://127.0.0.1:9")  # MLflow is away
    pod = load_settings()
    for live, previous in (("1", {}), ("2", {"previous": "1"})):
        versions = {"live": live, **previous}
        event = LedgerEvent(kind="promotion", actor="ann", reason="better", verdict="promote", versions=versions)
        open_ledger(pod).append(event)
    replicas = [tmp_path / name / "state" for name in "ab"]
    for state in replicas:
        for version in ("1", "2"):
            (state / "bundles" / version).mkdir(parents=True)
        for pointer, version in (("live", "2"), ("previous", "1")):
            replace_sealed_file(state / pointer, version)
            os.utime(state / pointer, (1, 1))
    done = run_command_line("rollback", "--reason", "complaints")
    assert (done.exit_code, "version 1 answers in place of version 2" in done.stdout) == (0, True), done.stderr
    for name, state in zip("ab", replicas, strict=True):
        replica = make_replica(tmp_path / name, f"{bucket}/state")
        RollbackWatch(open_ledger(replica), state).follow_last_move()
        assert (read_pointer(state), read_pointer(state, "previous")) == ("1", "2")


def test_rules_are_counted_over_all_replicas(tmp_path: Path, machine: Settings) -> None:
    for name in "ab":
        replica = make_replica(tmp_path / name, machine.cluster.state)
        first, _ = log_rows(tmp_path / name, 2, first=10 * ord(name), rules=["look"], review=True)
        append_to_new_segment(replica.labels.folder, [make_label_by_id(first, 5)])
        ship(replica)
    counts = json.loads(run_command_line("rules", "--json").stdout)
    fired = {row["rule"]: row["fired"] for row in counts["rules"]}
    assert (counts["predictions"], counts["reviewed"], counts["waiting"], fired["look"]) == (4, 4, 2, 4)
