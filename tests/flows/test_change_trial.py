"""A change is tried on a sample, beside the live model, and leaves everything of the project as it is."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.steps.change.change_trial import ChangeTrial, try_change
from flows.steps.change.newest_batches import admit_newest_batches
from flows.steps.change.reachable_model import find_reachable_model
from flows.steps.train.plan import require_known_candidates
from penumbra.cli.reports.decisions.change_report import format_change_report
from penumbra.core.settings import Settings, SettingsError
from penumbra.data.source_reader import BatchRefused, SourceFailed, is_out_of_reach
from tests.helpers.models.finished_trainings import train_live_orders
from tests.helpers.models.training_runs import FEW_ROWS
from tests.helpers.problems.orders import load_orders, open_orders_store

pytestmark = pytest.mark.slow
LESS = [('(Category("region"), Number("amount"), Number("age"))', '(Category("region"),)')]
UNREACHABLE = "http://127.0.0.1:9"
Try = Callable[..., ChangeTrial]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Settings:
    """The settings of a project with four months of orders and a live version."""
    return train_live_orders(tmp_path_factory.mktemp("project"), migrated_database).settings


@pytest.fixture
def attempt(project: Settings, tmp_path: Path) -> Try:
    """Tries the orders with some text replaced."""

    def run(settings: Settings = project, rows: int = 500, **changes: Sequence[tuple[str, str]]) -> ChangeTrial:
        changes["source"] = [*FEW_ROWS, *changes.get("source", [])]
        (folder := tmp_path / "trial").mkdir()
        try:
            return try_change(settings, load_orders(tmp_path, **changes), ["boosting"], rows, folder)
        finally:
            shutil.rmtree(folder)

    return run


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def with_registry(settings: Settings, tracking: str) -> Settings:
    return settings.model_copy(update={"registry": settings.registry.model_copy(update={"tracking": tracking})})


def test_a_change_is_compared_with_the_live_model_on_rows_that_it_had_not_learnt(
    project: Settings, attempt: Try
) -> None:
    trial = attempt(features=LESS)
    best, live, baseline = trial.models
    assert [model.name for model in trial.models] == ["boosting", "live", "baseline"]
    assert best.difference is not None
    assert best.difference.low > 0
    assert live.scores["log_loss"].value < best.scores["log_loss"].value < baseline.scores["log_loss"].value + 0.05
    assert (trial.live.version, trial.sample.compared_days) == ("1", trial.sample.days)
    text = format_change_report(trial, "orders", project.gate)
    assert "**`boosting` is worse than version 1, which is live**: log-loss +0." in text
    assert "features left out: Number(amount), Number(age)" in text
    assert "| live (version 1) | 0." in text


def test_the_same_change_gives_the_same_report_and_nothing_of_the_project_is_written(
    project: Settings, attempt: Try
) -> None:
    before = read_files(project.data.folder.parent)
    trials = [attempt() for _ in range(2)]
    assert read_files(project.data.folder.parent) == before
    texts = {format_change_report(trial, "orders", project.gate) for trial in trials}
    assert len(texts) == 1
    assert "Learnt from 500 of the 600 rows of `2024-01 to 2024-02`" in texts.pop()
    assert [check.name for check in trials[0].gate.checks][:2] == ["baseline", "live"]


def test_a_column_that_the_live_model_reads_and_is_gone_is_named(project: Settings, attempt: Try) -> None:
    renamed = [("age = dy.Int16", "years = dy.Int16"), ('"age": 40', '"years": 40')]
    source = [('null_values=[""])', 'null_values=[""]).rename({"age": "years"})')]
    trial = attempt(schema=renamed, features=[('Number("age")', 'Number("years")')], source=source)
    text = format_change_report(trial, "orders", project.gate)
    assert "Nothing can be compared with the live model" in text
    assert "version 1 can't answer with this code: its feature age reads the column age" in text
    assert "column age is dropped" in text
    assert "column years is new (Int16)" in text


def test_without_a_registry_the_candidates_are_tried_all_the_same(
    project: Settings, attempt: Try, tmp_path: Path
) -> None:
    trial = attempt(with_registry(project, f"sqlite:///{tmp_path}/none.db"))
    assert [model.name for model in trial.models] == ["boosting", "baseline"]
    text = format_change_report(trial, "orders", project.gate)
    assert "there is no registry at sqlite:///" in text
    assert "the best candidate is `boosting`: log-loss less the baseline model's: " in text
    assert "**The gate** would say: **pass**" in text


@pytest.mark.parametrize(
    ("tracking", "reason"),
    [
        (UNREACHABLE, f"the registry at {UNREACHABLE} can't be asked: "),
        ("http://ann:secret@127.0.0.1:9", "the registry at http://ann:***@127.0.0.1:9 can't be asked: "),
        ("", "registry.tracking names no registry"),
    ],
)
def test_a_registry_out_of_reach_is_said_without_its_secrets(
    project: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking: str, reason: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    found = find_reachable_model(with_registry(project, tracking).registry, tmp_path)
    assert found.reason.startswith(reason)
    assert "secret" not in found.reason


def test_a_feature_that_is_constant_in_the_sample_is_a_remark_and_no_finding(attempt: Try) -> None:
    year = '(Category("region"), Number("amount"), Number("age"), Expression("year", pl.col("at").dt.year(), Row))'
    imported = [
        ("from penumbra.features import", "import polars as pl\n\nfrom penumbra.features import Expression,"),
        ("FEATURES:", "from .schema import Row\n\nFEATURES:"),
        ('(Category("region"), Number("amount"), Number("age"))', year),
    ]
    trial = attempt(features=imported)
    assert trial.findings == []
    assert [remark for remark in trial.remarks if remark.startswith("year: ")]


def test_a_feature_without_any_value_is_a_finding_and_no_remark(project: Settings, attempt: Try) -> None:
    dead = 'Expression("dead", pl.when(pl.col("age") < 0).then(pl.col("age")), Row)'
    features = [
        ("from penumbra.features import", "import polars as pl\n\nfrom penumbra.features import Expression,"),
        ("FEATURES:", "from .schema import Row\n\nFEATURES:"),
        ('Number("age"))', f'Number("age"), {dead})'),
    ]
    trial = attempt(features=features)
    assert [finding.column for finding in trial.findings] == ["dead"]
    assert "dead: 100.0% missing in all " in format_change_report(trial, "orders", project.gate)


def test_a_column_that_the_change_freezes_in_the_latest_batch_is_a_finding(project: Settings, attempt: Try) -> None:
    frozen = 'pl.when(pl.col("at").str.starts_with("2024-04")).then(pl.lit("40")).otherwise(pl.col("age")).alias("age")'
    source = [('null_values=[""])', f'null_values=[""]).with_columns({frozen})')]
    unmonitored = project.monitor.model_copy(update={"on_faults": False})
    trial = attempt(project.model_copy(update={"monitor": unmonitored}), source=source)
    assert [finding.column for finding in trial.findings] == ["age"]


def test_a_batch_of_which_data_faults_leave_nothing_makes_room_for_an_earlier_one(attempt: Try) -> None:
    faulty = 'pl.when(pl.col("at").str.starts_with("2024-04")).then(None).otherwise(pl.col("amount")).alias("amount")'
    source = [('null_values=[""])', f'null_values=[""]).with_columns({faulty})')]
    trial = attempt(rows=100, source=source)
    assert trial.sample.split.test == ["2024-03"]
    assert trial.sample.split.train == ["2024-01"]


@pytest.mark.parametrize("name", ["live", "baseline"])
def test_a_candidate_that_is_called_like_what_it_is_compared_with_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"--candidate names {name}: .* needs another name"):
        require_known_candidates("--candidate", [name], {name: None})


# The sample


def test_batches_that_are_held_out_dont_count_for_the_rows_to_learn_from(tmp_path: Path) -> None:
    store = open_orders_store(tmp_path, source=FEW_ROWS)
    assert admit_newest_batches(store, batches=3, rows=290, held_out=2) == ["2024-04", "2024-03", "2024-02"]
    assert admit_newest_batches(store, batches=3, rows=300, held_out=2)[-1] == "2024-01"


def test_a_source_without_its_password_is_out_of_reach_and_one_without_its_file_is_wrong(tmp_path: Path) -> None:
    def fail(error: str) -> Any:
        body = [("    return [Batch(", f"    raise {error}\n    return [Batch(")]
        with pytest.raises((SourceFailed, BatchRefused)) as failed:
            admit_newest_batches(open_orders_store(tmp_path, source=body), batches=1, rows=1)
        return failed.value

    assert is_out_of_reach(fail("ConnectionError('SHOP_PASSWORD is not set')"))
    assert not is_out_of_reach(fail("FileNotFoundError('orders.csv')"))
