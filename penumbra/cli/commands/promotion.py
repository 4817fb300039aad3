"""Commands about promotion: promote, rollback, history, release."""

import click

from penumbra.cli.group import ProjectCommand, Refusal, as_json_option, refuse_on, show_progress
from penumbra.cli.processes import run_flow_process


@click.command(
    "promote", cls=ProjectCommand, example='penumbra promote --force --version 2 --reason "the labels are late"'
)
@click.option("--force", is_flag=True, help="Promote whatever the evidence says; needs --reason.")
@click.option("--reason", default="", help="Why, for the ledger.")
@click.option("--version", default="", help="Which version to promote by force, instead of the candidate.")
def weigh_candidate(force: bool, reason: str, version: str) -> None:
    """Weigh candidate and last promotion by shadow and labels, and act on it.

    Promotes, rejects, keeps collecting, or rolls back.
    """
    if force and not reason:
        raise click.UsageError('Say why: --force needs --reason "…".')
    if (version or reason) and not force:
        raise click.UsageError("--version and --reason need --force: without it the candidate is weighed.")
    click.echo("\n" + run_flow_process("promote", f"--force={force}", f"--reason={reason}", f"--version={version}"))


@click.command("rollback", cls=ProjectCommand, example='penumbra rollback --reason "complaints"')
@click.option("--reason", default="", help="Why, for the ledger.")
@click.option("--to", metavar="VERSION", default="", help="The version to go back to, instead of the previous one.")
def return_to_previous(reason: str, to: str) -> None:
    """Let the previous model answer again at once, with or without the registry."""
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.registry.history.ledger_entries import BrokenLedger
    from penumbra.registry.pointers import ROLLBACK_PIN_FILE
    from penumbra.registry.rollback import RollbackRefused, roll_back_live, sync_rollback

    with refuse_on(RollbackRefused, SettingsError), show_progress("Going back to the previous version"):
        settings = load_settings()
        try:
            click.echo(roll_back_live(settings, reason, to))
        except RollbackRefused:
            if (settings.service.state / ROLLBACK_PIN_FILE).exists():  # the last one was cut short
                sync_rollback(settings)
            raise
        except (BrokenLedger, OSError) as error:
            sync_rollback(settings)
            raise Refusal(f"the previous version answers again, but the ledger doesn't have it: {error}") from None
    with show_progress("Telling the registry"):
        said = sync_rollback(settings)
    click.echo(said)


@click.command("history", cls=ProjectCommand, example="penumbra history 7")
@click.argument("entry", type=click.IntRange(min=1), required=False)
@click.option("--rebuild", is_flag=True, help="Set the registry's aliases to what the ledger says.")
@click.option("--share", is_flag=True, help="Take this machine's ledger to the state that machines share.")
@click.option("--verify", is_flag=True, help="Read every entry anew, where machines share them too, and check it.")
@as_json_option
def show_history(entry: int | None, rebuild: bool, share: bool, verify: bool, as_json: bool) -> None:
    """Show every verdict, promotion, rollback and retraining; or one ENTRY with its evidence."""
    from penumbra.cli.reports.decisions import ledger_report
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.registry.aliases import AliasesChanged
    from penumbra.registry.history import ledger_sync
    from penumbra.registry.history.ledger_entries import BrokenLedger
    from penumbra.registry.history.shared_ledger import open_ledger, share_ledger

    alone = [name for name, given in (("rebuild", rebuild), ("share", share), ("verify", verify)) if given]
    if alone and (entry or as_json or len(alone) > 1):
        raise click.UsageError(f"--{alone[0]} stands alone.")
    with refuse_on(BrokenLedger, LookupError, SettingsError, AliasesChanged):
        settings = load_settings()
        if share:
            click.echo(share_ledger(settings))
            return
        ledger = open_ledger(settings)
        if verify:
            click.echo(ledger_report.describe_verified(ledger.verify_entries()))
            return
        entries = ledger.entries()
        if rebuild:
            click.echo(ledger_sync.rebuild_aliases(settings, entries))
        elif entry:
            click.echo(ledger_report.format_ledger_entry(ledger_report.find_ledger_entry(entries, entry)))
        elif as_json:
            click.echo(ledger_report.encode_ledger(entries))
        else:
            click.echo(ledger_report.format_ledger(entries))


@click.command("release", cls=ProjectCommand, example="penumbra release --tracking URL --state s3://bucket/state live")
@click.argument("version", default="live")
@click.option("--tracking", metavar="URL", required=True, help="The other environment's registry.")
@click.option("--state", metavar="URL", required=True, help="What its machines share: cluster.state there.")
def copy_version(version: str, tracking: str, state: str) -> None:
    """Copy a model version of another environment, such as staging, into this one's registry.

    VERSION is a number or an alias there. Here it becomes the candidate, with the gate's verdict from there in the
    ledger, or the live model where there is none yet.
    """
    from flows.steps.train.release.version_release import ReleaseRefused, release_version
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.registry.bundles.manifest import BrokenBundle
    from penumbra.registry.errors import MlflowException
    from penumbra.registry.history.ledger_entries import BrokenLedger

    with (
        refuse_on(MlflowException, prefix="a registry can't be asked: "),
        refuse_on(SettingsError, ProblemError, BrokenBundle, BrokenLedger, ReleaseRefused),
        show_progress("Copying the version"),
    ):
        text = release_version(load_settings(), load_problem(), tracking, state, version)
    click.echo(text)


COMMANDS = (weigh_candidate, return_to_previous, show_history, copy_version)
