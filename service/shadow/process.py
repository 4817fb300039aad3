"""The shadow, a process of its own: lets the candidate and the previous model answer what the live one has answered.

It reads the prediction log, at the lowest priority, and writes the shadow log (penumbra/logs/shadow_log.py). Each model runs in a
process of its own (service/shadow/scorer.py): whatever it does, it harms neither the other model nor anything else.
"""

import logging
import time
from collections.abc import Callable
from multiprocessing.connection import wait

from penumbra.core.settings import Settings, load_settings
from penumbra.logs.shadow_log import SHADOW_ROLES, ShadowLog, ShadowLogLocked
from service.processes.process_control import (
    log_to_stderr,
    make_running_check,
    set_lowest_priority,
    sleep_while_running,
)
from service.shadow import metrics_file
from service.shadow.role_worker import ShadowRoleWorker

IDLE_POLL_SECONDS = 0.2  # seconds between looks at the log while there is nothing to do
HEARTBEAT_SECONDS = 1.0
SHADOW_RETRY_SECONDS = 1.0

logger = logging.getLogger("service.shadow.process")


def run_shadow(settings: Settings, log: ShadowLog, running: Callable[[], bool]) -> None:
    """Score until told to stop. Raises OSError where the shadow log can't be written."""
    followers = [ShadowRoleWorker(role, settings, log) for role in SHADOW_ROLES]
    due = 0.0
    try:
        while running():
            busy = sum(follower.step() for follower in followers) > 0
            if time.monotonic() >= due:
                log.recover()
                metrics_file.write_shadow_metrics(settings, log.state, followers)
                due = time.monotonic() + HEARTBEAT_SECONDS
            if not busy:
                wait(
                    [each.client.connection for each in followers if each.client and each.is_waiting],
                    timeout=IDLE_POLL_SECONDS,
                )
    finally:
        for follower in followers:
            follower.close()


def main() -> None:
    """Run until the parent process ends or SIGTERM comes; begin anew where the shadow log can't be written."""
    log_to_stderr(logger)
    running = make_running_check()
    set_lowest_priority()
    settings, said = load_settings(), ""
    while running():
        try:
            log = ShadowLog(settings.service.shadow_log, settings.service.predictions, settings.log.segment_mb)
        except (ShadowLogLocked, OSError) as error:
            say = f"the shadow log can't be opened, trying again: {error}"
        else:
            say = _run_and_close(settings, log, running)
        if say and say != said:
            logger.error(say)
        said = say
        sleep_while_running(SHADOW_RETRY_SECONDS, running)


def _run_and_close(settings: Settings, log: ShadowLog, running: Callable[[], bool]) -> str:
    try:
        run_shadow(settings, log, running)
    except OSError as error:
        return f"the shadow log can't be written, trying again: {error}"
    finally:
        log.close()
    return ""


if __name__ == "__main__":
    main()
