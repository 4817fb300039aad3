"""Commands about the data: ingest, flywheel, doctor, quarantine, restore, start-over."""

from pathlib import Path

import click

from penumbra.cli.group import ProjectCommand, as_json_option, print_json, refuse_on, show_progress
from penumbra.cli.processes import run_flow_process


@click.command("ingest", cls=ProjectCommand, example='penumbra ingest --again "$(ls data/batches | tail -n 1)"')
@click.option(
    "--again", metavar="BATCH", help="Fetch and check this batch anew, once its source or the contract is mended."
)
def ingest_batches(again: str | None) -> None:
    """Check the batches that have arrived, and make them a data version."""
    run_flow_process("ingest", *([f"--again={again}"] if again else []))


@click.command("flywheel", cls=ProjectCommand, example="penumbra flywheel")
def make_flywheel_batch() -> None:
    """Make one batch of what was answered and labelled, until the last day whose labels are mature.

    The source's batches that have arrived are ingested first: what the source has is the source's. With
    `flywheel.period` set, `penumbra ingest` makes a batch of each period by itself.
    """
    run_flow_process("ingest", "--flywheel=once")


@click.command("doctor", cls=ProjectCommand, example="penumbra doctor")
def examine_batches() -> None:
    """Examine data, contract and features.

    Looks for leakage, dead columns, repeated keys, disorder in time and train/serve skew. Each finding names the
    column, the evidence and the remedy; exit code 3 if there is one that gate.accept doesn't name.
    """
    from flows.steps.doctor import examination

    examination.main()


@click.command("quarantine", cls=ProjectCommand, example="penumbra quarantine --json")
@as_json_option
def show_quarantine(as_json: bool) -> None:
    """Show the rejected rows by batch and rule, with an example of each, and the days that no training learns from."""
    from flows.steps.train.exclusions import excluded_days, exclusion_report
    from penumbra.approvals.accepted_faults import include_accepted_faults
    from penumbra.cli.reports import quarantine_report
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.data.partitions.partition_code import STORED_PARTS
    from penumbra.data.source_reader import BatchRefused

    with refuse_on(SettingsError, ProblemError, BatchRefused), show_progress("Looking for data faults"):
        settings, problem = load_settings(), load_problem(STORED_PARTS)
        rejected = quarantine_report.read_quarantine(settings.data, problem)
        if as_json:
            return print_json(quarantine_report.count_rejected_rows(rejected))
        days = excluded_days.find_excluded_days(include_accepted_faults(settings), problem)
    listed = [quarantine_report.describe_quarantine(rejected, problem), exclusion_report.list_excluded_spans(days)]
    click.echo("\n\n".join(filter(None, listed)))


@click.command("restore", cls=ProjectCommand, example="penumbra restore 1 --into old")
@click.argument("model")
@click.option(
    "--into",
    metavar="FOLDER",
    default="restored",
    show_default=True,
    type=click.Path(path_type=Path),
    callback=lambda ctx, parameter, value: value.absolute(),
    help="A new folder for the data.",
)
@as_json_option
def restore_data(model: str, into: Path, as_json: bool) -> None:
    """Bring back the exact data that MODEL was made from.

    MODEL is the number of a model version or the id of an MLflow run.
    """
    from penumbra.cli.reproduction import restore_run_data
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.data.versioning.dvc_file import DamagedDvcFile
    from penumbra.data.versioning.restoring import RestoreFailed
    from penumbra.registry.errors import MlflowException

    with (
        refuse_on(SettingsError, RestoreFailed, DamagedDvcFile, MlflowException, prefix="nothing was restored: "),
        show_progress("Restoring the data"),
    ):
        version = restore_run_data(load_settings(), model, into)
    if as_json:
        print_json({"data_version": version, "folder": into})
    else:
        click.echo(f"data version {version} is in {into}, verified")


@click.command("start-over", cls=ProjectCommand, example="penumbra start-over")
def set_problem_aside() -> None:
    """Set the data, models, logs and ledger of another problem aside.

    For a problem/ that has taken the place of another, of which there is data or a model. Nothing is deleted: all of it
    is moved into a folder below var/.
    """
    from penumbra.cli.fresh_start import StartOverRefused, start_over
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError, StartOverRefused):
        click.echo(start_over(load_settings()))


COMMANDS = (ingest_batches, make_flywheel_batch, examine_batches, show_quarantine, restore_data, set_problem_aside)
