"""Ingest of two months of made-up orders into an empty data folder, with a remote."""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.crashes.operations.operation import Operation, make_environment, make_settings

PACKAGE = "killed_orders"
TODAY = "2024-03-15"


def prepare_orders(folder: Path) -> None:
    """Write the problem and DVC's folder."""
    from tests.helpers.problems.orders import write_orders

    write_orders(folder / "code" / PACKAGE, source=[("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 5")])
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")


def run_ingest(folder: Path) -> None:
    """Ingest with the problem that is beside the data."""
    sys.path.insert(0, str(folder / "code"))
    os.environ.update(make_environment(folder, data__today=TODAY))
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.data.batches import DataStore
    from penumbra.data.partitions.partition_code import STORED_PARTS
    from tests.helpers.plain_ingest import ingest_in_process

    settings = make_settings(folder, data__today=TODAY)
    ingest_in_process(DataStore(settings.data, load_problem(STORED_PARTS, PACKAGE)))


def describe_data(folder: Path) -> Iterator[str]:
    """Yield a text for each file of the data, of its versions and of what is derived, and for each label."""
    from penumbra.logs.append_log import read_entries

    for place in ("data", "derived/rows", "derived/quarantine", "derived/pushed", ".dvc/cache/files", "remote/files"):
        for path in (folder / place).rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                yield f"{path.relative_to(folder)} {hashlib.md5(path.read_bytes()).hexdigest()}"
    yield (folder / "data.dvc").read_text()
    yield from (f"staged: {path}" for path in folder.glob(".data.staged/*"))
    for label in read_entries(folder / "labels"):
        yield f"label: {label['key']} {label['label']} {label['source']}"


OPERATIONS = {
    "ingest": Operation(
        prepare_orders, run_ingest, describe_data, "derived/rows/2024-02", ("dvc.repo", "tests.helpers.plain_ingest")
    )
}
