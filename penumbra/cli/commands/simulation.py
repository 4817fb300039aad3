"""Commands that play the later months: backtest, replay."""

import os

import click

from penumbra.cli.group import ProjectCommand, refuse_on


@click.command("backtest", cls=ProjectCommand, example="PENUMBRA_DATA__TODAY=2024-07-01 penumbra backtest")
def compare_policies() -> None:
    """Compare policies of retraining over the later months: loss, retrainings, mistakes, cost.

    The days after data.today are played; what came before it, the first models learn from. Where all batches are
    history, set it to a day in their middle.
    """
    from penumbra.simulation.backtest import run

    with refuse_on(*run.RUN_ERRORS):
        run.main()


@click.command("replay", cls=ProjectCommand, example="penumbra replay --days 14")
@click.option("--days", type=click.IntRange(min=1), help="Play so many days only.")
@click.option("--update-readme", is_flag=True, help="Put the last words and the picture into the README; 14 days.")
def play_replay(days: int | None, update_readme: bool) -> None:
    """Play the later months day by day through the real loop, with a report at the end.

    A replay that was interrupted goes on where it was.
    """
    from flows.steps.processes.flow_forks import fork_flows
    from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
    from flows.steps.processes.task_forks import import_modules
    from penumbra.core.system.lean_imports import UNUSED

    # Read once, when libraries are loaded: flows run beside the days.
    os.environ.update(SINGLE_THREAD_ENVIRONMENT, METAFLOW_USER="replay")
    import_modules([*UNUSED])
    from penumbra.simulation.replay import demo, run

    with fork_flows() as runner:  # which have what is imported by now
        runner.import_ahead(["train"])
        if update_readme:
            demo.extract_replay_output(demo.README_FILE.read_text(encoding="utf-8"))
        with refuse_on(*run.PLAN_ERRORS):
            folder, report = run.main(runner, days or (14 if update_readme else 0))
        if update_readme:
            demo.record_demo(folder, report)


COMMANDS = (compare_policies, play_replay)
