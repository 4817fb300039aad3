"""What workers tell the process that started a run of tests: no more of a test that passes than that it did.

With `-v` also that it begins: the last one named may be the one that hangs.

Of six messages for each test four say what nobody reads, and sending, receiving and counting them took as long as a
trivial test does.
"""

from collections.abc import Set
from typing import Any

import pytest

NEVER_READ = {"logstart", "logfinish"}
SLOW_SECONDS = 0.05  # of preparing or cleaning up, which is told: it may be among the slowest durations


def shorten_messages(config: pytest.Config) -> None:
    """Let a worker of pytest-xdist send what is needed; in another process there is nothing to do.

    Args:
        config: The configuration of the process.
    """
    never_read = NEVER_READ - {"logstart"} if config.get_verbosity() > 0 else NEVER_READ
    for plugin in config.pluginmanager.get_plugins():
        if hasattr(plugin, "sendevent"):
            plugin.sendevent = _skip_unread(plugin.sendevent, never_read)


def is_needed(name: str, data: dict[str, Any] | None = None, never_read: Set[str] = NEVER_READ) -> bool:
    """Check whether somebody reads a message.

    Args:
        name: Its name.
        data: The report of a phase of a test, if it has one.
        never_read: The names of messages that nobody reads.

    Returns:
        Whether it is a test's outcome, an exception, something slow, or no message about a single test.
    """
    if name != "testreport" or data is None:
        return name not in never_read
    return bool(data["when"] == "call" or data["outcome"] != "passed" or data["duration"] > SLOW_SECONDS)


def _skip_unread(send: Any, never_read: Set[str]) -> Any:
    def send_needed(name: str, **facts: Any) -> None:
        if is_needed(name, facts.get("data"), never_read):
            send(name, **facts)

    return send_needed
