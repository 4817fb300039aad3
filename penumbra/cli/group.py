"""Common parts of the commands: an example in the help, a working folder, exit codes, and errors of one sentence.

Exit codes:
    0: done, or there was nothing to do.
    1: refused or failed; the reason is one sentence on stderr.
    2: the command line is wrong.
    3: the command ran and found something: faults in the data, a model that was not reproduced.
"""

import contextlib
import difflib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import click

from penumbra.core.project_root import CODE_ROOT, find_enclosing_project
from penumbra.core.text.masking import mask_text

EXIT_FINDINGS = 3
EXIT_CODES_TEXT = (
    "\b\nExit codes: 0 done, 1 refused or failed (one sentence on stderr), 2 wrong usage, 3 found something."
)
CHECKOUT_FOLDERS = ("deploy", "docs", "benchmarks")  # of which images and packages have none
QUIET_SECONDS = 2.0  # commands that take longer say so on stderr
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


class Refusal(click.ClickException):
    """A command can't do what it should; its message is one sentence, and the exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message alone.

        Args:
            file: Where to, stderr by default.
        """
        click.echo(self.message, file=file or sys.stderr)


class ProjectCommand(click.Command):
    """A command that works in the project's folder, with an example in its help."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        """Make a command.

        Args:
            args: As for `click.Command`.
            example: A command line.
            kwargs: As for `click.Command`.
        """
        self.example = example
        kwargs["epilog"] = f"\b\nExample:\n  {example}"
        super().__init__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Enter the project's folder and run the command.

        Args:
            ctx: The parsed command line.

        Returns:
            The result of the command's function.

        Raises:
            Refusal: The command was not called within a project, it takes a checkout, or what machines share can't be
                reached.
        """
        enter_project()
        try:
            return super().invoke(ctx)
        except OSError as error:
            from penumbra.storage.shared.store_failures import StoreError

            if isinstance(error, StoreError):
                raise Refusal(str(error)) from None
            raise
        except ModuleNotFoundError as error:
            if (folder := str(error.name).partition(".")[0]) in CHECKOUT_FOLDERS:
                reason = f"{folder}/ is not in an image or a package"
                raise Refusal(f"`{ctx.command_path}` is for a checkout of the project: {reason}") from None
            raise


class CommandGroup(click.Group):
    """A group that lists its commands by section, and suggests one where an unknown one is named."""

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **kwargs: Any) -> None:
        """Make a group.

        Args:
            args: As for `click.Group`.
            sections: By title, the commands of each section.
            kwargs: As for `click.Group`.
        """
        super().__init__(*args, **kwargs)
        self.sections = sections
        for command in (command for commands in sections.values() for command in commands):
            self.add_command(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names.

        Args:
            ctx: The group's context.
            args: The arguments, the first of which is the command's name.

        Returns:
            The command's name, the command, and the rest of the arguments.

        Raises:
            click.UsageError: There is no such command; the message suggests similar ones.
        """
        name = click.utils.make_str(args[0])
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            similar = difflib.get_close_matches(name, self.commands)
            advice = f"Did you mean {' or '.join(similar)}?" if similar else "`penumbra --help` lists them."
            ctx.fail(f"There is no command {name!r}. {advice}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list of commands for each section.

        Args:
            ctx: The group's context.
            formatter: What to write to.
        """
        width = max(len(name) for name in self.commands)
        for title, commands in self.sections.items():
            with formatter.section(title):
                rows = [
                    ((command.name or "").ljust(width), command.get_short_help_str(limit=90)) for command in commands
                ]
                formatter.write_dl(rows)


def enter_project() -> None:
    """Change to the project's folder and let its packages be imported, here and in child processes.

    Raises:
        Refusal: The working folder is in no project, or in one with an engine other than this.
    """
    root = find_enclosing_project(Path.cwd())
    if root is None:
        raise Refusal(
            f"{Path.cwd()} is in no Penumbra project: run penumbra in the folder with settings.toml and problem/, "
            "or below it"
        )
    if (root / "penumbra/core").is_dir() and root != CODE_ROOT:  # its child processes would import its own engine
        raise Refusal(f"this penumbra belongs to {CODE_ROOT}: run {root / 'bin/penumbra'} in {root}")
    os.chdir(root)
    code = str(root if (root / "flows").is_dir() else CODE_ROOT)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if code not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, paths), code])
    if code not in sys.path:
        sys.path.append(code)


@contextlib.contextmanager
def refuse_on(*errors: type[Exception], prefix: str = "") -> Iterator[None]:
    """Turn expected errors into a sentence on stderr and exit code 1, as a context manager.

    Args:
        errors: The exception classes that are expected; others pass through with their traceback.
        prefix: What the sentence begins with.

    Raises:
        Refusal: With the message of an expected error.
    """
    try:
        yield
    except errors as error:
        raise Refusal(f"{prefix}{mask_text(_describe_error(error))}") from None


def _describe_error(error: Exception) -> str:
    """The error's message; of one about a file without the number that Python puts in front."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


@contextlib.contextmanager
def show_progress(activity: str) -> Iterator[None]:
    """Say on stderr what is going on if it takes more than two seconds, as a context manager.

    Args:
        activity: What is being done, such as "restoring the data". On a terminal the seconds are counted beside it.
    """
    finished, start = threading.Event(), time.monotonic()

    def report() -> None:
        pause = QUIET_SECONDS
        while not finished.wait(pause):
            seconds = time.monotonic() - start
            if not sys.stderr.isatty():
                click.echo(f"{activity} ...", err=True)
                return
            click.echo(f"\r{activity} ... {seconds:.0f} s", nl=False, err=True)
            pause = 1.0

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
        if sys.stderr.isatty() and time.monotonic() - start > QUIET_SECONDS:
            click.echo("", err=True)


def print_json(document: Any) -> None:
    """Print one JSON document on stdout.

    Args:
        document: Anything of JSON's types; dates, times and paths in it become text.
    """
    click.echo(json.dumps(document, default=str, ensure_ascii=False))
