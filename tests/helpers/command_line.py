"""The command line, run within the test's own process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from penumbra.cli.app import main


@contextmanager
def _kept_folder() -> Iterator[None]:
    """A command changes to the project's folder; the test stays where it was."""
    folder = os.getcwd()
    try:
        yield
    finally:
        os.chdir(folder)


def run_command_line(*words: str) -> Result:
    """`penumbra` with these arguments: exit code, stdout and stderr. What isn't expected is raised."""
    with _kept_folder():
        result = CliRunner().invoke(main, words, prog_name="penumbra")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
