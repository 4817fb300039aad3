"""Steps of a process that change files or databases: counted, and the process killed at one of them.

A step is a rename, a deletion, a new folder, link or file, a write to a log, or a commit of SQLite. Each counts twice:
before it is done and after.
"""

import builtins
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FILE_CALLS = ("rename", "replace", "remove", "unlink", "rmdir", "mkdir", "link", "symlink", "truncate", "ftruncate")
WRITING_MODES = frozenset("wax+")


class StepCounter:
    """Counts the steps below a folder, and kills the process at one of them."""

    def __init__(self, folder: Path, target: int = 0) -> None:
        """`target` is the number of the moment, from 1; 0 counts only."""
        self.folder = str(folder)
        self.target = target
        self.moments: list[str] = []

    def pass_moment(self, name: str) -> None:
        """Count a moment, at which the process may be killed."""
        self.moments.append(name)
        if len(self.moments) == self.target:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Replace the functions that change files, and the transactions, by ones that count."""
        for name in FILE_CALLS:
            setattr(os, name, self._count_calls(getattr(os, name), name))
        os.write = self._count_calls(os.write, "write")
        io.open = builtins.open = self._count_openings(builtins.open)  # type: ignore[assignment]
        self._count_transactions()
        self._count_commits()

    def _count_calls(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def count(target: Any, *rest: Any, **options: Any) -> Any:
            if not self._is_below(target):
                return call(target, *rest, **options)
            self.pass_moment(f"before {name}")
            result = call(target, *rest, **options)
            self.pass_moment(f"after {name}")
            return result

        return count

    def _count_openings(self, call: Callable[..., Any]) -> Callable[..., Any]:
        counted = self._count_calls(call, "open")

        def count(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            return (counted if WRITING_MODES & set(mode) else call)(file, mode, *rest, **options)

        return count

    def _count_transactions(self) -> None:
        """Those of our own SQLite files, in modules that are imported and in those that will be."""
        from penumbra.storage import sqlite

        original = sqlite.write_transaction

        @contextlib.contextmanager
        def count(*arguments: Any) -> Iterator[None]:
            with original(*arguments):
                yield
                self.pass_moment("before commit")
            self.pass_moment("after commit")

        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get("write_transaction") is original:
                module.write_transaction = count  # type: ignore[attr-defined]

    def _count_commits(self) -> None:
        """Those of MLflow's database."""
        if "sqlalchemy" in sys.modules:
            from sqlalchemy.engine.default import DefaultDialect

            commit = DefaultDialect.do_commit

            def count(dialect: Any, connection: Any) -> None:
                self.pass_moment("before commit")
                commit(dialect, connection)
                self.pass_moment("after commit")

            DefaultDialect.do_commit = count  # type: ignore[method-assign]

    def _is_below(self, target: Any) -> bool:
        """Whether a path or an open file is in the folder."""
        path = f"/proc/self/fd/{target}" if isinstance(target, int) else os.fspath(target)
        return os.path.realpath(os.fsdecode(path)).startswith(self.folder)
