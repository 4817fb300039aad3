"""What makes the data store derive its rows again, on a problem that isn't the example."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penumbra.core.settings import PROJECT_ROOT
from penumbra.data.partitions.partition_code import STORED_PARTS, fingerprint_partition_code
from tests.helpers.problems.orders import write_orders

FEATURES = [
    ('Number("amount")', 'Expression("amount in euros", pl.col("amount") * RATE, Row)'),
    ("import Category, Feature, Number", "import Category, Expression, Feature, Number"),
    (
        '"""The model\'s inputs."""',
        '"""The inputs."""\n\nimport polars as pl\n\nfrom problem.rates import RATE\nfrom problem.schema import Row',
    ),
]
LAZY_SOURCE = [("    orders = []\n", "    from problem.deep import tables\n\n    orders = list(tables.NOTHING)\n")]
CANDIDATES = [('"""The experiments."""', '"""The experiments."""\n\nfrom problem import tricks, shared')]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The orders with helper modules and tables of every kind, and a package beside them."""
    made = write_orders(tmp_path / "problem", features=FEATURES, source=LAZY_SOURCE, candidates=CANDIDATES)
    files = {
        "problem/rates.py": "from outside.more import RATE\n",
        "problem/deep/__init__.py": "",
        "problem/deep/tables.py": "from problem import shared\n\nNOTHING = ()\n",
        "problem/shared.py": "",
        "problem/tricks.py": "",
        "problem/by_name.py": "",
        "problem/slices.py": "SLICES = {}\n",
        "problem/rules.py": "RULES = ()\n",
        **{f"problem/rates.{suffix}": "1" for suffix in ("csv", "json", "toml", "parquet")},
        "problem/deep/[more].txt": "1",
        "outside/__init__.py": "",
        "outside/more.py": "RATE = 1.0\n",
        "outside/table.csv": "1",
        "unrelated.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return made.parent


def compute_key(folder: Path) -> str:
    return fingerprint_partition_code({part: folder / f"problem/{part}.py" for part in STORED_PARTS})


@pytest.mark.parametrize(
    "file",
    [
        *(f"problem/{part}.py" for part in STORED_PARTS),
        "problem/__init__.py",
        "problem/rates.py",
        "problem/deep/tables.py",
        "problem/shared.py",
        "problem/by_name.py",
        *(f"problem/rates.{suffix}" for suffix in ("csv", "json", "toml", "parquet")),
        "problem/deep/[more].txt",
        "outside/more.py",
        "outside/table.csv",
    ],
)
def test_a_file_that_rows_may_depend_on_changes_the_key(folder: Path, file: str) -> None:
    before = compute_key(folder)
    with (folder / file).open("a") as opened:
        opened.write("# changed\n")
    assert compute_key(folder) != before


@pytest.mark.parametrize(
    "file", ["problem/candidates.py", "problem/slices.py", "problem/rules.py", "problem/tricks.py", "unrelated.py"]
)
def test_what_only_candidates_slices_or_rules_read_leaves_the_key(folder: Path, file: str) -> None:
    before = compute_key(folder)
    with (folder / file).open("a") as opened:
        opened.write("# changed\n")
    assert compute_key(folder) == before


def test_without_features_of_its_own_a_problem_has_a_key_that_its_contract_changes(folder: Path) -> None:
    (folder / "problem/features.py").unlink()
    before = compute_key(folder)
    with (folder / "problem/schema.py").open("a") as opened:
        opened.write("# changed\n")
    assert compute_key(folder) != before


def test_another_version_of_an_imported_library_changes_the_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compute_key(folder)
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name} of tomorrow")
    assert compute_key(folder) != before


def test_caches_and_hidden_files_leave_the_key(folder: Path) -> None:
    before = compute_key(folder)
    (folder / "problem/__pycache__").mkdir()
    (folder / "problem/__pycache__/schema.cpython-311.pyc").write_bytes(b"1")
    (folder / "problem/.schema.py.swp").write_bytes(b"1")
    assert compute_key(folder) == before


READ_ROWS = """
import datetime as dt, json
from pathlib import Path
from penumbra.core.columns import INPUTS_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import DataSettings
from penumbra.data.batches import DataStore
problem = load_problem()
folders = {"folder": Path("data"), "derived": Path("derived")}
settings = DataSettings(today=dt.date(2024, 2, 1), **folders, remote="", commit=False, bad_row_share=0.05)
store = DataStore(settings, problem)
if not store.batches():
    store.stage("2024-01", problem.source.fetch("2024-01"))
    store.admit(["2024-01"])
rows = store.rows("2024-01")
print(json.dumps([rows["amount"].mean(), rows[INPUTS_COLUMN].struct.field("amount in euros").mean()]))
"""


@pytest.mark.slow
def test_a_rate_in_a_helper_module_is_in_the_features_as_soon_as_it_is_edited(folder: Path) -> None:
    for rate in (1.0, 0.01):
        (folder / "outside/more.py").write_text(f"RATE = {rate}\n")
        environ = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{PROJECT_ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", READ_ROWS], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        amount, euros = json.loads(done.stdout)
        assert euros == pytest.approx(amount * rate)
