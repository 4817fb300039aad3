"""The shadow process: lets the candidate and the previous model score what the live model has answered.

It reads the prediction log, at a low priority, and writes the shadow log (penumbra/logs/shadow/shadow_log.py).
Each model runs in a process of its own (service/shadow/scorer.py), so it can harm neither the other model nor anything
else.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from multiprocessing.connection import wait

from penumbra.core.settings import Settings, load_settings
from penumbra.core.system.process_tree import adopt_orphans, end_orphans
from penumbra.logs.shadow.shadow_log import SHADOW_ROLES, ShadowLog, ShadowLogLocked
from service.processes.workers.process_control import (
    log_to_stderr,
    lower_priority,
    make_running_check,
    sleep_while_running,
)
from service.shadow import metrics_file
from service.shadow.role_worker import ShadowRoleWorker, compute_pause

HEARTBEAT_SECONDS = 1.0
SHADOW_RETRY_SECONDS = 1.0

logger = logging.getLogger("service.shadow.process")


def run_shadow(settings: Settings, log: ShadowLog, running: Callable[[], bool]) -> None:
    """Score until it is time to stop.

    Args:
        settings: Sections `service` and `shadow` are read.
        log: The shadow log, open for writing.
        running: Returns False when it is time to stop.

    Raises:
        OSError: The shadow log can't be written.
    """
    workers = [ShadowRoleWorker(role, settings, log) for role in SHADOW_ROLES]
    due = 0.0
    try:
        while running():
            busy = sum(worker.step() for worker in workers) > 0
            if time.monotonic() >= due:
                end_orphans([worker.client.pid for worker in workers if worker.client])
                log.recover()
                metrics_file.write_shadow_metrics(settings.service, log.state, workers)
                due = time.monotonic() + HEARTBEAT_SECONDS
            if not busy:
                wait(
                    [worker.client.connection for worker in workers if worker.client and worker.is_waiting],
                    timeout=compute_pause(settings.service),
                )
    finally:
        for worker in workers:
            worker.close()


def main() -> None:
    """Run until the parent process ends or SIGTERM arrives; start again where the shadow log can't be written."""
    log_to_stderr(logger)
    running = make_running_check()
    adopt_orphans()  # those of a model that ended by itself
    settings, last_message = load_settings(), ""
    lower_priority(settings.shadow.niceness)
    while running():
        try:
            rotation = settings.log.segment_mb, settings.limit_segment_hours(24)
            log = ShadowLog(settings.service.shadow_log, settings.service.predictions, *rotation)
        except (ShadowLogLocked, OSError) as error:
            message = f"the shadow log can't be opened, trying again: {error}"
        else:
            message = _run_and_close(settings, log, running)
        if message and message != last_message:
            logger.error(message)
        last_message = message
        sleep_while_running(SHADOW_RETRY_SECONDS, running)


def _run_and_close(settings: Settings, log: ShadowLog, running: Callable[[], bool]) -> str:
    try:
        with contextlib.closing(log):
            run_shadow(settings, log, running)
    except OSError as error:
        return f"the shadow log can't be written, trying again: {error}"
    return ""


if __name__ == "__main__":
    main()
