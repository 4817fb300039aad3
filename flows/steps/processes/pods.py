"""What a flow tells Metaflow where its steps run as pods: resources of fits, and that the code is the image's."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from flows.steps import RESULT_VARIABLE
from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
from penumbra.cluster.pod_settings import read_pod_settings
from penumbra.core.settings import Settings, load_settings

DailyFlow = Literal["ingest", "monitor", "promote", "score"]
FIND_FLOWS = "python -c 'import flows; print(flows.__path__[0])'"


def is_for_pods(arguments: Sequence[str]) -> bool:
    """Tell whether a flow is compiled for pods, or run in them.

    Args:
        arguments: The flow's command line.

    Returns:
        Whether it is one of Metaflow's commands for Argo Workflows or Kubernetes.
    """
    return bool(_list_words(arguments) & {"argo-workflows", "kubernetes"})


def get_fit_resources() -> dict[str, Any]:
    """Return the arguments of `@resources` for a step that fits models.

    Returns:
        "cpu", "memory" in MB and, where there is any, "gpu", of the settings; nothing on one machine.
    """
    if not is_for_pods(sys.argv):
        return {}
    cluster = load_settings().cluster
    gpu = {"gpu": cluster.fit_gpu} if cluster.fit_gpu else {}
    return {"cpu": cluster.fit_cpu, "memory": cluster.fit_memory_mb, **gpu}


def get_fit_environment() -> dict[str, str]:
    """Return the environment variables of a step that fits models.

    Returns:
        One thread on one machine, where a task runs on each core; in a pod as many as it has cores.
    """
    if not is_for_pods(sys.argv):
        return SINGLE_THREAD_ENVIRONMENT
    threads = str(max(1, int(load_settings().cluster.fit_cpu)))
    return {**SINGLE_THREAD_ENVIRONMENT, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}


def get_daily_schedule(flow: DailyFlow) -> dict[str, Any]:
    """Return the arguments of `@schedule` for a flow that runs every day.

    Args:
        flow: The flow's name in section [schedule] of the settings.

    Returns:
        "cron" and "timezone", by the settings; "daily" on one machine, where cron or systemd has the time, and false
        where the settings have none.
    """
    if not is_for_pods(sys.argv):
        return {"daily": True}
    if (time := getattr(load_settings().schedule, flow)) is None:
        return {"daily": False}
    return {"cron": f"{time.minute} {time.hour} * * *", "timezone": "Etc/UTC"}


def list_exports(settings: Settings) -> list[str]:
    """List the commands of a pod's shell that give it the settings of this process.

    Where a command waits for the words that the flow ends with, pods don't print them.

    Args:
        settings: The settings.

    Returns:
        `export` of each variable, quoted for a text in double quotes, which is what Metaflow puts them into.
    """
    variables = dict(read_pod_settings(settings, os.environ).passed)
    if os.environ.get(RESULT_VARIABLE):
        variables[RESULT_VARIABLE] = os.devnull
    commands = [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    return [command.replace("\\", "\\\\").replace('"', '\\"') for command in commands]


def run_code_of_image(arguments: Sequence[str]) -> None:
    """Have pods run the flow that is in their image; Metaflow would have each download the code from its datastore.

    Args:
        arguments: The flow's command line.
    """
    if not is_for_pods(arguments):
        return
    from metaflow.metaflow_environment import MetaflowEnvironment
    from metaflow.mflog import BASH_FLUSH_LOGS, BASH_MFLOG

    link = f"ln -sf $({FIND_FLOWS})/{Path(arguments[0]).name} ."
    exports = (
        list_exports(load_settings()) if "kubernetes" in _list_words(arguments) else []
    )  # Argo's have them as such
    commands = [*exports, BASH_MFLOG, BASH_FLUSH_LOGS, link, "mflog 'Task is starting.'"]
    MetaflowEnvironment.get_package_commands = lambda *_: commands


def _list_words(arguments: Sequence[str]) -> set[str]:
    """The words of a command line, with the names alone of decorators that it attaches."""
    return {argument.removeprefix("--with=").partition(":")[0] for argument in arguments[1:]}
