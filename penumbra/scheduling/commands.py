"""The commands that cron and systemd run."""

import shlex
from pathlib import Path

SCHEDULE_LOG_FOLDER = "var/schedule"


class SchedulingRefused(RuntimeError):
    """The flows can't be scheduled on this machine; the message says why."""


def format_shell_command(root: Path, name: str) -> str:
    """Format the command that runs one flow of a checkout.

    Args:
        root: The checkout.
        name: The command of `penumbra`, such as "monitor".

    Returns:
        A line for a shell; the output is appended to `var/schedule/<name>.log` in the checkout.
    """
    folder, program = shlex.quote(str(root)), shlex.quote(str(root / "bin/penumbra"))
    return f"cd {folder} && {program} {name} >> {SCHEDULE_LOG_FOLDER}/{name}.log 2>&1"
