"""A checkout's entries in the user's crontab, between two marks; all other lines stay as they are."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from penumbra.scheduling.commands import SchedulingRefused, format_shell_command


def is_cron_available() -> bool:
    """Return whether this machine has cron."""
    return shutil.which("crontab") is not None


def has_cron_entries(root: Path) -> bool:
    """Check for a checkout's entries.

    Args:
        root: The checkout.

    Returns:
        Whether the user's crontab has entries of it.
    """
    return is_cron_available() and _make_marks(root)[0] in _read_crontab()


def write_cron_entries(root: Path, times: Mapping[str, tuple[int, int]]) -> None:
    """Put a checkout's entries in place of earlier ones of its own.

    Args:
        root: The checkout.
        times: Hour and minute of each command, in the machine's time.

    Raises:
        SchedulingRefused: crontab refuses the new table.
    """
    begin, end = _make_marks(root)
    lines = [f"{minute} {hour} * * * {format_shell_command(root, name)}" for name, (hour, minute) in times.items()]
    _write_crontab([*_read_other_lines(root), begin, *(line.replace("%", r"\%") for line in lines), end])


def remove_cron_entries(root: Path) -> None:
    """Remove a checkout's entries, and nothing else.

    Args:
        root: The checkout.

    Raises:
        SchedulingRefused: crontab refuses the new table.
    """
    _write_crontab(_read_other_lines(root))


def _make_marks(root: Path) -> tuple[str, str]:
    return f"# >>> penumbra in {root}", f"# <<< penumbra in {root}"


def _read_other_lines(root: Path) -> list[str]:
    """Return the lines of the crontab that aren't of this checkout."""
    begin, end = _make_marks(root)
    other_lines, is_ours = [], False
    for line in _read_crontab():
        is_ours = is_ours or line == begin
        if not is_ours:
            other_lines.append(line)
        is_ours = is_ours and line != end
    return other_lines


def _read_crontab() -> list[str]:
    """Return the crontab's lines, none where the user has no crontab."""
    crontab = subprocess.run(["crontab", "-l"], capture_output=True, text=True)
    return crontab.stdout.splitlines() if crontab.returncode == 0 else []


def _write_crontab(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    crontab = subprocess.run(["crontab", "-"], input=text, capture_output=True, text=True)
    if crontab.returncode:
        raise SchedulingRefused(f"crontab refused the new table: {crontab.stderr.strip()}")
