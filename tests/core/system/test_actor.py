"""Who the ledger says it was."""

import os
import pwd

import pytest

from penumbra.core.system.actor import get_actor


def test_the_actor_is_the_account_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "bob")
    assert get_actor() == pwd.getpwuid(os.getuid()).pw_name != "bob"


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    assert get_actor() == "user 4000000001"
