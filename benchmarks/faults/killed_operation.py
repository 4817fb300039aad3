"""One operation, killed before and after each of its steps: `python -m benchmarks.faults.killed_operation index …`.

The process has imported what costs time, and forks for each kill. polars is never among that: its threads don't
survive a fork.
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

from benchmarks.faults.killed_steps import StepCounter
from benchmarks.faults.operations.operation import Operation

OPERATIONS = {  # by name: the module of benchmarks/faults/operations that has it
    "ingest": "ingest",
    "train": "train",
    "retrain": "train",
    "promote": "promote",
    "reject": "promote",
    "canary": "promote",
    "rollback": "rollback",
    "rollback_alone": "rollback",
    "archive": "logs",
    "index": "logs",
    "monitor": "monitor",
}
SHOWN_DIFFERENCES = 3
Outcome = dict[str, list[str]]


def kill_operation(name: str, folder: Path, every: int) -> Outcome:
    """Kill one operation at its steps; the process must have no threads.

    Args:
        name: The operation's name.
        folder: A folder for the states.
        every: Kill at every so many of the moments only.

    Returns:
        "kills": the moments; "lost" and "twice": a sentence for each moment after which that was so.
    """
    sys.modules.setdefault("polars", None)  # type: ignore[arg-type]
    operation: Operation = importlib.import_module(f"benchmarks.faults.operations.{OPERATIONS[name]}").OPERATIONS[name]
    for module in operation.preloaded:
        importlib.import_module(module)
    template, state, answer = folder / "template", folder / "state", folder / "answer.json"
    state.mkdir(parents=True)
    _fork(lambda: operation.prepare(state))
    state.rename(template)

    def run_undisturbed() -> None:
        operation.run(state)
        answer.write_text(json.dumps(sorted(operation.describe(state))))

    shutil.copytree(template, state, symlinks=True)
    moments = _count_moments(operation.run, state, answer)
    print(f"{name}: {len(moments)} moments", file=sys.stderr, flush=True)
    shutil.rmtree(state)
    shutil.copytree(template, state, symlinks=True)
    _fork(run_undisturbed)
    expected = Counter(json.loads(answer.read_text()))
    outcome: Outcome = {"kills": [], "lost": [], "twice": []}
    for number in range(1, len(moments) + 1, every):
        shutil.rmtree(state)
        shutil.copytree(template, state, symlinks=True)
        if not _is_killed(operation.run, state, number):
            continue
        moment = f"moment {number}, {moments[number - 1]}"
        outcome["kills"].append(moment)
        answer.unlink()
        try:
            _fork(run_undisturbed)
        except ChildProcessError:
            outcome["lost"].append(f"{moment}: the next run fails")
            answer.write_text(json.dumps(sorted(expected.elements())))
            continue
        found = Counter(json.loads(answer.read_text()))
        for name, difference in (("lost", expected - found), ("twice", found - expected)):
            if difference:
                outcome[name].append(f"{moment}: {list(difference.elements())[:SHOWN_DIFFERENCES]}")
                print(name, outcome[name][-1], file=sys.stderr, flush=True)
    return outcome


def _count_moments(run: Callable[[Path], object], state: Path, answer: Path) -> list[str]:
    def count() -> None:
        counter = StepCounter(state)
        counter.install()
        run(state)
        moments = counter.moments.copy()
        answer.write_text(json.dumps(moments))

    _fork(count)
    found: list[str] = json.loads(answer.read_text())
    return found


def _is_killed(run: Callable[[Path], object], state: Path, number: int) -> bool:
    """Run the operation in a process that is killed at a moment; tell whether it came to that."""

    def run_to_death() -> None:
        counter = StepCounter(state, number)
        counter.install()
        run(state)

    return _wait(_start(run_to_death)) == -signal.SIGKILL


def _allow_polars() -> None:
    if sys.modules.get("polars", 0) is None:
        del sys.modules["polars"]


def _fork(work: Callable[[], None]) -> None:
    if code := _wait(_start(work)):
        raise ChildProcessError(code)


def _start(work: Callable[[], None]) -> int:
    sys.stdout.flush()
    if process := os.fork():
        return process
    os.dup2(2, 1)
    try:
        _allow_polars()
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _wait(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    print(json.dumps(kill_operation(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
