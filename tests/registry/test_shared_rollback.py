"""A rollback from a machine that answers nothing itself: replicas and registry follow what it enters in the ledger."""

import os
from pathlib import Path

import pytest

from penumbra.core.settings import Settings
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.pointers import read_pointer
from penumbra.registry.rollback import RollbackRefused, roll_back_live, sync_rollback
from penumbra.storage.sealed import replace_sealed_file
from penumbra.storage.shared.object_store import ObjectStore
from penumbra.storage.shared.store_failures import StoreError
from service.processes.deployment.rollback_watch import RollbackWatch
from tests.helpers.cluster.shared_world import share_state
from tests.helpers.models.registered_versions import make_aliased_registry, make_registry_settings


@pytest.fixture
def laptop(tmp_path: Path) -> Settings:
    """A machine without a service, where version 2 was promoted over 1, and version 3 is a candidate."""
    settings = share_state(make_registry_settings(tmp_path), str(tmp_path / "shared"))
    enter(settings, "promotion", "promote", live="1")
    enter(settings, "verdict", "pass", candidate="2", live="1")
    enter(settings, "promotion", "promote", live="2", previous="1")
    enter(settings, "verdict", "pass", candidate="3", live="2")
    return settings


def enter(settings: Settings, kind: str, verdict: str, **versions: str) -> None:
    event = LedgerEvent(kind=kind, verdict=verdict, actor="ann", reason="earlier", versions=versions)  # type: ignore[arg-type]
    open_ledger(settings).append(event)


def get_last_entry(settings: Settings) -> LedgerEntry:
    return open_ledger(settings).entries()[-1]


def make_replica_state(folder: Path, **pointers: str) -> Path:
    """The state folder of a replica that had these versions before anything that happens now."""
    for version in ("1", "2"):
        (folder / "bundles" / version).mkdir(parents=True)
    for pointer, version in pointers.items():
        replace_sealed_file(folder / pointer, version)
        os.utime(folder / pointer, (1, 1))
    return folder


@pytest.mark.slow
def test_replicas_and_registry_follow_a_rollback_from_elsewhere(
    tmp_path: Path, laptop: Settings, database: Path
) -> None:
    models = make_aliased_registry(tmp_path, database, live="2", previous="1", candidate="3")
    said = roll_back_live(laptop, "complaints")
    assert said == "version 1 answers in place of version 2, as soon as the replicas have read the ledger"
    entry = get_last_entry(laptop)
    assert (entry.kind, entry.reason, entry.versions) == ("rollback", "complaints", {"live": "1", "previous": "2"})
    assert sync_rollback(laptop) == "the registry's aliases say so too"
    assert models.aliases() == {"live": "1", "previous": "2", "candidate": "3"}
    assert "complaints" in models.tags("1")["ledger.00005"]
    state = make_replica_state(tmp_path / "replica", live="2", previous="1")
    RollbackWatch(open_ledger(laptop), state).follow_last_move()
    assert (read_pointer(state), read_pointer(state, "previous")) == ("1", "2")


@pytest.mark.slow
def test_a_canary_ends_first(tmp_path: Path, laptop: Settings, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="2", previous="1", candidate="3", canary="3")
    enter(laptop, "canary", "canary", canary="3", live="2")
    assert "version 3 is the canary no more" in roll_back_live(laptop, "")
    assert get_last_entry(laptop).verdict == "ended"
    sync_rollback(laptop)
    assert models.aliases() == {"live": "2", "previous": "1"}
    state = make_replica_state(tmp_path / "replica", live="2", canary="3")
    RollbackWatch(open_ledger(laptop), state).follow_last_move()
    assert (read_pointer(state), read_pointer(state, "canary")) == ("2", None)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("", r"version 1 is live since the rollback of .* forward with `penumbra promote --force --version 2"),
        ("1", "version 1 is already live"),
        ("9", "version 9 can't answer: the ledger doesn't know it"),
    ],
)
def test_what_cannot_be_gone_back_to_is_refused_and_not_entered(laptop: Settings, to: str, words: str) -> None:
    roll_back_live(laptop, "")
    with pytest.raises(RollbackRefused, match=words):
        roll_back_live(laptop, "", to)
    assert get_last_entry(laptop).number == 5


def test_without_a_promotion_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with pytest.raises(RollbackRefused, match="the ledger names no version to go back to"):
        roll_back_live(share_state(make_registry_settings(tmp_path), str(tmp_path / "shared")), "")


def test_while_the_store_is_away_nothing_is_rolled_back(laptop: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("s3://bucket/state/ledger: no answer for 5 seconds")

    monkeypatch.setattr(ObjectStore, "read", refuse)
    with pytest.raises(RollbackRefused, match=r"hear of a rollback by the ledger, which can't be .*: no answer for 5"):
        roll_back_live(laptop, "")
