"""The client of the report process: starts it, hands it windows, and turns its failures into one sentence."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from monitoring.reports.columns import ReportSides
from monitoring.reports.requests import ReportReply, ReportRequest, StoredSides, store_sides
from monitoring.windows import Window
from penumbra.core.settings import PROJECT_ROOT

PROCESS_MODULE = "monitoring.reports.process"


class ReportProcessFailed(RuntimeError):
    """The reports of a window couldn't be made; says which window and why."""


@dataclass(frozen=True)
class ReportProcess:
    """A running report process.

    Attributes:
        process: The process, with pipes to its standard input and output.
        folder: A temporary folder for the rows of requests; the process's standard error goes to a file in it.
        monitor_folder: The settings' `monitor.folder`, where reports are kept.
        model: The name of the registered model.
    """

    process: "subprocess.Popen[bytes]"
    folder: Path
    monitor_folder: Path
    model: str

    def write_reports(self, window: Window, live: ReportSides, candidate: ReportSides | None) -> dict[str, Path]:
        """Make the reports of a window and keep them in the workspace, in place of earlier ones.

        Args:
            window: The window's record.
            live: The window's rows and the live model's reference.
            candidate: The candidate's and the live model's predictions of the same rows; None without a candidate.

        Returns:
            The page of each report by kind.

        Raises:
            ReportProcessFailed: The reports couldn't be made, or the process ended.
        """
        with TemporaryDirectory(dir=self.folder) as rows:
            stored = store_sides(live, Path(rows) / "live")
            stored_candidate = store_sides(candidate, Path(rows) / "candidate") if candidate else None
            reply = self._send(self._build_request(window, stored, stored_candidate), Path(rows) / "request.json")
        if reply.error:
            raise ReportProcessFailed(f"no reports on the window from {window.begin}: {reply.error}")
        return {kind: Path(page) for kind, page in reply.pages.items()}

    def _build_request(self, window: Window, live: StoredSides, candidate: StoredSides | None) -> ReportRequest:
        return ReportRequest(str(self.monitor_folder), self.model, window, live, candidate)

    def _send(self, request: ReportRequest, path: Path) -> ReportReply:
        path.write_bytes(msgspec.json.encode(request))
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(f"{path}\n".encode())
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = b""
        return msgspec.json.decode(line, type=ReportReply) if line else ReportReply(error=self._describe_end())

    def _describe_end(self) -> str:
        """How the process ended, with the last line that it printed."""
        code = self.process.wait()
        printed = (self.folder / "errors.txt").read_text(errors="replace").strip().splitlines()
        last = f": {printed[-1]}" if printed else ""
        return f"the report process ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}{last}"


@contextmanager
def start_report_process(monitor_folder: Path, model: str) -> Iterator[ReportProcess]:
    """Run a report process for as long as the context lasts.

    Args:
        monitor_folder: The settings' `monitor.folder`, where reports are kept.
        model: The name of the registered model.

    Yields:
        The process. It is killed where the context ends by an exception.
    """
    environment = {"DO_NOT_TRACK": "1", **os.environ, "PYTHONPATH": _build_python_path()}
    command, pipe = [sys.executable, "-m", PROCESS_MODULE], subprocess.PIPE
    with TemporaryDirectory() as folder, (Path(folder) / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=errors, env=environment)
        with process:
            try:
                yield ReportProcess(process, Path(folder), monitor_folder, model)
            except BaseException:
                process.kill()
                raise


def _build_python_path() -> str:
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(PROJECT_ROOT)]))
