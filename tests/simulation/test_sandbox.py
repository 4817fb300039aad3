"""The service of a replay: one that a killed replay left behind is waited for."""

import os
import threading
from pathlib import Path

import pytest

from penumbra.core.settings import load_settings
from penumbra.registry.pointers import SERVICE_LOCK_FILE
from penumbra.simulation.replay import sandbox
from penumbra.storage.locks import acquire_lock, is_file_locked


def test_a_service_that_is_still_ending_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(environ={})
    lock_file = settings.service.state / SERVICE_LOCK_FILE
    lock_file.parent.mkdir(parents=True)
    held = acquire_lock(lock_file)
    threading.Timer(0.5, os.close, [held]).start()
    with sandbox.run_service(settings) as service:
        assert not is_file_locked(lock_file)
        assert service.process.poll() is None


@pytest.mark.slow
def test_a_service_that_never_ends_is_named_by_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "WAIT_SECONDS", 0.2)
    lock = tmp_path / "service.lock"
    with pytest.raises(sandbox.ReplayTimeout, match="waited in vain until the lock is free"):
        sandbox.wait_for_event(lock.exists, "the lock is free")
