"""Commands about watching the loop: monitor, explain-window, overview, dashboard, schedule."""

import datetime as dt

import click

from penumbra.cli.group import ProjectCommand, as_json_option, print_json, refuse_on, show_progress
from penumbra.cli.processes import run_flow_process


@click.command("monitor", cls=ProjectCommand, example="PENUMBRA_DATA__TODAY=2024-05-01 penumbra monitor")
def monitor_windows() -> None:
    """Judge the windows that are over: data faults, drift, loss; retrain where that is called for."""
    run_flow_process("monitor")


@click.command("explain-window", cls=ProjectCommand, example="penumbra explain-window 2024-07-01")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), metavar="[DAY]", required=False)
@as_json_option
def print_window_explanation(day: dt.datetime | None, as_json: bool) -> None:
    """Explain the window that has the day DAY: which columns, since when, and why the loss has risen.

    Without DAY the latest window with an alarm; where none has any, the latest one.
    """
    from monitoring.windows.window_store import DamagedWindow
    from penumbra.cli.reports.decisions import window_report
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError, DamagedWindow, window_report.NoExplanation):
        window = window_report.find_explained_window(load_settings(), day.date() if day else None)
    if as_json:
        print_json(window_report.encode_window_explanation(window))
    else:
        click.echo("\n\n".join(window_report.format_window_explanation(window)))


@click.command("overview", cls=ProjectCommand, example="penumbra overview")
def print_overview_path() -> None:
    """Write the loop on one page, which works offline and on a phone, and print where it is."""
    from monitoring.dashboard.overview.overview_page import SHOWN_PARTS, write_overview
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError, ProblemError), show_progress("Writing the page"):
        page = write_overview(load_settings(), load_problem(SHOWN_PARTS))
    click.echo(page)


@click.command("dashboard", cls=ProjectCommand, example="PENUMBRA_DASHBOARD__FIRST_PORT=8081 penumbra dashboard")
def open_dashboard() -> None:
    """Serve the overview, MLflow's and Evidently's pages.

    Prints their addresses, and ends with Ctrl-C.
    """
    from monitoring.dashboard import processes

    processes.main()


@click.command("schedule", cls=ProjectCommand, example="penumbra schedule --off")
@click.option("--off", is_flag=True, help="Take exactly those entries away again.")
def set_schedule(off: bool) -> None:
    """Have ingest, monitor and promote run every day by cron or systemd, at the times of [schedule] in settings.

    Batch scoring, too, where schedule.score has a time.
    """
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.scheduling.commands import SchedulingRefused
    from penumbra.scheduling.schedule import schedule_flows, unschedule_flows

    with refuse_on(SchedulingRefused, SettingsError):
        settings = load_settings()
        if settings.schedule.score and not (off or (settings.score.input and settings.score.output)):
            raise SettingsError("schedule.score has a time, so score.input and score.output have to say what is scored")
        click.echo(unschedule_flows() if off else schedule_flows(settings.schedule))
    if settings.cluster.image and not off:
        click.echo(
            "With `cluster.image` set they may run in a cluster, too: there the CronWorkflows of "
            "`penumbra cluster compile` run them at these times (UTC). One of both is enough."
        )


COMMANDS = (monitor_windows, print_window_explanation, print_overview_path, open_dashboard, set_schedule)
