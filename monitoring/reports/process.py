"""The process that makes Evidently reports, the only one that imports Evidently.

Started by monitoring/reports/client.py as `python -m monitoring.reports.process`. It reads the path of a request's JSON
file from each line of standard input and answers with a line of JSON on standard output, until standard input ends.
As the process does nothing else, it can adapt Evidently and the garbage collector to this work.
"""

import datetime as dt
import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from monitoring.reports.requests import ReportReply, ReportRequest, load_sides
from monitoring.reports.window_figures import build_figures, describe_window, extract_distances
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows import Window

DATA_REPORT, QUALITY_REPORT, CANDIDATE_REPORT, CANDIDATE_QUALITY_REPORT = (
    "data",
    "quality",
    "candidate",
    "candidate-quality",
)
HIDDEN_STATISTICS = ("Maximum value", "Mean value", "Std value", "Quantile")


def main() -> None:
    """Answer requests until standard input ends."""
    replies, sys.stdout = sys.stdout.buffer, sys.stderr  # what a library prints is no reply
    gc.disable()  # Evidently's thousands of classes all stay alive: searching them is a fifth of the work, in vain
    from monitoring.reports import evidently_reports  # noqa: F401  takes seconds, in which the pass reads rows

    with skip_hidden_pictures():
        gc.freeze()
        _answer_requests(sys.stdin.buffer, replies)


@contextmanager
def skip_hidden_pictures() -> Iterator[None]:
    """Keep Evidently from drawing pictures that no page shows; its own function is put back at the end.

    For each statistic of a column Evidently draws the column's distribution, but shows only that of the minimum. The
    others are four fifths of all pictures and a third of the work.

    Yields:
        Nothing.
    """
    from evidently.metrics import column_statistics

    draw_distribution = column_statistics.distribution

    def draw_shown_distribution(title: str, *columns: Any) -> list[Any]:
        return [] if title.startswith(HIDDEN_STATISTICS) else draw_distribution(title, *columns)

    column_statistics.distribution = draw_shown_distribution
    try:
        yield
    finally:
        column_statistics.distribution = draw_distribution


def _answer_requests(requests: BinaryIO, replies: BinaryIO) -> None:
    for line in requests:
        replies.write(msgspec.json.encode(_answer(Path(line.decode().rstrip("\n")))) + b"\n")
        replies.flush()
        gc.collect()


def _answer(path: Path) -> ReportReply:
    try:
        request = msgspec.json.decode(path.read_bytes(), type=ReportRequest)
        pages = ReportWorkspace(Path(request.folder), request.model).write(request.window, _build_snapshots(request))
    except Exception as error:  # whatever it is, the pass that waits for the reply reports it
        place = traceback.extract_tb(error.__traceback__)[-1]
        return ReportReply(error=f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})")
    return ReportReply({kind: str(page) for kind, page in pages.items()})


def _build_snapshots(request: ReportRequest) -> dict[str, Any]:
    """Snapshots by kind of report; kinds that can't be made of these rows are left out."""
    from monitoring.reports import evidently_reports

    window, live = request.window, load_sides(request.live)
    snapshots = {
        DATA_REPORT: evidently_reports.build_data_report(
            live,
            extract_distances(window),
            build_figures(window, len(live.columns().left_out)),
            describe_window(window),
            **_build_snapshot_metadata(window, DATA_REPORT),
        ),
        QUALITY_REPORT: evidently_reports.build_quality_report(
            live, **_build_snapshot_metadata(window, QUALITY_REPORT)
        ),
        **_build_candidate_snapshots(request),
    }
    return {kind: snapshot for kind, snapshot in snapshots.items() if snapshot is not None}


def _build_candidate_snapshots(request: ReportRequest) -> dict[str, Any]:
    from monitoring.reports import evidently_reports

    if request.candidate is None:
        return {}
    sides = load_sides(request.candidate)
    builders = {
        CANDIDATE_REPORT: evidently_reports.build_prediction_report,
        CANDIDATE_QUALITY_REPORT: evidently_reports.build_quality_report,
    }
    return {kind: build(sides, **_build_snapshot_metadata(request.window, kind)) for kind, build in builders.items()}


def _build_snapshot_metadata(window: Window, kind: str) -> dict[str, Any]:
    """Evidently's `name`, `tags` and `timestamp` of a snapshot, which its pages show."""
    last = window.end - dt.timedelta(days=1)
    name = f"{window.begin} to {last}: {kind.replace('-', ' ')}, {window.verdict}"
    tags = [kind, window.verdict, f"version {window.model}"]
    return {"name": name, "tags": tags, "timestamp": dt.datetime.combine(window.begin, dt.time())}


if __name__ == "__main__":
    main()
    os._exit(0)  # to take thousands of classes down one by one takes a quarter of a second
