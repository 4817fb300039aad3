"""`python -m tests.problems.april`: the live model's answers to a fortnight of April, as the service logs them, and a
pass of the monitor over them, with its pages."""

import contextlib
import datetime as dt
import tempfile
from pathlib import Path

import polars as pl

import problem
import problem.features
import problem.schema
import problem.source
from flows import overview
from flows.watch import reporting, watching, windows
from settings import load
from stores import bundle
from stores.data import DataStore
from stores.log import Writer, encode
from stores.models import Models
from stores.predictions import Entry

FORTNIGHT = pl.datetime(2013, 4, 4, time_zone="UTC"), pl.datetime(2013, 4, 18, time_zone="UTC")


def main() -> None:
    chosen = load()
    rows = DataStore(chosen.data, problem).rows("2013-04")
    rows = rows.filter(pl.col(problem.schema.TIME).is_between(*FORTNIGHT, closed="left"))
    with tempfile.TemporaryDirectory() as folder:
        Models(chosen.registry).download("1", Path(folder) / "1")
        said = bundle.read(Path(folder) / "1", problem.features.FEATURES, "1").score(rows).tolist()
    records = rows.select(list(problem.schema.Row.columns())).to_dicts()
    entries = [
        Entry(
            record[problem.schema.TIME] - dt.timedelta(hours=1),
            "contract",
            record,
            [],
            output,
            decision(output),
            "1",
            9,
        )
        for record, output in zip(records, said, strict=True)
    ]
    with contextlib.closing(Writer(chosen.service.predictions)) as log:
        log.append([encode(entry) for entry in entries])
    print(windows.words(chosen, watching.watch(chosen), ""))
    print("reports:", *(page.name for page in reporting.publish(chosen)))
    print("overview:", overview.write(chosen).name)


def decision(output: float | list[float]) -> str | float:
    """That of several classes, or the number itself."""
    if isinstance(output, float):
        return output
    classes = problem.schema.Labelled.create_empty().select(problem.schema.target().alias("t")).schema["t"].categories
    return str(classes[output.index(max(output))])


if __name__ == "__main__":
    main()
