"""Problems that are written for a draft, loaded and tried on rows."""

import contextlib
import importlib
import sys

import polars as pl

from penumbra.core.loading.problem_loading import load_problem
from penumbra.data.partitions.contract import check_rows
from penumbra.drafting.files.problem_files import render_problem

PARTS = ("schema", "source", "features", "candidates", "slices")


@contextlib.contextmanager
def load_written(draft, folder, parts=PARTS):
    """Write the problem of a draft below a folder, and load it as a package of its own."""
    package = f"written_{folder.name}"
    (folder / package).mkdir()
    for name, text in render_problem(draft).items():
        (folder / package / name).write_text(text)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield load_problem(parts, package)
    finally:
        sys.path.remove(str(folder))


def count_broken_rules(problem):
    """How many rows of all batches of the source break each rule of the contract, and how many there are."""
    broken, rows = {}, 0
    for batch in problem.source.batches():
        parsed = problem.source.parse(problem.source.fetch(batch.name))
        parsed = parsed.collect() if isinstance(parsed, pl.LazyFrame) else parsed
        checked = check_rows(problem, batch.name, parsed, problem.source.CONVERSIONS)
        rows += parsed.height
        for rule, count in checked.broken.items():
            broken[rule] = broken.get(rule, 0) + count
    return broken, rows
