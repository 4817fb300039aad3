"""The latest run of each flow in Metaflow's records, with its card."""

import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metaflow import Run

MAX_UNSEEN_HOURS = 24.0  # a run whose processes can't be seen that began longer ago and has no end was killed
PROCESSES = Path("/proc")
LAUNCH_COMMANDS = {"run", "resume"}


@dataclass(frozen=True)
class FlowRun:
    """A run of a flow.

    Attributes:
        flow: The flow's class name.
        run: The run's id.
        begun: When it began, in UTC.
        ended: When it ended or its last task failed, in UTC; None before that, or where it was killed.
        good: Whether it came to its end.
        at_work: Whether it has a process still.
        card: The page of its last card; "" without one.
    """

    flow: str
    run: str
    begun: dt.datetime
    ended: dt.datetime | None
    good: bool
    at_work: bool = False
    card: str = ""

    @property
    def state(self) -> str:
        """The state: "done", "running", "failed", or "killed" where its processes are gone and no task has failed."""
        if self.good:
            return "done"
        if self.at_work:  # a task that has failed may be tried again
            return "running"
        return "killed" if self.ended is None else "failed"


def list_latest_flow_runs(flows: Sequence[str]) -> list[FlowRun]:
    """List the latest run of each flow.

    Args:
        flows: Class names of flows.

    Returns:
        The runs in this order, without flows that never ran.
    """
    from metaflow import namespace

    namespace(None)
    return [run for flow in flows if (run := _find_latest_run(flow))]


def _find_latest_run(flow: str) -> FlowRun | None:
    from metaflow import Flow
    from metaflow.exception import MetaflowNotFound

    try:
        run = Flow(flow).latest_run
    except MetaflowNotFound:
        return None
    if run is None:
        return None
    begun = _to_utc(run.created_at)
    at_work = _is_at_work(
        flow, str(run.id), begun
    )  # asked first: a run that ends in between has its end in the records
    return FlowRun(flow, str(run.id), begun, _find_end(run), bool(run.successful), at_work, _read_last_card(run))


def _is_at_work(flow: str, run: str, begun: dt.datetime) -> bool:
    """Tell whether a run has a process; where those can't be seen from here, whether it may have one."""
    from metaflow import get_metadata

    if not (get_metadata().startswith("local@") and PROCESSES.is_dir()):
        return dt.datetime.now(dt.UTC) - begun < dt.timedelta(hours=MAX_UNSEEN_HOURS)
    return any(_is_process_of(process, flow, run) for process in PROCESSES.glob("[0-9]*"))


def _is_process_of(process: Path, flow: str, run: str) -> bool:
    """Tell a run's tasks, which are given its id, and who launched such a flow in this folder, from other processes."""
    try:
        arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        if f"{flow.removesuffix('Flow').lower()}.py" not in [Path(argument).name for argument in arguments]:
            return False
        return run in arguments or bool(LAUNCH_COMMANDS & set(arguments) and (process / "cwd").samefile(Path.cwd()))
    except OSError as error:
        return isinstance(error, PermissionError)  # another user's, which may be a launcher


def _find_end(run: "Run") -> dt.datetime | None:
    """When the run ended; without an end, when its last task failed."""
    failed = (task.finished_at for step in run for task in step if not task.finished)
    ended = run.finished_at or max(filter(None, failed), default=None)
    return ended and _to_utc(ended)


def _read_last_card(run: "Run") -> str:
    from metaflow.cards import get_cards
    from metaflow.plugins.cards.exception import CardNotPresentException, UnresolvableDatastoreException

    for step in run:
        for task in step:  # one that has just begun doesn't say yet where its cards are
            with contextlib.suppress(CardNotPresentException, UnresolvableDatastoreException):
                return str(get_cards(task)[-1].get())
    return ""


def _to_utc(moment: dt.datetime) -> dt.datetime:
    """Metaflow gives local times without a zone."""
    return moment.astimezone(dt.UTC)
