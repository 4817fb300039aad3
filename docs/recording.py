"""`python -m docs.recording docs/recorded-shop.md`: run a page's commands, and write below each what it prints.

The page is the script: its ```` ```console ```` blocks are run in their order by one shell, in an empty folder with a
clone of this repository, `penumbra`. What stands below a command is replaced by its output; a comment before a block
says how much of that is kept, `<!-- keep 3 and 12 lines -->` for the first three and the last twelve. A command that
fails ends it, and the page stays as it was. It takes minutes: each page sets up a project with its own environment.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.system.http_client import find_free_port

BLOCK = re.compile(r"(?:^<!-- keep (\d+) and (\d+) lines -->\n)?^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
TASK = re.compile(
    r"^\d{4}-\d\d-\d\d [\d:.]+ \[\d+/\w+/\d+ \(pid \d+\)\] ?", re.MULTILINE
)  # before a line of Metaflow's
END = "this command has ended with"
PORT = "3000"  # of the service, on the page; a recording takes a free one
FOUND_SOMETHING = 3  # the exit code of a command that did its work and found something
KEPT_VARIABLES = ("HOME", "LANG", "LC_", "SSL_", "PIP_", "UV_", "TMPDIR", "USER")


class CommandFailed(RuntimeError):
    """A command of a page failed; the message has the command and its output."""


def record_page(page: str, run: Callable[[str], str]) -> str:
    """Replace the output of each command.

    Args:
        page: A page in Markdown.
        run: Runs a command and returns its output.

    Returns:
        The page with the outputs of this run.
    """

    def record_block(match: re.Match[str]) -> str:
        head, tail, block = match.groups()
        shown = [
            f"$ {command}\n{shorten_output(run(command), int(head or 1000), int(tail or 0))}"
            for command in split_commands(block)
        ]
        start = match.start(3) - match.start()
        return match[0][:start] + "".join(shown) + "```"

    return BLOCK.sub(record_block, page)


def split_commands(block: str) -> list[str]:
    """Split a block into its commands.

    Args:
        block: The lines of a block; a command begins with "$ ", and goes on below where a line ends with a backslash or
            within single quotes.

    Returns:
        The commands without "$ ".
    """
    commands: list[str] = []
    is_open = False
    for line in block.splitlines():
        if is_open:
            commands[-1] += f"\n{line}"
        elif line.startswith("$ "):
            commands.append(line.removeprefix("$ "))
        is_open = bool(commands) and (commands[-1].endswith("\\") or commands[-1].count("'") % 2 == 1)
    return commands


def shorten_output(output: str, head: int, tail: int) -> str:
    """Shorten an output.

    Args:
        output: The lines that a command printed.
        head: Number of lines at the beginning that are kept.
        tail: Number of lines at the end that are kept.

    Returns:
        The lines, with "..." in place of those between.
    """
    lines = output.splitlines()
    if len(lines) > head + tail:
        lines = [*lines[:head], "...", *lines[len(lines) - tail :]]
    return "".join(f"{line}\n" for line in lines)


@contextlib.contextmanager
def open_shell(folder: Path) -> Iterator[Callable[[str], str]]:
    """Start a shell whose processes end with it.

    Args:
        folder: The folder that it starts in.

    Yields:
        A function that runs a command and returns its output, without colours, the folder's name, and
        Metaflow's name of the task before each line.

    Raises:
        CommandFailed: By that function: the command failed.
    """
    port = str(find_free_port())
    with subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env=make_environment(port),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:

        def run(command: str) -> str:
            output, code = ask_shell(shell, command.replace(f":{PORT}", f":{port}"))
            if code not in (0, FOUND_SOMETHING):
                raise CommandFailed(f"$ {command}\n{output}ended with {code}")
            return TASK.sub("", output).replace(f":{port}", f":{PORT}").replace(f"{folder}/", "")

        try:
            yield run
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)


def ask_shell(shell: "subprocess.Popen[str]", command: str) -> tuple[str, int]:
    """Have a shell run a command.

    Args:
        shell: The shell, with pipes.
        command: The command.

    Returns:
        What it printed, and its exit code.

    Raises:
        CommandFailed: The shell itself has ended, or has no pipes.
    """
    if not (shell.stdin and shell.stdout):
        raise CommandFailed("the shell has no pipes")
    shell.stdin.write(f"{{ {command}\n}} < /dev/null; printf '\\n%s %s\\n' '{END}' $?\n")
    shell.stdin.flush()
    printed = ""
    for line in shell.stdout:
        if found := re.fullmatch(rf"{END} (\d+)\n", line):
            return ESCAPES.sub("", printed.removesuffix("\n")), int(found[1])
        printed += line
    raise CommandFailed(f"$ {command}\n{printed}the shell has ended")


def make_environment(port: str) -> dict[str, str]:
    """Make the environment of a newcomer's shell: this interpreter's programs, and nothing of this project.

    Args:
        port: The port of the service.

    Returns:
        The variables.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT_VARIABLES)}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": path, "PENUMBRA_SERVICE__PORT": port, "METAFLOW_USER": "you"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a page's commands, and write below each what it prints.")
    parser.add_argument("pages", nargs="+", type=Path)
    for page in parser.parse_args().pages:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "clone", "--quiet", PROJECT_ROOT, Path(folder, "penumbra")], check=True)
            with open_shell(Path(folder)) as run:
                page.write_text(record_page(page.read_text(), run))


if __name__ == "__main__":
    main()
