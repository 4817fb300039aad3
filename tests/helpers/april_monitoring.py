"""Sample program `python -m tests.helpers.april_monitoring`: a fortnight of the live model and a monitor pass over it.

Logs the live model's answers to two weeks of April as the service would, and makes windows, reports and overview.
"""

import contextlib
import datetime as dt
import tempfile
from pathlib import Path

import polars as pl

import problem
import problem.schema
import problem.source
from flows.steps.monitor import due_windows, reports, window_summary
from monitoring.dashboard.overview import overview_page
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.schema import PredictionEntry
from penumbra.registry.bundles import bundle
from penumbra.registry.models import ModelRegistry

PROBLEM = load_problem()

FORTNIGHT = pl.datetime(2013, 4, 4, time_zone="UTC"), pl.datetime(2013, 4, 18, time_zone="UTC")


def main() -> None:
    settings = load_settings()
    rows = DataStore(settings.data, PROBLEM).rows("2013-04")
    rows = rows.filter(pl.col(problem.schema.TIME).is_between(*FORTNIGHT, closed="left"))
    with tempfile.TemporaryDirectory() as folder:
        ModelRegistry(settings.registry).download("1", Path(folder) / "1")
        said = bundle.read_bundle(Path(folder) / "1", PROBLEM, "1").score(rows).tolist()
    records = rows.select(list(problem.schema.Row.columns())).to_dicts()
    entries = [
        PredictionEntry(
            record[problem.schema.TIME] - dt.timedelta(hours=1),
            "contract",
            record,
            [],
            output,
            decide_class(output),
            "1",
            9,
        )
        for record, output in zip(records, said, strict=True)
    ]
    with contextlib.closing(LogWriter(settings.service.predictions)) as log:
        log.append([encode_json(entry) for entry in entries])
    alarms = due_windows.judge_due_windows(settings, PROBLEM)
    print(window_summary.format_window_summary(settings.monitor, settings.data.today, alarms, ""))
    print("reports:", *(page.name for page in reports.publish_reports(settings)))
    print("overview:", overview_page.write_overview(settings, PROBLEM).name)


def decide_class(output: float | list[float]) -> str | float:
    """Decide on a class.

    Args:
        output: The model's output for a row: a number, or a probability for each class.

    Returns:
        The most probable class's name, or the number itself.
    """
    if isinstance(output, float):
        return output
    classes = problem.schema.Labelled.create_empty().select(problem.schema.target().alias("t")).schema["t"].categories
    return str(classes[output.index(max(output))])


if __name__ == "__main__":
    main()
