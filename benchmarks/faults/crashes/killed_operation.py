"""One operation, killed before and after each of its steps.

`python -m benchmarks.faults.crashes.killed_operation index FOLDER 1` kills the indexing of logs at each of its moments.
The process has imported what costs time, and forks for each kill. polars starts its threads, which don't survive that,
when it first computes something: no module that does so when it is imported, as a problem's schema, may be among them.
"""

import importlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.crashes.killed_steps import StepCounter
from benchmarks.faults.crashes.operations.operation import Operation
from penumbra.core.system.process_tree import list_lost_threads

OPERATIONS = {  # by name: the module of benchmarks/faults/crashes/operations that has it
    "ingest": "ingest",
    "train": "train",
    "retrain": "train",
    "promote": "promote",
    "reject": "promote",
    "canary": "promote",
    "approve": "approve",
    "decline": "approve",
    "end_investigation": "approve",
    "rollback": "rollback",
    "rollback_alone": "rollback",
    "archive": "logs",
    "index": "logs",
    "monitor": "monitor",
    "monitor_backlog": "monitor",
    "pick": "reviews",
    "answer": "reviews",
    "score": "score",
}
SHOWN_DIFFERENCES = 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
Outcome = dict[str, list[str]]


def kill_operation(name: str, folder: Path, every: int) -> Outcome:
    """Kill one operation at its steps.

    Args:
        name: The operation's name.
        folder: A folder for the states.
        every: Kill at every so many of the moments only.

    Returns:
        "kills": the moments; "lost" and "twice": a sentence for each moment after which that was so.

    Raises:
        RuntimeError: What the operation imports beforehand has started threads, or it doesn't do what it is to do.
    """
    os.environ.update(ONE_THREAD)
    module = importlib.import_module(f"benchmarks.faults.crashes.operations.{OPERATIONS[name]}")
    operation: Operation = module.OPERATIONS[name]
    for preloaded in operation.preloaded:
        importlib.import_module(preloaded)
    if threads := list_lost_threads():
        raise RuntimeError(f"{name}: {', '.join(sorted(threads))} would not survive the fork")
    trial = OperationTrial(operation, folder)
    moments = trial.list_moments()
    print(f"{name}: {len(moments)} moments", file=sys.stderr, flush=True)
    expected = trial.run_undisturbed()
    if not any(text.startswith(operation.leaves) for text in expected):
        raise RuntimeError(f"{name}: an undisturbed run leaves nothing that begins with {operation.leaves!r}")
    outcome: Outcome = {"kills": [], "lost": [], "twice": []}
    for number in range(1, len(moments) + 1, every):
        if not trial.is_killed_at(number):
            continue
        moment = f"moment {number}, {moments[number - 1]}"
        outcome["kills"].append(moment)
        try:
            found = trial.run_on()
        except ChildProcessError:
            outcome["lost"].append(f"{moment}: the next run fails")
            continue
        for fault, difference in (("lost", expected - found), ("twice", found - expected)):
            if difference:
                outcome[fault].append(f"{moment}: {list(difference.elements())[:SHOWN_DIFFERENCES]}")
                print(fault, outcome[fault][-1], file=sys.stderr, flush=True)
    return outcome


class OperationTrial:
    """One operation on copies of one state, each time in a forked process."""

    def __init__(self, operation: Operation, folder: Path) -> None:
        """Prepare the state, in `folder`."""
        self._operation = operation
        self._template, self._state, self._answer = folder / "template", folder / "state", folder / "answer.json"
        self._state.mkdir(parents=True)
        _fork(lambda: operation.prepare(self._state))
        self._state.rename(self._template)

    def list_moments(self) -> list[str]:
        """Return in words the moments at which the operation can be killed, in their order."""

        def count() -> None:
            counter = StepCounter(self._state)
            counter.install()
            self._operation.run(self._state)
            moments = counter.moments.copy()
            self._answer.write_text(json.dumps(moments))

        self._bring_back()
        _fork(count)
        found: list[str] = json.loads(self._answer.read_text())
        return found

    def run_undisturbed(self) -> Counter[str]:
        """Run the operation on a fresh state, and return what `run_on` does."""
        self._bring_back()
        return self.run_on()

    def is_killed_at(self, number: int) -> bool:
        """Run the operation on a fresh state until its moment `number`, and return whether it came to that."""

        def run_to_death() -> None:
            counter = StepCounter(self._state, number)
            counter.install()
            self._operation.run(self._state)

        self._bring_back()
        return _wait(_start(run_to_death)) == -signal.SIGKILL

    def run_on(self) -> Counter[str]:
        """Run the operation on the state as it is.

        Returns:
            How often each thing is in the state afterwards.

        Raises:
            ChildProcessError: It fails.
        """

        def run() -> None:
            self._operation.run(self._state)
            self._answer.write_text(json.dumps(sorted(self._operation.describe(self._state))))

        _fork(run)
        return Counter(json.loads(self._answer.read_text()))

    def _bring_back(self) -> None:
        shutil.rmtree(self._state, ignore_errors=True)
        shutil.copytree(self._template, self._state, symlinks=True)


def _fork(work: Callable[[], None]) -> None:
    if code := _wait(_start(work)):
        raise ChildProcessError(code)


def _start(work: Callable[[], None]) -> int:
    sys.stdout.flush()
    if process := os.fork():
        return process
    os.dup2(2, 1)
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _wait(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    print(json.dumps(kill_operation(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
