"""`make schedule` and `make unschedule`: ingest, monitor and promote every night, by cron, or by systemd where there is
no cron. Entries of this checkout are marked as such; all others are left as they are."""

import datetime as dt
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT

FLOW_TIMES = {"ingest": (2, 5), "monitor": (2, 35), "promote": (3, 35)}  # hour and minute, the machine's time
SCHEDULE_LOG_FOLDER = "var/schedule"


class SchedulingRefused(RuntimeError):
    """It can't be done here; says why."""


def schedule_flows(root: Path = PROJECT_ROOT) -> str:
    """Put this checkout's entries in place of earlier ones of its own; returns what is to be said. Raises Refused."""
    (root / SCHEDULE_LOG_FOLDER).mkdir(parents=True, exist_ok=True)
    if shutil.which("crontab"):
        _write_crontab(_read_other_lines(root) + _crontab_block(root))
        where = "cron"
    elif shutil.which("systemctl"):
        _write_systemd_units(root)
        where = "systemd"
    else:
        raise SchedulingRefused(
            "there is neither crontab nor systemctl on this machine: run `make monitor` by whatever is there"
        )
    times = ", ".join(f"{name} at {hour:02}:{minute:02}" for name, (hour, minute) in FLOW_TIMES.items())
    return f"Scheduled with {where}, every day: {times}. What they say goes to {SCHEDULE_LOG_FOLDER}/. `make unschedule` undoes it."


def unschedule_flows(root: Path = PROJECT_ROOT) -> str:
    """Take this checkout's entries away, and nothing else; returns what is to be said."""
    found = False
    if shutil.which("crontab") and _crontab_block(root)[0] in _read_crontab():
        _write_crontab(_read_other_lines(root))
        found = True
    for unit in _list_systemd_units(root):
        _run_systemctl("disable", "--now", unit.with_suffix(".timer").name, check=False)
        for suffix in (".timer", ".service"):
            unit.with_suffix(suffix).unlink(missing_ok=True)
        found = True
    return "Nothing is scheduled any more." if found else "Nothing was scheduled."


def compute_next_runs(now: dt.datetime, root: Path = PROJECT_ROOT) -> dict[str, dt.datetime]:
    """When each flow runs next by this checkout's entries, in the machine's time; empty where there are none."""
    in_cron = bool(shutil.which("crontab")) and _crontab_block(root)[0] in _read_crontab()
    if not in_cron and not _list_systemd_units(root):
        return {}
    today = {
        name: now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        for name, (hour, minute) in FLOW_TIMES.items()
    }
    return {name: time if time > now else time + dt.timedelta(days=1) for name, time in today.items()}


def _crontab_block(root: Path) -> list[str]:
    marks = [f"# {edge} penumbra in {root}" for edge in (">>>", "<<<")]
    lines = [f"{minute} {hour} * * * {_shell_command(root, name)}" for name, (hour, minute) in FLOW_TIMES.items()]
    return [marks[0], *(line.replace("%", r"\%") for line in lines), marks[1]]


def _shell_command(root: Path, name: str) -> str:
    return f"cd {shlex.quote(str(root))} && make --no-print-directory {name} >> {SCHEDULE_LOG_FOLDER}/{name}.log 2>&1"


def _read_other_lines(root: Path) -> list[str]:
    """The lines of the crontab that aren't of this checkout."""
    begin, end = _crontab_block(root)[0], _crontab_block(root)[-1]
    kept, ours = [], False
    for line in _read_crontab():
        ours = ours or line == begin
        if not ours:
            kept.append(line)
        ours = ours and line != end
    return kept


def _read_crontab() -> list[str]:
    """Empty where the user has none."""
    found = subprocess.run(["crontab", "-l"], capture_output=True, text=True)
    return found.stdout.splitlines() if found.returncode == 0 else []


def _write_crontab(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(["crontab", "-"], input=text, capture_output=True, text=True)
    if done.returncode:
        raise SchedulingRefused(f"crontab refused the new table: {done.stderr.strip()}")


def _write_systemd_units(root: Path) -> None:
    for name, (hour, minute) in FLOW_TIMES.items():
        unit = _systemd_folder() / f"penumbra-{_checkout_id(root)}-{name}"
        unit.parent.mkdir(parents=True, exist_ok=True)
        command = f"/bin/sh -c {shlex.quote(_shell_command(root, name))}".replace("%", "%%")
        about = f"[Unit]\nDescription=Penumbra: make {name} in {root}\n"
        unit.with_suffix(".service").write_text(f"{about}\n[Service]\nType=oneshot\nExecStart={command}\n")
        when = f"[Timer]\nOnCalendar=*-*-* {hour:02}:{minute:02}:00\nPersistent=true\n"
        unit.with_suffix(".timer").write_text(f"{about}\n{when}\n[Install]\nWantedBy=timers.target\n")
    _run_systemctl("daemon-reload")
    for unit in _list_systemd_units(root):
        _run_systemctl("enable", "--now", unit.with_suffix(".timer").name)


def _list_systemd_units(root: Path) -> list[Path]:
    return sorted(_systemd_folder().glob(f"penumbra-{_checkout_id(root)}-*.service"))


def _systemd_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"


def _checkout_id(root: Path) -> str:
    return hashlib.sha256(str(root).encode()).hexdigest()[:8]


def _run_systemctl(*words: str, check: bool = True) -> None:
    done = subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True)
    if check and done.returncode:
        raise SchedulingRefused(f"systemctl --user {' '.join(words)}: {done.stderr.strip()}")


if __name__ == "__main__":
    try:
        print(unschedule_flows() if sys.argv[1:] == ["off"] else schedule_flows())
    except SchedulingRefused as reason:
        sys.exit(str(reason))
