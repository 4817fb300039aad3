"""Publication of the reports of a monitor pass, in a process of their own: the only one that imports Evidently.

`publish_reports` starts `python -m flows.steps.monitor.reports` with the settings as JSON on standard input, and reads
the outcome as JSON from its standard output. As that process does nothing else, it can adapt Evidently and the garbage
collector to this work. It also imports what reading and logging takes, so that the caller doesn't have to.
"""

import gc
import os
import subprocess
import sys
import traceback
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import msgspec

from monitoring.reports.workspace import ReportWorkspace
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.core.system.process_tree import end_with_parent
from penumbra.core.text.errors import describe_error

REPORTED_PARTS = ("schema", "source", "features")  # of the problem
PROCESS_MODULE = "flows.steps.monitor.reports"


class ReportsFailed(RuntimeError):
    """The reports of a window couldn't be made; says why in one sentence."""


class ReportReply(msgspec.Struct, frozen=True):
    """The outcome of a report process.

    Attributes:
        pages: The path of each page that was written.
        error: Why the process stopped, in one sentence; "" for success.
    """

    pages: list[str] = []
    error: str = ""


def publish_reports(settings: Settings) -> list[Path]:
    """Publish the reports of each window whose record has none yet; starts no process where all have theirs.

    Args:
        settings: The settings, which the report process gets as a whole: it reads logs, bundles, registry and windows.

    Returns:
        The pages that were written.

    Raises:
        ReportsFailed: The reports of a window couldn't be made. Those of earlier windows stay published, and the next
            call makes the others.
        DamagedWindow: A window's record is damaged.
    """
    workspace = ReportWorkspace(settings.monitor.folder, settings.registry.model)
    for sentence in workspace.unpublish_damaged():
        print(sentence)
    if not workspace.list_unpublished():
        return []
    reply = _run_process(settings)
    if reply.error:
        raise ReportsFailed(f"no reports: {reply.error}")
    return [Path(page) for page in reply.pages]


def _run_process(settings: Settings) -> ReportReply:
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(PROJECT_ROOT)]))
    environment = {"DO_NOT_TRACK": "1", **os.environ, "PYTHONPATH": path}
    with TemporaryFile() as printed:
        done = subprocess.run(
            [sys.executable, "-m", PROCESS_MODULE],
            input=settings.model_dump_json().encode(),
            stdout=subprocess.PIPE,
            stderr=printed,
            env=environment,
            preexec_fn=partial(end_with_parent, os.getpid()),
            check=False,
        )
        if done.returncode == 0:
            return msgspec.json.decode(done.stdout, type=ReportReply)
        printed.seek(0)
        return ReportReply(error=_describe_end(done.returncode, printed.read().decode(errors="replace")))


def _describe_end(code: int, printed: str) -> str:
    """How the process ended, with the last line that it printed."""
    last = f": {printed.strip().splitlines()[-1]}" if printed.strip() else ""
    return f"the report process ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}{last}"


def main() -> None:
    """Make the reports, in the process that was started for them."""
    output, sys.stdout = sys.stdout.buffer, sys.stderr  # what a library prints is no reply
    gc.disable()  # Evidently's thousands of classes all stay alive: searching them is a fifth of the work, in vain
    from flows.steps.monitor import window_reports

    gc.freeze()
    settings = Settings.model_validate_json(sys.stdin.buffer.read())
    try:
        reply = ReportReply(
            [str(page) for page in window_reports.publish_waiting_windows(settings, load_problem(REPORTED_PARTS))]
        )
    except Exception as error:  # whatever it is, the pass that waits for the reply reports it
        place = traceback.extract_tb(error.__traceback__)[-1]
        reply = ReportReply(error=f"{describe_error(error)} ({place.filename}:{place.lineno})")
    output.write(msgspec.json.encode(reply))
    output.flush()


if __name__ == "__main__":
    main()
    os._exit(0)  # to take thousands of classes down one by one takes a quarter of a second
