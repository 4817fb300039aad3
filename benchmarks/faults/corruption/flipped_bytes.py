"""`python -m benchmarks.faults flipped_bytes`: a byte of every kind of file is changed, and all that reads it is run.

A change is detected where the file is named by what reads it; it is harmless where nothing reads the byte, so that
every result is that of the undisturbed state; otherwise it is undetected, and so is one that ends in an error that no
command would tell in a sentence.
"""

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.faults.corruption import small_state
from benchmarks.faults.corruption.state_readers import run_readers
from benchmarks.faults.report import FaultReport
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import Problem
from penumbra.logs.queries.lookup import INDEX_FILE
from tests.helpers.problems.orders import write_orders

SEED = 16
FEW_ROWS = [("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 5")]
PACKAGE, CHILD_SECONDS = "flipped_orders", 300
KINDS = {
    "raw batch": "data/batches/*/*",
    "data.dvc": "data.dvc",
    "DVC cache": ".dvc/cache/files/md5/*/*",
    "DVC remote": "var/remote/files/md5/*/*",
    "partition": "var/data/rows/*.parquet",
    "quarantine": "var/data/quarantine/*.parquet",
    "checksums": "var/data/md5.json",
    "receipt": "var/train/receipts/*.*",
    "failure set": "var/failures/*.parquet",
    "registry's bundle": "var/artifacts/**/bundle/*",
    "registry": "var/mlflow.db",
    "pointer": "var/service/[clp]*",
    "service's bundle": "var/service/bundles/*/*",
    "run id": "var/service/runs/*",
    "prediction log": "var/predictions/*.jsonl",
    "label log": "var/labels/*.jsonl",
    "shadow log": "var/shadow/*.jsonl",
    "archived part": "var/*/days/*.parquet",
    "archived part's facts": "var/*/days/*.json",
    "index": f"var/labels/{INDEX_FILE}",
    "profiles": "var/monitor/profiles.db",
    "outcome sums": "var/monitor/settled/*/*.msgpack",
    "shadow profiles": "var/monitor/scored/*.msgpack",
    "window": "var/monitor/windows/*.json",
    "report": "var/monitor/reports/*/*",
    "ledger": "var/ledger/ledger.jsonl",
    "ledger's head": "var/ledger/head.json",
    "seal": "var/**/*.sha256",
}
CHILDREN = multiprocessing.get_context("forkserver")  # a fork of a process whose polars has worked would hang
FLIPS_PER_KIND = {"registry": 6, "index": 4, "profiles": 4, "seal": 4}


@dataclass(frozen=True)
class Flip:
    """A byte to change: the kind and the file (relative to the project), the position, and what it is changed by."""

    kind: str
    file: Path
    position: int
    mask: int


@dataclass(frozen=True)
class FlipOutcome:
    """What became of a flip: "detected", "harmless" or "undetected", and what was said."""

    flip: Flip
    outcome: str
    said: str


def inject_faults() -> FaultReport:
    """Change bytes of every kind of file: at the beginning, in the middle and at the end.

    Returns:
        The number of flips and of undetected ones, and both by kind of file.
    """
    with open_flip_bench() as bench:
        outcomes = [bench.try_flip(flip) for flip in bench.list_flips()]
    undetected = [each for each in outcomes if each.outcome == "undetected"]
    counts = {"flipped": len(outcomes), "undetected": len(undetected)}
    findings = [f"{each.flip.kind}, {each.flip.file}, byte {each.flip.position}: {each.said}" for each in undetected]
    return FaultReport(counts, _count_by_kind(outcomes), tuple(findings))


def _count_by_kind(outcomes: list[FlipOutcome]) -> pl.DataFrame:
    kinds = dict.fromkeys(each.flip.kind for each in outcomes)
    return pl.DataFrame(
        [
            {"kind": kind}
            | {
                name: sum(each.flip.kind == kind and each.outcome == name for each in outcomes)
                for name in ("detected", "harmless", "undetected")
            }
            for kind in kinds
        ]
    )


@contextlib.contextmanager
def open_flip_bench() -> Iterator["FlipBench"]:
    """Make the state, in a temporary folder that is removed afterwards.

    Yields:
        The bench.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        write_orders(folder / PACKAGE, source=FEW_ROWS)
        (folder / "project").mkdir()
        yield FlipBench(folder)


class FlipBench:
    """A state that is brought back before each flip, and all that reads it. It is made and read in child processes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.project, self.pristine = folder, folder / "project", folder / "pristine"
        CHILDREN.set_forkserver_preload([__name__])
        _, said = self._call_in_child(partial(_make_state, self.project))
        if not (self.project / "var").exists():
            raise RuntimeError(f"the state can't be made: {said}")
        shutil.copytree(self.project, self.pristine)
        self.undisturbed, self.said = self._consume()
        if self.undisturbed is None:
            raise RuntimeError(f"the undisturbed state can't be read: {self.said}")

    def list_flips(self, seed: int = SEED) -> list[Flip]:
        """List the flips: of each kind at the beginning, in the middle and at the end of a file.

        Args:
            seed: Decides which files and positions.

        Returns:
            The flips.

        Raises:
            RuntimeError: There is no file of a kind.
        """
        draw = random.Random(seed)
        return [flip for kind in KINDS for flip in self._list_of_kind(kind, draw)]

    def _list_of_kind(self, kind: str, draw: random.Random) -> Iterator[Flip]:
        found = sorted(path for path in self.pristine.glob(KINDS[kind]) if path.is_file() and path.stat().st_size)
        files = [path for path in found if kind == "seal" or path.suffix not in (".lock", ".sha256")]
        if not files:
            raise RuntimeError(f"the state has no {kind}: {KINDS[kind]}")
        count = FLIPS_PER_KIND.get(kind, 3)
        for number in range(count):
            path = draw.choice(files)
            last = path.stat().st_size - 1
            at = 0 if number == 0 else last if number == count - 1 else draw.randint(0, last)
            yield Flip(kind, path.relative_to(self.pristine), at, 1 << draw.randrange(8))

    def try_flip(self, flip: Flip) -> FlipOutcome:
        """Change a byte, run all that reads the state in a process of its own, and judge what it said.

        Args:
            flip: The byte to change.

        Returns:
            The outcome.
        """
        self._bring_back()
        path = self.project / flip.file
        path.chmod(0o644)
        content = bytearray(path.read_bytes())
        content[flip.position] ^= flip.mask
        path.write_bytes(content)
        results, said = self._consume()
        if results is None or "Traceback" in said:
            return FlipOutcome(flip, "undetected", said[-1500:])
        if any(name in said.replace(self.said, "") for name in _list_names(flip)):
            return FlipOutcome(flip, "detected", said)
        if results == self.undisturbed:
            return FlipOutcome(flip, "harmless", said)
        differing = [name for name in results if results[name] != self.undisturbed[name]]
        return FlipOutcome(flip, "undetected", f"{', '.join(differing)} differ, and nothing was said: {said[-500:]}")

    def _bring_back(self) -> None:
        shutil.rmtree(self.project)
        shutil.copytree(self.pristine, self.project)

    def _consume(self) -> tuple[Any, str]:
        """Run the readers; return their results (None where the process died) and all that they said."""
        return self._call_in_child(partial(run_readers, self.project))

    def _call_in_child(self, function: Callable[[Problem], Any]) -> tuple[Any, str]:
        """Call a function with the problem in a child process; return its result, and all that was said."""
        output, results = self.folder / "output", self.folder / "results.json"
        results.unlink(missing_ok=True)
        child = CHILDREN.Process(target=_call_and_exit, args=(self.folder, function, output, results))
        child.start()
        child.join()
        said = output.read_text(errors="replace") if output.exists() else ""
        return (json.loads(results.read_bytes()) if child.exitcode == 0 and results.exists() else None), said


def _call_and_exit(folder: Path, function: Callable[[Problem], Any], output: Path, results: Path) -> None:
    code = 1
    try:
        signal.alarm(CHILD_SECONDS)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout = sys.stderr = os.fdopen(file, "w", buffering=1)  # whatever they are in the parent
        sys.path.insert(0, str(folder))
        os.environ["DVC_SITE_CACHE_DIR"] = str(folder / ".dvc-site")
        results.write_text(json.dumps(function(load_problem(package=PACKAGE))))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _make_state(project: Path, problem: Problem) -> str:
    return str(small_state.make_state(project, problem))


def _list_names(flip: Flip) -> list[str]:
    """What the file can be named by: its own name, or that of the batch, segment or version that it belongs to."""
    name = flip.file.name.removesuffix(".sha256")
    own = {
        "raw batch": flip.file.parent.name,
        "registry's bundle": "the registry: version",
        "run id": f"runs/{name}",
        "pointer": f"service/{name}",
    }
    return [own.get(flip.kind, name)]
