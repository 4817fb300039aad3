"""The process that brings what the pages show to the dashboard's machine, where machines share their state.

Started by `make dashboard`: python -m monitoring.dashboard.shared_reader. It fetches the monitor's windows and reports,
and the logs of all replicas, of which it keeps the index.
"""

import logging
from collections.abc import Callable

from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.settings import Settings, load_settings
from penumbra.core.text.errors import describe_error
from penumbra.logs.indexing.index import LogIndex
from penumbra.storage.shared.mirror import Mirror
from penumbra.storage.shared.state import SharedState
from service.processes.workers.process_control import log_to_stderr, make_running_check, sleep_while_running

READ_SECONDS = 30.0

logger = logging.getLogger("monitoring.dashboard.shared_reader")


def fetch_shown_state(settings: Settings, state: SharedState, catch_up: Callable[[], object]) -> None:
    """Fetch what is new, each part also where another can't be had; a failure is logged.

    Args:
        settings: `monitor.folder` is read.
        state: What machines share.
        catch_up: Brings logs and index up to date.
    """
    for work in (Mirror(settings.monitor.folder, state.locate("monitor")).fetch, catch_up):
        try:
            work()
        except Exception as error:  # such as a store that is away: what is here is shown
            logger.error("the pages show what was there before, trying again: %s", describe_error(error))


def main() -> None:
    """Fetch at intervals until the parent process ends or SIGTERM arrives."""
    log_to_stderr(logger)
    running, settings, schema = make_running_check(), load_settings(), load_problem(SERVED_PARTS).schema
    while running() and (state := SharedState.from_settings(settings)):
        fetch_shown_state(settings, state, lambda: LogIndex.of_all_replicas(settings, schema))
        sleep_while_running(READ_SECONDS, running)


if __name__ == "__main__":
    main()
