"""The command that makes a first problem from data: init."""

import datetime as dt
import os
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penumbra.cli.group import EXIT_FINDINGS, ProjectCommand, refuse_on, show_progress
from penumbra.cli.processes import run_command, run_flow_process

if TYPE_CHECKING:
    from penumbra.cli.new_problem import NewProblem
    from penumbra.drafting.draft import DraftQuestion, ProblemDraft

URL_MARK = "://"
PERIODS = ("day", "week", "month", "quarter", "year", "file")
ANSWERS_FILE = Path(".copier-answers.yml")  # of a project that was generated, with a name that the team gave it
NOTHING = "none"


def _resolve_location(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """The path made absolute before the command enters the project's folder; URLs stay."""
    return value if URL_MARK in value else os.path.abspath(value)


@click.command("init", cls=ProjectCommand, example="penumbra init --from orders.csv --target churned")
@click.option(
    "--from",
    "location",
    metavar="DATA",
    required=True,
    callback=_resolve_location,
    help="A CSV or Parquet file, a folder or a quoted glob of them, or a URL; with --query a DuckDB file or the URL of "
    "a database (duckdb:// for a query that reads files).",
)
@click.option("--target", metavar="COLUMN", required=True, help="What is to be predicted.")
@click.option("--time", metavar="COLUMN", help="When a row's event was, if the data don't tell.")
@click.option("--no-time", is_flag=True, help="Rows have no time: they are dealt to made-up days in their order.")
@click.option("--key", metavar="COLUMN", multiple=True, help="What identifies a row; may be repeated.")
@click.option("--no-key", is_flag=True, help="Nothing identifies a row.")
@click.option("--period", type=click.Choice(PERIODS), help="What a batch holds.")
@click.option("--query", metavar="SQL", default="", help="The query that gives the rows, one for each event.")
@click.option("--name", help="The name of the model and the service; by default the target's.")
@click.option("--dry-run", is_flag=True, help="Print what would be written.")
@click.option("--force", is_flag=True, help="Set problem/ aside though git doesn't have it as it is.")
@click.pass_context
def start_problem(
    ctx: click.Context, location: str, name: str | None, dry_run: bool, force: bool, **choices: Any
) -> None:
    """Write a first problem/ from data, and have the doctor look at it.

    Looks at the columns and writes schema, source, features, candidates and slices, and the settings that must change.
    What problem/ was before is set aside with its data, models and logs, as `penumbra start-over` does. Then the data
    are ingested and examined; exit code 3 if the doctor finds something.
    """
    from penumbra.cli.fresh_start import StartOverRefused
    from penumbra.cli.new_problem import install_problem, plan_problem, require_commit
    from penumbra.cli.reports.draft_report import describe_draft
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.drafting.draft import DraftRefused

    with refuse_on(DraftRefused, SettingsError, StartOverRefused, OSError, prefix="nothing was written: "):
        if not dry_run:
            require_commit(force)
        settings, place = load_settings(), _relate_location(location, bool(choices["query"]))
        draft = _draft_problem(place, **choices)
        new = plan_problem(draft, settings, _choose_name(name, draft), dt.datetime.now(dt.UTC).date())
        told = replace(draft, notes=(*draft.notes, *new.notes))
        click.echo(describe_draft(told, new.batches, new.list_changes()))
        if dry_run:
            click.echo(_format_files(new.files))
            return
        click.echo(install_problem(new, settings, force))
    source = "a query" if choices["query"] else _name_data(place)
    ctx.exit(_examine_problem(source, new, _find_untracked_data(place)))


def _relate_location(location: str, is_database: bool) -> str:
    """A path below the project's folder from there, any other as it is. Raises DraftRefused for folders of ours."""
    from penumbra.core.settings import load_settings
    from penumbra.core.text.masking import mask_address
    from penumbra.drafting.draft import DraftRefused

    if URL_MARK in location:
        address = location.partition("?")[0]
        if mask_address(address) != address and "${" not in address:
            raise DraftRefused("problem/source.py is no place for a password: pass ${NAME}, an environment variable's")
        return location
    path = Path(location)
    for place in (path, path.resolve()):  # the folder may have been entered by a link
        if place.is_relative_to(Path.cwd().resolve()):
            path = place.relative_to(Path.cwd().resolve())
    for folder in (load_settings().data.folder, Path("var"), Path("problem")):
        if path.is_relative_to(folder):
            raise DraftRefused(f"{path} is in {folder}/, which is set aside: put the data elsewhere")
    return f"duckdb:///{path}" if is_database else str(path)


def _draft_problem(
    location: str, *, target: str, time: str | None, no_time: bool, key: Sequence[str], no_key: bool, **rest: Any
) -> "ProblemDraft":
    """Draft the problem; what the data don't tell is asked for at a terminal."""
    from penumbra.drafting.analysis.problem_analysis import draft_problem
    from penumbra.drafting.draft import DraftQuestion, Unsaid

    if (time and no_time) or (key and no_key):
        raise click.UsageError("--time and --no-time, --key and --no-key exclude each other")
    choices: dict[str, Any] = {
        "time": None if no_time else time or Unsaid.UNSAID,
        "key": () if no_key else key or Unsaid.UNSAID,
    }
    while True:
        try:
            with show_progress("Reading the data"):
                return draft_problem(location, target, **choices, **rest)
        except DraftQuestion as question:
            if not sys.stdin.isatty():
                raise
            choices |= _ask_choice(question)


def _ask_choice(question: "DraftQuestion") -> dict[str, Any]:
    click.echo(str(question), err=True)
    options = click.Choice([*question.candidates, NOTHING])
    answer = click.prompt(question.option.removeprefix("--"), type=options, err=True)
    if question.option == "--time":
        return {"time": None if answer == NOTHING else answer}
    return {"key": () if answer == NOTHING else (answer,)}


def _choose_name(name: str | None, draft: "ProblemDraft") -> str:
    """The name of the model: as told, or the target's in plain letters; "" where the project has one of its own."""
    if name or ANSWERS_FILE.exists():
        return name or ""
    plain = unicodedata.normalize("NFKD", draft.target.column).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "model"


def _name_data(place: str) -> str:
    """The name of a file or folder; of a pattern, such as `*.csv`, its folder's name too."""
    path = Path(place)
    return str(Path(path.parent.name, path.name)) if "*" in path.name else path.name


def _format_files(files: Mapping[str, str]) -> str:
    return "\n".join(f"\n--- problem/{name}\n{text}" for name, text in files.items())


def _find_untracked_data(place: str) -> str:
    """The path of the data in the project's folder, if git neither has them nor ignores them; else ""."""
    from penumbra.drafting.files.source_file import find_local_path
    from penumbra.registry.code_version import has_untracked_files

    path = find_local_path(place)
    return str(path) if path and not path.is_absolute() and has_untracked_files(Path.cwd(), str(path)) else ""


def _examine_problem(source: str, new: "NewProblem", untracked: str) -> int:
    """Ingest the data and have the doctor examine them; returns its exit code, the next steps having been said."""
    from penumbra.cli.reports.draft_report import describe_ingest, describe_next_steps
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.settings import load_settings
    from penumbra.data.partitions.partition_code import STORED_PARTS
    from penumbra.registry.code_version import NoCodeRevision, read_code_revision

    try:
        is_committed = bool(read_code_revision(Path.cwd()))
    except NoCodeRevision:
        is_committed = False
    with show_progress("Ingesting the data"):
        run_flow_process("ingest", is_quiet=True)
    settings = load_settings()
    click.echo(describe_ingest(settings.data, load_problem(STORED_PARTS)))
    code = run_command(sys.executable, "-m", "flows.steps.doctor.examination")
    has_findings = code == EXIT_FINDINGS
    click.echo("\n" + describe_next_steps(source, new.example, settings, is_committed, has_findings, untracked))
    return code


COMMANDS = (start_problem,)
