"""The latest run of each flow in Metaflow's records, with its card."""

import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

MAX_RUNNING_HOURS = 24.0  # an unfinished run that began longer ago was killed


@dataclass(frozen=True)
class FlowRun:
    """A run of a flow.

    Attributes:
        flow: The flow's class name.
        run: The run's id.
        begun: When it began, in UTC.
        ended: When it ended, in UTC; None while it runs, or where it was killed.
        good: Whether it came to its end.
        card: The page of its last card; "" without one.
    """

    flow: str
    run: str
    begun: dt.datetime
    ended: dt.datetime | None
    good: bool
    card: str = ""

    def state(self, now: dt.datetime) -> str:
        """Describe the state of the run.

        Args:
            now: The present moment.

        Returns:
            "done", "failed", "running", or "killed" for an unfinished run that began over 24 hours ago.
        """
        if self.ended is not None:
            return "done" if self.good else "failed"
        return "running" if now - self.begun < dt.timedelta(hours=MAX_RUNNING_HOURS) else "killed"


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
    ended = run.finished_at
    return FlowRun(
        flow, str(run.id), _to_utc(run.created_at), ended and _to_utc(ended), bool(run.successful), _read_last_card(run)
    )


def _read_last_card(run: object) -> str:
    from metaflow.cards import get_cards
    from metaflow.plugins.cards.exception import CardNotPresentException

    for step in run:  # type: ignore[attr-defined]
        for task in step:
            with contextlib.suppress(CardNotPresentException):
                return str(get_cards(task)[-1].get())
    return ""


def _to_utc(moment: dt.datetime) -> dt.datetime:
    """Metaflow gives local times without a zone."""
    return moment.astimezone(dt.UTC)
