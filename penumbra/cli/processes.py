"""Child processes of the command line: flows, benchmarks and builds, and the environment that they and it share."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from penumbra.cli.group import Refusal, refuse_on
from penumbra.core.system.signal_relay import SignalRelay

if TYPE_CHECKING:
    from flows.steps.processes.flow_forks import FlowRunner
    from penumbra.core.problem import Problem
    from penumbra.core.settings import ClusterSettings, Settings

# No library calls home, and nothing at run time needs the network.
NO_CALLS_HOME = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}
ENVIRONMENT_DEFAULTS = {**NO_CALLS_HOME, "METAFLOW_RUN_MAX_WORKERS": str(os.cpu_count() or 1)}


def set_environment_defaults() -> None:
    """Set the environment variables that this process and its children run with, where they aren't set yet."""
    for name, value in ENVIRONMENT_DEFAULTS.items():
        os.environ.setdefault(name, value)


def run_flow_process(
    name: str,
    *options: str,
    cluster: "ClusterSettings | None" = None,
    is_quiet: bool = False,
    runner: "FlowRunner | None" = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a flow until it ends; its log goes where the output of this process goes.

    Args:
        name: The flow's file in flows/, without ".py".
        options: Options of its `run`, such as "--only=forest".
        cluster: Where its steps run as pods; None for this machine.
        is_quiet: Whether its log is shown only if it fails.
        runner: What runs it in place of a new process; its log isn't quiet then.
        variables: Of its environment, beside those of this process.

    Returns:
        The words that it ends with, which aren't in its log; "" for a flow without, and for pods, which keep them as a
        receipt only.

    Raises:
        Refusal: The flow failed, with its reason; its output says more.
    """
    from flows.steps import REASON_VARIABLE, RESULT_VARIABLE
    from penumbra.core.settings import PROJECT_ROOT

    flow = str(PROJECT_ROOT / "flows" / f"{name}.py")
    with tempfile.TemporaryDirectory() as folder:
        reason, result, log = (Path(folder) / name for name in ("reason.txt", "result.txt", "log.txt"))
        words, environment = _address_cluster(cluster) if cluster else (["--no-pylint", "run"], {})
        command = sys.executable, flow, *words, *options
        own = {**(variables or {}), REASON_VARIABLE: str(reason), RESULT_VARIABLE: str(result)}
        with log.open("wb") if is_quiet else contextlib.nullcontext() as output:
            if runner:
                code = runner.run(command[1:], own, None)
            else:
                code = run_command(*command, environment={**environment, **own}, output=output)
        if code:
            if is_quiet:
                click.echo(log.read_bytes(), nl=False)
            flow = f"flows/{name}.py"
            raise Refusal(f"{flow} failed: {reason.read_text()}" if reason.exists() else describe_exit(flow, code))
        return result.read_text() if result.exists() else ""


def describe_exit(name: str, code: int) -> str:
    """Return a sentence about a command of a `name` that failed, by its exit `code`, which is negative for a signal."""
    from penumbra.core.system.process_tree import describe_exit_code

    end = f"was ended by {describe_exit_code(code)}" if code < 0 else "failed: its output above says why"
    return f"{name} {end}"


def run_experiment(runner: "FlowRunner", settings: "Settings", problem: "Problem", candidate: str) -> str:
    """Prepare an experiment while what its flow needs is being imported, and run the flow on what was prepared.

    Where machines share their state, the flow fetches it first, and prepares the experiment itself.

    Args:
        runner: What runs the flow; its imports have begun.
        settings: Those of the project.
        problem: The problem, with every part.
        candidate: The candidate's name.

    Returns:
        The words that the experiment ends with.

    Raises:
        Refusal: The data, a setting or a lock refuses, or the flow failed.
    """
    from flows.steps import PREPARED_VARIABLE
    from flows.steps.processes import flow_locks
    from flows.steps.train import experiment_run, plan
    from penumbra.registry.history.ledger_entries import BrokenLedger
    from penumbra.storage.locks import open_scratch_folder

    variables = {}
    with contextlib.ExitStack() as held:
        if not settings.cluster.state:
            with refuse_on(*plan.PLAN_ERRORS, BrokenLedger, OSError):
                for lock in flow_locks.list_work_locks("experiment", settings):
                    held.enter_context(lock)
                settings.training.folder.mkdir(parents=True, exist_ok=True)
                folder = held.enter_context(open_scratch_folder(settings.training.folder, ".prepared-"))
                variables = {PREPARED_VARIABLE: str(folder)}
                experiment_run.prepare_ahead(settings, problem, candidate, folder)
        return run_flow_process("experiment", f"--only={candidate}", runner=runner, variables=variables)


def train_in_pods(settings: "Settings", words: Sequence[str]) -> None:
    """Ingest and train in pods of the cluster that this machine knows, and fetch what they share of it.

    Args:
        settings: Those of the project.
        words: The options of the training.

    Raises:
        Refusal: A setting, the cluster or the store refuses, or a flow failed.
    """
    from flows.steps.shared.shared_folders import fetch_folders, list_training_folders
    from penumbra.cluster.metaflow_config import ClusterRefused, require_cluster_settings, require_reachable_cluster
    from penumbra.storage.shared.store_failures import StoreError

    with refuse_on(ClusterRefused, StoreError):
        require_cluster_settings(settings)
        require_reachable_cluster()
        run_flow_process("ingest", cluster=settings.cluster)
        run_flow_process("train", *words, cluster=settings.cluster)
        fetch_folders(list_training_folders(settings))


def _address_cluster(cluster: "ClusterSettings") -> tuple[list[str], dict[str, str]]:
    """The words before the options of a flow whose steps run as pods, and Metaflow's configuration."""
    from penumbra.cluster.metaflow_config import build_metaflow_environment, list_flow_options

    return [*list_flow_options(cluster), "run", "--with=kubernetes"], build_metaflow_environment(cluster)


def run_command(*command: str, environment: Mapping[str, str] | None = None, output: IO[bytes] | None = None) -> int:
    """Run a command until it ends, and pass SIGTERM on to it; Ctrl-C reaches it from the terminal.

    Args:
        command: The program and its arguments, which no shell expands.
        environment: Variables beside those of this process.
        output: The file that its output and its errors go to; None for those of this process.

    Returns:
        The command's exit code, negative for a signal.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the command has ended.
    """
    sys.stdout.flush()
    with SignalRelay() as relay:
        return relay.run_child(command, {**os.environ, **(environment or {})}, output)
