"""A checkout's timers among the user's systemd units; all other units stay as they are."""

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from penumbra.scheduling.commands import SchedulingRefused, format_shell_command


def is_systemd_available() -> bool:
    """Return whether this machine has systemd."""
    return shutil.which("systemctl") is not None


def write_systemd_units(root: Path, times: Mapping[str, tuple[int, int]]) -> None:
    """Write a checkout's services and timers, and enable the timers.

    Args:
        root: The checkout.
        times: Hour and minute of each command, in the machine's time.

    Raises:
        SchedulingRefused: systemctl fails.
    """
    for name, (hour, minute) in times.items():
        unit = _get_systemd_folder() / f"penumbra-{_hash_checkout(root)}-{name}"
        unit.parent.mkdir(parents=True, exist_ok=True)
        command = f"/bin/sh -c {shlex.quote(format_shell_command(root, name))}".replace("%", "%%")
        about = f"[Unit]\nDescription=Penumbra: penumbra {name} in {root}\n"
        unit.with_suffix(".service").write_text(f"{about}\n[Service]\nType=oneshot\nExecStart={command}\n")
        timer = f"[Timer]\nOnCalendar=*-*-* {hour:02}:{minute:02}:00\nPersistent=true\n"
        unit.with_suffix(".timer").write_text(f"{about}\n{timer}\n[Install]\nWantedBy=timers.target\n")
    _run_systemctl("daemon-reload")
    for unit in list_systemd_units(root):
        _run_systemctl("enable", "--now", unit.with_suffix(".timer").name)


def remove_systemd_units(root: Path) -> None:
    """Disable a checkout's timers and remove its units, and nothing else.

    Args:
        root: The checkout.
    """
    for unit in list_systemd_units(root):
        _run_systemctl("disable", "--now", unit.with_suffix(".timer").name, check=False)
        for suffix in (".timer", ".service"):
            unit.with_suffix(suffix).unlink(missing_ok=True)


def list_systemd_units(root: Path) -> list[Path]:
    """List a checkout's services.

    Args:
        root: The checkout.

    Returns:
        The paths of the .service files.
    """
    return sorted(_get_systemd_folder().glob(f"penumbra-{_hash_checkout(root)}-*.service"))


def _get_systemd_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"


def _hash_checkout(root: Path) -> str:
    return hashlib.sha256(str(root).encode()).hexdigest()[:8]


def _run_systemctl(*arguments: str, check: bool = True) -> None:
    systemctl = subprocess.run(["systemctl", "--user", *arguments], capture_output=True, text=True)
    if check and systemctl.returncode:
        raise SchedulingRefused(f"systemctl --user {' '.join(arguments)}: {systemctl.stderr.strip()}")
