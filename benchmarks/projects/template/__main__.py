"""`penumbra bench template`: generate projects, and measure what a person edits and waits for.

The package cache is warm where a project was set up on this machine before.
"""

import json
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.projects.start import measure_first_prediction
from benchmarks.projects.template.edits import measure_edits
from benchmarks.projects.template.own_tables import OWN_TABLES
from tests.helpers.template_copies import commit_all, copy_repository, generate_project

STARTS = {"flights (default)": {}, "empty, yes or no": {"start": "empty", "task": "binary"}}


def main() -> None:
    """Print a line for each data set and each start, and a JSON document in the last line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commit_all(template := copy_repository(folder / "template"))
        edits = {table: measure_edits(template, table, folder) for table in OWN_TABLES}
        print(f"{'own data':<12}{'task':<10}{'files':>6}{'lines':>7}")
        for table, edited in edits.items():
            print(f"{table.name:<12}{table.task:<10}{len(edited.files):>6}{edited.lines:>7}  {', '.join(edited.files)}")
        print(f"\n{'start':<20}{'generate':>9}{'train':>7}{'serve':>7}  seconds until each is over", flush=True)
        seconds = 0.0
        for number, (title, answers) in enumerate(STARTS.items()):
            project = folder / f"project-{number}"
            marks = measure_first_prediction(partial(_generate, template, project, answers), project)
            print(f"{title:<20}{marks['made']:>9.0f}{marks['train']:>7.0f}{marks['serve']:>7.0f}", flush=True)
            seconds = max(seconds, marks["serve"])
    files, lines = (max(counts) for counts in zip(*((len(e.files), e.lines) for e in edits.values()), strict=True))
    print(json.dumps({"files": files, "lines": lines, "seconds": round(seconds)}))


def _generate(template: Path, project: Path, answers: Mapping[str, str]) -> None:
    commit_all(generate_project(template, project, **answers))


if __name__ == "__main__":
    main()
