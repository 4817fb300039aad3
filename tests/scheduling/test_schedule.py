"""Entries for cron and systemd. The programs that keep them are stood in for by scripts that keep a file: a test must
not touch the tables of the machine that it runs on."""

import os
import shutil
from pathlib import Path

import pytest

from penumbra.core.settings import load_settings
from penumbra.scheduling.commands import SchedulingRefused
from penumbra.scheduling.schedule import list_flow_times, schedule_flows, unschedule_flows
from tests.helpers.command_line import run_command_line

CRONTAB = """#!/bin/sh
[ "$1" = -l ] && { [ -e "$TABLE" ] || { echo no crontab >&2; exit 1; }; exec cat "$TABLE"; }
exec cat > "$TABLE"
"""
SYSTEMCTL = '#!/bin/sh\necho "$@" >> "$TABLE"\n'
SCHEDULE = load_settings(environ={}).schedule
OTHERS = "MAILTO=ann\n0 5 * * 1 tar czf /backups/home.tgz .\n"


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> Path:
    """The only one of them on PATH; returns the file that it keeps."""
    (folder / "bin").mkdir()
    for needed in ("sh", "cat"):
        os.symlink(str(shutil.which(needed)), folder / "bin" / needed)
    (folder / "bin" / name).write_text(script)
    (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setenv("TABLE", str(folder / "table"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    return folder / "table"


@pytest.fixture
def cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return program(tmp_path, monkeypatch, "crontab", CRONTAB)


def test_ingest_monitor_and_promote_run_every_night_in_that_order(cron: Path, tmp_path: Path) -> None:
    assert "with cron" in schedule_flows(SCHEDULE, tmp_path)
    lines = cron.read_text().splitlines()[1:-1]
    assert [line.split("bin/penumbra ")[1].split()[0] for line in lines] == ["ingest", "monitor", "promote"]
    assert lines[0].startswith(f"5 2 * * * cd {tmp_path} && {tmp_path}/bin/penumbra")
    times = list(list_flow_times(SCHEDULE).values())
    assert sorted(times) == times


def test_what_others_have_scheduled_stays_as_it_is(cron: Path, tmp_path: Path) -> None:
    cron.write_text(OTHERS)
    schedule_flows(SCHEDULE, tmp_path)
    assert cron.read_text().startswith(OTHERS)
    assert unschedule_flows(tmp_path) == "Nothing is scheduled any more."
    assert cron.read_text() == OTHERS


def test_to_schedule_twice_is_to_schedule_once(cron: Path, tmp_path: Path) -> None:
    schedule_flows(SCHEDULE, tmp_path)
    first_table = cron.read_text()
    schedule_flows(SCHEDULE, tmp_path)
    assert cron.read_text() == first_table


def test_each_checkout_has_its_own_entries(cron: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "other"
    schedule_flows(SCHEDULE, first)
    first_table = cron.read_text()
    schedule_flows(SCHEDULE, second)
    unschedule_flows(second)
    assert cron.read_text() == first_table


def test_where_nothing_was_scheduled_nothing_is_touched(cron: Path, tmp_path: Path) -> None:
    assert unschedule_flows(tmp_path) == "Nothing was scheduled."
    assert not cron.exists()


def test_a_folder_with_a_strange_name_is_quoted(cron: Path, tmp_path: Path) -> None:
    schedule_flows(SCHEDULE, tmp_path / "50% of it's here")
    assert r"/50\% of it" in cron.read_text()


def test_a_table_that_cron_refuses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "crontab", "#!/bin/sh\necho not allowed >&2\nexit 1\n")
    with pytest.raises(SchedulingRefused, match="not allowed"):
        schedule_flows(SCHEDULE, tmp_path)


def test_without_cron_it_is_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = program(tmp_path, monkeypatch, "systemctl", SYSTEMCTL)
    assert "with systemd" in schedule_flows(SCHEDULE, tmp_path)
    units = tmp_path / "config/systemd/user"
    timers = sorted(units.glob("*.timer"))
    assert len(timers) == 3
    assert "OnCalendar=*-*-* 02:05:00" in timers[0].read_text()
    assert f"--user enable --now {timers[0].name}" in calls.read_text()
    unschedule_flows(tmp_path)
    assert list(units.iterdir()) == []
    assert f"--user disable --now {timers[0].name}" in calls.read_text()


def test_without_either_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulingRefused, match="neither crontab nor systemctl"):
        schedule_flows(SCHEDULE, tmp_path)


def test_where_flows_have_an_image_it_is_said_that_a_cluster_schedules_them_too(
    cron: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "CronWorkflows" not in run_command_line("schedule").stdout
    monkeypatch.setenv("PENUMBRA_CLUSTER__IMAGE", "registry.example/flows:1")
    assert "there the CronWorkflows of" in run_command_line("schedule").stdout


def test_batch_scoring_runs_at_its_time_once_it_is_said_what_is_scored(
    cron: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_command_line("schedule")
    assert "penumbra score" not in cron.read_text()
    monkeypatch.setenv("PENUMBRA_SCHEDULE__SCORE", "04:10")
    refused = run_command_line("schedule")
    assert (refused.exit_code, refused.stderr.strip()) == (
        1,
        "schedule.score has a time, so score.input and score.output have to say what is scored",
    )
    monkeypatch.setenv("PENUMBRA_SCORE__INPUT", "orders")
    monkeypatch.setenv("PENUMBRA_SCORE__OUTPUT", "answers")
    run_command_line("schedule")
    assert "10 4 * * *" in cron.read_text()
    assert "penumbra score >>" in cron.read_text()
