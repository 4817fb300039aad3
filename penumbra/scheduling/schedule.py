"""Ingest, monitor and promote every night, by cron, or by systemd where there is no cron.

Entries of this checkout are marked as such; all others are left as they are.
"""

import datetime as dt
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT, ScheduleSettings
from penumbra.scheduling import crontab, systemd
from penumbra.scheduling.commands import SCHEDULE_LOG_FOLDER, SchedulingRefused


def schedule_flows(schedule: ScheduleSettings, root: Path = PROJECT_ROOT) -> str:
    """Put this checkout's entries in place of earlier ones of its own.

    Args:
        schedule: The times.
        root: The checkout.

    Returns:
        A message that says what runs when, and by which program.

    Raises:
        SchedulingRefused: There is neither cron nor systemd, or it refuses the entries.
    """
    (root / SCHEDULE_LOG_FOLDER).mkdir(parents=True, exist_ok=True)
    times = list_flow_times(schedule)
    if crontab.is_cron_available():
        crontab.write_cron_entries(root, times)
        scheduler = "cron"
    elif systemd.is_systemd_available():
        systemd.write_systemd_units(root, times)
        scheduler = "systemd"
    else:
        raise SchedulingRefused(
            "there is neither crontab nor systemctl on this machine: run `penumbra monitor` by whatever is there"
        )
    listed = ", ".join(f"{name} at {hour:02}:{minute:02}" for name, (hour, minute) in times.items())
    return (
        f"Scheduled with {scheduler}, every day: {listed}. What they say goes to {SCHEDULE_LOG_FOLDER}/. "
        "`penumbra schedule --off` undoes it."
    )


def unschedule_flows(root: Path = PROJECT_ROOT) -> str:
    """Remove this checkout's entries, and nothing else.

    Args:
        root: The checkout.

    Returns:
        A message that says whether there were any.

    Raises:
        SchedulingRefused: crontab refuses the new table.
    """
    if not _is_scheduled(root):
        return "Nothing was scheduled."
    if crontab.has_cron_entries(root):
        crontab.remove_cron_entries(root)
    systemd.remove_systemd_units(root)
    return "Nothing is scheduled any more."


def compute_next_runs(schedule: ScheduleSettings, now: dt.datetime) -> dict[str, dt.datetime]:
    """Compute when each flow runs next by this checkout's entries.

    Args:
        schedule: The times.
        now: The present time, in the machine's time zone.

    Returns:
        The time of each command's next run, in the machine's time zone; empty where nothing is scheduled.
    """
    if not _is_scheduled(PROJECT_ROOT):
        return {}
    today = {
        name: now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        for name, (hour, minute) in list_flow_times(schedule).items()
    }
    return {name: time if time > now else time + dt.timedelta(days=1) for name, time in today.items()}


def list_flow_times(schedule: ScheduleSettings) -> dict[str, tuple[int, int]]:
    """List when the commands run.

    Args:
        schedule: The times.

    Returns:
        Hour and minute of each command that is to run, in the machine's time.
    """
    return {name: (time.hour, time.minute) for name, time in schedule if time}


def _is_scheduled(root: Path) -> bool:
    return crontab.has_cron_entries(root) or bool(systemd.list_systemd_units(root))
