"""Commands about training: train, experiment, compare, card, report-change, reproduce."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penumbra.cli.group import (
    EXIT_FINDINGS,
    ProjectCommand,
    Refusal,
    as_json_option,
    print_json,
    refuse_on,
    show_progress,
)
from penumbra.cli.processes import run_experiment, run_flow_process, train_in_pods

if TYPE_CHECKING:
    from flows.steps.processes.flow_forks import FlowRunner
    from penumbra.core.problem import Problem
    from penumbra.core.settings import Settings


@click.command("train", cls=ProjectCommand, example="penumbra train")
@click.option(
    "--skip-doctor", is_flag=True, help="Train without examining the data; the gate records that it was skipped."
)
@click.option("--reason", default="", help="Why, for the run.")
@click.option("--cluster", is_flag=True, help="Run the steps as pods, with the image that `cluster.image` names.")
def train_model(skip_doctor: bool, reason: str, cluster: bool) -> None:
    """Ingest, fit the candidates side by side, score, and register the best.

    The first model becomes live, later ones go into the shadow. The doctor examines the data before the first
    training. If data, code and settings were trained before, that is all the command says.
    """
    from flows.steps.processes.flow_forks import fork_flows

    words = ["--doctor=skipped: --skip-doctor"] if skip_doctor else []
    words += [f"--reason={reason}"] if reason else []
    text = ""
    with fork_flows() as runner:
        settings, _ = _load_project("schema")
        if cluster:
            train_in_pods(settings, words)
        else:
            text = _train_here(runner, settings, words, skip_doctor)
    click.echo("\n" + (text or _read_latest_receipt(settings.training.folder)).rstrip("\n"))


@click.command("experiment", cls=ProjectCommand, example="penumbra experiment forest")
@click.argument("candidate")
def start_experiment(candidate: str) -> None:
    """Try one CANDIDATE of problem/candidates.py, on a sample first and then in full."""
    from flows.steps.processes.flow_forks import fork_flows

    with fork_flows() as runner:
        runner.import_ahead(["experiment"])
        settings, problem = _load_project()
        from penumbra.data.flywheel_manifest import BATCHES_FOLDER

        if candidate not in (known := problem.candidates.CANDIDATES):
            raise Refusal(f"there is no candidate {candidate!r}: problem/candidates.py has {', '.join(known)}")
        if not (settings.data.folder / BATCHES_FOLDER).is_dir():
            run_flow_process("ingest")
        text = run_experiment(runner, settings, problem, candidate)
    click.echo("\n" + text.rstrip("\n"))


@click.command("compare", cls=ProjectCommand, example="penumbra compare --last 3")
@click.option("--last", type=click.IntRange(1, 1000), default=6, show_default=True, help="How many runs.")
@as_json_option
def compare_latest_runs(last: int, as_json: bool) -> None:
    """Show the latest experiments and trainings side by side, and what changed between them."""
    from dataclasses import asdict

    from penumbra.cli.run_comparison import read_compared_runs
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.registry.errors import MlflowException
    from penumbra.training.evaluation import comparison

    errors = SettingsError, MlflowException
    with refuse_on(*errors, prefix="nothing can be compared: "), show_progress("Reading the runs"):
        runs = read_compared_runs(load_settings().registry, last)
    if as_json:
        print_json([asdict(run) for run in runs])
    elif runs:
        click.echo(comparison.describe_runs(runs))
    else:
        click.echo("Nothing to compare yet: `penumbra experiment …` or `make train` makes a run.")


@click.command("report-change", cls=ProjectCommand, example="penumbra report-change --rows 5000 --out report.md")
@click.option(
    "--rows",
    type=click.IntRange(100),
    default=20_000,
    show_default=True,
    help="Rows that a candidate learns from at most.",
)
@click.option(
    "--candidate", "candidates", multiple=True, help="One to try in place of training.candidates; may be repeated."
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The file for the report; else it is printed."
)
@click.option("--post", is_flag=True, help="In a pipeline: show it on the run's page and as a comment of the request.")
@click.pass_context
def report_change(ctx: click.Context, rows: int, candidates: tuple[str, ...], out: Path | None, post: bool) -> None:
    """Tell what the code of here does to the model: a training on a sample, beside the live model, as Markdown.

    The newest batches come from data/ or the source. Registry, ledger and data version stay as they are. Exit code 3 if
    the doctor has found something, 1 if nothing can be trained; that the source or the registry is out of reach, as in
    pipelines of forks, is said in the report.
    """
    from penumbra.cli.change_comment import post_report
    from penumbra.cli.change_run import run_change_report

    if post and not out:
        raise click.UsageError("--post needs --out")
    if out:
        with refuse_on(OSError):
            out.parent.mkdir(parents=True, exist_ok=True)
            out.touch()
    with contextlib.redirect_stdout(sys.stderr):
        report = run_change_report(rows, candidates)
    if out:
        out.write_text(report.text)
    else:
        click.echo(report.text, nl=False)
    if post and out:
        click.echo(post_report(report.text, out, os.environ))
    if report.reason:
        raise Refusal(report.reason)
    ctx.exit(EXIT_FINDINGS if report.has_findings else 0)


@click.command("card", cls=ProjectCommand, example="penumbra card 1 --out card.html")
@click.argument("version", default="")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file: a page if it ends in .html, Markdown if in .md.",
)
def show_card(version: str, out: Path | None) -> None:
    """Print the card of a model VERSION, the live one's by default, with the data sheet of what it learnt from.

    It is made from the records of the version alone, so it is the same whenever it is printed.
    """
    if out and out.suffix not in (".html", ".md"):
        raise click.UsageError(f"--out {str(out)!r}: expected a file that ends in .html or .md")
    from monitoring.dashboard.model_cards.card_pages import format_card, render_card
    from monitoring.dashboard.model_cards.card_reader import read_card
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.core.text.quoting import list_names
    from penumbra.registry.bundles.manifest import BrokenBundle
    from penumbra.registry.errors import MlflowException
    from penumbra.registry.models import ModelRegistry
    from penumbra.registry.pointers import LIVE_ALIAS

    errors = (SettingsError, BrokenBundle, MlflowException, OSError)
    with refuse_on(*errors, prefix="there is no card: "), show_progress("Reading the version"):
        models = ModelRegistry(load_settings().registry)
        versions = models.list_versions()
        number = version if version in versions else models.version(version or LIVE_ALIAS)
        if number is None:
            there = f"it has {list_names(versions)}" if versions else "`penumbra train` makes the first"
            raise Refusal(f"there is no version {version or LIVE_ALIAS!r} in the registry: {there}")
        card = read_card(models, number)
        if out:
            out.write_text(render_card(card) if out.suffix == ".html" else format_card(card))
    click.echo(f"{out} has the card of version {number}." if out else format_card(card), nl=bool(out))


@click.command("reproduce", cls=ProjectCommand, example="penumbra reproduce 1")
@click.argument("model")
@as_json_option
@click.pass_context
def reproduce_model(ctx: click.Context, model: str, as_json: bool) -> None:
    """Train MODEL again on its data, and compare metrics and predictions to the last bit.

    MODEL is the number of a model version or the id of an MLflow run. Exit code 3 if they differ.
    """
    from penumbra.cli.reproduction import reproduce_run
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.data.versioning.dvc_file import DamagedDvcFile
    from penumbra.data.versioning.restoring import RestoreFailed
    from penumbra.registry.bundles.manifest import BrokenBundle
    from penumbra.registry.errors import MlflowException

    errors = (SettingsError, ProblemError, RestoreFailed, DamagedDvcFile, BrokenBundle, MlflowException)
    with (
        refuse_on(*errors, prefix="nothing was reproduced: "),
        show_progress("Training again"),
        tempfile.TemporaryDirectory() as folder,
    ):
        reproduction = reproduce_run(load_settings(), load_problem(), model, Path(folder))
    if as_json:
        print_json(reproduction.to_json())
    else:
        click.echo(reproduction)
    ctx.exit(0 if reproduction.is_identical else EXIT_FINDINGS)


def _load_project(*parts: str) -> "tuple[Settings, Problem]":
    """Load the settings and some parts of problem/, or all."""
    from penumbra.core.loading.project_loading import load_project
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError

    with refuse_on(SettingsError, ProblemError):
        return load_project(parts) if parts else load_project()


def _train_here(runner: "FlowRunner", settings: "Settings", words: list[str], skip_doctor: bool) -> str:
    """Ingest, examine and train on this machine, as far as anything is new; `words` are the options of the training.

    Returns the words that the training ends with, which are also the latest receipt; "" where there was none.
    """
    if not _is_ingested():
        runner.import_ahead(["ingest", "train"])
        run_flow_process("ingest", runner=runner)
    if not skip_doctor and not (settings.training.folder / "receipts").exists():
        from flows.steps.doctor import examination

        examination.main(with_files=False)
    if _is_trained(settings):
        return ""
    runner.import_ahead(["train"])
    return run_flow_process("train", *words, runner=runner)


def _is_ingested() -> bool:
    """Tell whether there is nothing to ingest; where there isn't, what an ingest does without batches is done."""
    from flows.steps.ingest import ingestion

    return ingestion.settle_ingest()


def _is_trained(settings: "Settings") -> bool:
    """Tell whether this data, code and settings were trained before, once nobody else trains or ingests."""
    from flows.steps.processes import flow_locks
    from flows.steps.train import plan, settlement
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.registry.history.ledger_entries import BrokenLedger
    from penumbra.registry.tracking.lazy_errors import handle_registry_errors

    with contextlib.ExitStack() as held, refuse_on(*plan.PLAN_ERRORS, BrokenLedger), handle_registry_errors(refuse_on):
        for lock in flow_locks.list_work_locks("train", settings):
            held.enter_context(lock)
        return settlement.settle_training(settings, load_problem())


def _read_latest_receipt(folder: Path) -> str:
    from penumbra.storage.cache import RunReceipts

    return RunReceipts(folder).read_latest() or ""


COMMANDS = (train_model, start_experiment, compare_latest_runs, show_card, report_change, reproduce_model)
