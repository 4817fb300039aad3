"""Commands about what waits for people: approvals, approve, decline."""

import click

from penumbra.cli.group import ProjectCommand, as_json_option, print_json, refuse_on


@click.command("approvals", cls=ProjectCommand, example="penumbra approvals")
@click.option("--all", "with_ended", is_flag=True, help="Show those that have ended, too.")
@as_json_option
def list_approvals(with_ended: bool, as_json: bool) -> None:
    """List what waits for people: promotions and retrainings to approve, investigations to end."""
    from penumbra.approvals.requests import list_requests
    from penumbra.cli.reports.decisions import approval_report
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.registry.history.ledger_entries import BrokenLedger
    from penumbra.registry.history.shared_ledger import open_ledger

    with refuse_on(BrokenLedger, SettingsError):
        settings = load_settings()
        every = list_requests(open_ledger(settings).entries())
    approvers = settings.promotion.approvers
    shown = [each.require_approvers(approvers) for each in every if with_ended or each.status == "waiting"]
    if as_json:
        print_json([approval_report.describe_request(request) for request in shown])
    else:
        click.echo(approval_report.format_requests(shown))


@click.command("approve", cls=ProjectCommand, example='penumbra approve 12 --reason "the shop agrees"')
@click.argument("entry", type=click.IntRange(min=1))
@click.option("--reason", default="", help="Why, for the ledger; needed to end an investigation.")
@click.option("--accept", is_flag=True, help="Of an investigation: its days are no fault, and are learnt from.")
@click.option("--accept-columns", is_flag=True, help="Of an investigation: what its columns hold is no fault, ever.")
@click.option("--keep", is_flag=True, help="Of an investigation: the fault is confirmed, its days stay left out.")
def approve_entry(entry: int, reason: str, accept: bool, accept_columns: bool, keep: bool) -> None:
    """Approve what the verdict in ENTRY of the ledger waits for, or end an investigation."""
    from penumbra.approvals.requests import ACCEPT_COLUMNS, ACCEPT_DAYS, APPROVE, KEEP

    given = {ACCEPT_DAYS: accept, ACCEPT_COLUMNS: accept_columns, KEEP: keep}
    chosen = [choice for choice, is_given in given.items() if is_given] or [APPROVE]
    if len(chosen) > 1:
        raise click.UsageError("--accept, --accept-columns and --keep exclude each other.")
    _answer(entry, chosen[0], reason)


@click.command("decline", cls=ProjectCommand, example='penumbra decline 12 --reason "not before the holidays"')
@click.argument("entry", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why, for the ledger.")
def decline_entry(entry: int, reason: str) -> None:
    """Decline what the verdict in ENTRY of the ledger waits for."""
    from penumbra.approvals.requests import DECLINE

    _answer(entry, DECLINE, reason)


def _answer(entry: int, choice: str, reason: str) -> None:
    from monitoring.windows.window_store import DamagedWindow
    from penumbra.approvals.announcements import announce_approvals
    from penumbra.approvals.answers import ApprovalAnswer, record_answer
    from penumbra.approvals.requests import ApprovalRefused
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.core.system.actor import get_actor
    from penumbra.registry.aliases import AliasesChanged
    from penumbra.registry.errors import MlflowException
    from penumbra.registry.history.ledger_entries import BrokenLedger
    from penumbra.storage.sealed import DamagedFile

    errors = (ApprovalRefused, AliasesChanged, BrokenLedger, DamagedFile, DamagedWindow, MlflowException, SettingsError)
    with refuse_on(*errors):
        settings = load_settings()
        click.echo(record_answer(settings, ApprovalAnswer(entry, get_actor(), choice, reason)))  # type: ignore[arg-type]
        announce_approvals(settings)


COMMANDS = (list_approvals, approve_entry, decline_entry)
