"""The file of what was measured: each figure with its day and revision, and what each benchmark printed last.

"figures"  by name, such as "train/flow_over_plain": value, date, revision
"aims"     the figures that have an aim, by their titles, and whether it is kept
"runs"     by benchmark, its last run: when, how long, on what, and the tables that it printed
"""

import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measured.aims import compare_with_aims
from penumbra.core.settings import PROJECT_ROOT

MEASURED_FILE = PROJECT_ROOT / "docs" / "measured.json"
SECTIONS = ("aims", "figures", "runs")
REVISION_DIGITS = 8
Measured = dict[str, dict[str, Any]]


def read_measured(path: Path) -> Measured:
    """Read a file of figures.

    Args:
        path: The file.

    Returns:
        Its sections by name; empty ones where there is no file.
    """
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: content.get(name, {}) for name in SECTIONS}


def record_run(path: Path, benchmark: str, printed: str, seconds: float, revision: str) -> bool:
    """Enter a run of a benchmark into a file of figures: figures that it didn't measure stay.

    Args:
        path: The file; it is made where there is none.
        benchmark: The benchmark's name.
        printed: What it printed: tables, and in the last line a JSON document.
        seconds: How long it took.
        revision: The revision of the code that it began with.

    Returns:
        Whether there is such a last line; without one nothing is entered.
    """
    *lines, last = printed.strip().splitlines() or [""]
    if not last.startswith("{"):
        return False
    measured, stamp = read_measured(path), {"date": f"{dt.date.today()}", "revision": revision}
    measured["figures"] |= {
        f"{benchmark}/{name}": {"value": value, **stamp} for name, value in flatten_figures(json.loads(last))
    }
    measured["runs"][benchmark] = {
        **stamp, "seconds": round(seconds), **describe_machine(), "printed": "\n".join(lines).strip("\n")
    }  # fmt: skip
    write_measured(path, measured)
    return True


def write_measured(path: Path, measured: Measured) -> None:
    """Write a file of figures, one figure a line, with the aims compared anew.

    Args:
        path: The file.
        measured: Its sections by name.
    """
    measured = {**measured, "aims": compare_with_aims(measured["figures"])}
    sections = (
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(
            f" {json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in rows.items()
        )
        + "\n}"
        for name, rows in measured.items()
    )
    path.write_text("{\n" + ",\n".join(sections) + "\n}\n", encoding="utf-8")


def describe_revision() -> str:
    """Describe the revision of the code; changes of docs/, where figures are entered, don't count.

    Returns:
        The beginning of the commit's hash, with "+changes" where tracked files differ from it.
    """
    git = ["git", "-C", str(PROJECT_ROOT)]
    commit = subprocess.check_output([*git, "rev-parse", f"--short={REVISION_DIGITS}", "HEAD"], text=True).strip()
    is_clean = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", ".", ":!docs"]).returncode == 0
    return commit if is_clean else f"{commit}+changes"


def flatten_figures(figures: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten the document of a benchmark's last line.

    Args:
        figures: The document.
        before: What each name begins with.

    Yields:
        Names, in which "/" stands between the levels, and values.
    """
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from flatten_figures(value, f"{before}{name}/")
        else:
            yield f"{before}{name}", value


def describe_machine() -> dict[str, Any]:
    """Describe what a benchmark runs on.

    Returns:
        "cores", "memory_gib", "python", "versions" of the project and of the libraries that pyproject.toml names.
    """
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [project["name"], *project["dependencies"], *project["optional-dependencies"]["train"]]
    names = [re.split(r"[<>=;\[ ]", each)[0] for each in named]
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in names},
    }
