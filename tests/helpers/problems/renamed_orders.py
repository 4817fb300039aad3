"""The orders with other names of their columns, and a loop over them in this process, from ingest to the monitor."""

import datetime as dt
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.steps.doctor import examination
from flows.steps.monitor import due_windows
from flows.steps.train import final_fit, held_out, matrices, matrix_writing, plan
from monitoring.windows.window_store import WindowStore
from penumbra.cli.reports.quarantine_report import describe_quarantine
from penumbra.cli.reports.serving.label_report import collect_label_counts, format_label_counts
from penumbra.cli.reports.serving.lineage_report import format_lineage
from penumbra.core.columns import (
    ADDED_AT_COLUMN,
    BROKEN_RULES_COLUMN,
    DAY_COLUMN,
    INPUTS_COLUMN,
    LOSS_COLUMN,
    MODEL_COLUMN,
    PREDICTION_COLUMN,
    name_loss_column,
)
from penumbra.core.histograms import list_profiled_columns
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings, load_settings
from penumbra.data.batches import DataStore
from penumbra.data.failure_set import FailureSet
from penumbra.logs.archiving import archive
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.daily.profiles import PROFILES_FILE, ProfileStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.labels import LabelSpec
from penumbra.logs.queries.daily import read_day_records
from penumbra.logs.queries.labels import join_labels
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.registry.lineage import explain_prediction
from penumbra.simulation.replay import traffic
from penumbra.training.evaluation import slices
from penumbra.training.evaluation.evaluate import TrialJob
from penumbra.training.fit import compute_baseline
from penumbra.training.gate.gate_comparisons import list_slice_columns
from penumbra.training.split import select_worst_failures, split_batches
from service.http.requests import feedback
from service.processes.deployment.version_deployment import deploy_live
from tests.helpers.models import registered_versions
from tests.helpers.problems.orders import load_orders
from tests.helpers.servers import local_service
from tests.helpers.servers.local_service import TestClient, build_service

SERVED_BATCH, FIRST_DAY = "2024-05", dt.date(2024, 5, 2)  # a window of the monitor begins on that day
SERVED_DAYS = 7
JOB = TrialJob("boosting")


def load_renamed_orders(folder: Path, names: Mapping[str, str]) -> Problem:
    """Load the orders with these names of their columns, a slice and a rule on them, and a bad row in each month."""
    defined = [
        (f"    {name} = {text}", f"    {name} = {text[:-1]}, alias=NAMES[{name!r}])") for name, text in DEFINITIONS
    ]
    return load_orders(
        folder,
        schema=[
            ('TIME = "at"', f'NAMES = {dict(names)!r}\nTIME = NAMES["at"]'),
            *defined,
            ('pl.col("churned")', 'pl.col(NAMES["churned"])'),
            ('OUTCOME = {"churned": False}', 'OUTCOME = {NAMES["churned"]: False}'),
            ("EXAMPLE = {", "PLAIN_EXAMPLE = {"),
            ("OUTCOME = ", "EXAMPLE = {NAMES[name]: value for name, value in PLAIN_EXAMPLE.items()}\nOUTCOME = "),
        ],
        source=[
            ("import polars as pl\n", "import polars as pl\n\nfrom .schema import NAMES\n"),
            ('null_values=[""])', 'null_values=[""]).rename(NAMES)'),
            ('pl.col("at")', 'pl.col(NAMES["at"])'),
            ('pl.col(name) == "true"', 'pl.col(NAMES[name]) == "true"'),
            (
                "round(draw.lognormvariate(3, 0.6), 2)",
                "-1 if day.day == 3 and n == 4 else round(draw.lognormvariate(3, 0.6), 2)",
            ),
            ("math.log(amount / 20)", "math.log(abs(amount) / 20)"),
        ],
        features=[
            ("from penumbra", "from .schema import NAMES\nfrom penumbra"),
            ('"region"', 'NAMES["region"]'),
            ('"amount"', 'NAMES["amount"]'),
            ('"age"', 'NAMES["age"]'),
        ],
        slices=[("", SLICES)],
        rules=[("", RULES)],
    )


DEFINITIONS = [
    ("order_id", "dy.Int64(primary_key=True, min=1)"),
    ("at", "dy.Datetime(nullable=False)"),
    ("region", 'dy.Enum(["north", "south", "west"])'),
    ("amount", "dy.Float64(nullable=True, min=0, max=10_000)"),
    ("age", "dy.Int16(nullable=False, min=18, max=99)"),
    ("member", "dy.Bool(nullable=False)"),
    ("churned", "dy.Bool(nullable=True)"),
]
PLAIN_NAMES = {name: name for name, _ in DEFINITIONS}
SLICES = """
import polars as pl

from .schema import NAMES

SLICES = {NAMES[name]: pl.col(NAMES[name]).cast(pl.String) for name in ("region", "member")}
"""
RULES = """
from penumbra.rules import OneOf, Review, Rule

from .schema import NAMES

RULES = (Rule("northern", "seen by people", OneOf(NAMES["region"], ["north"]), Review()),)
"""


def collect_loop_facts(folder: Path, database: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """Take the orders with these names through every store and stage.

    Args:
        folder: An empty folder.
        database: An MLflow database with a version 1.
        names: By the name of each column of the orders, the name to give it.

    Returns:
        What came out at each stage, with the names put back: the same whatever the names are.
    """
    problem, settings = load_renamed_orders(folder, names), _make_settings(folder)
    plain = {name: column for column, name in names.items()}
    facts = dict(_ingest(settings, problem, plain))
    facts |= _train(settings, problem, plain)
    registered_versions.make_aliased_registry(folder, database, live="1")
    facts |= _serve(settings, problem, plain)
    return facts | _monitor(settings, problem, plain)


def _make_settings(folder: Path) -> Settings:
    changed = {
        "DATA__FOLDER": folder / "data",
        "DATA__DERIVED": folder / "derived",
        "DATA__TODAY": FIRST_DAY + dt.timedelta(days=SERVED_DAYS + 2),
        "TRAINING__FOLDER": folder / "training",
        "TRAINING__FAILURES": folder / "failures",
        "TRAINING__CANDIDATES": '["boosting"]',
        "MONITOR__FOLDER": folder / "monitor",
        "MONITOR__EVERY_DAYS": 0,
        "MONITOR__ACCEPT": "[]",
        "GATE__ACCEPT": "[]",
    }
    overrides = {f"PENUMBRA_{name}": str(value) for name, value in changed.items()}
    return load_settings(environ={**registered_versions.make_registry_environment(folder), **overrides})


def _ingest(settings: Settings, problem: Problem, plain: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    store = DataStore(settings.data, problem)
    batches = [batch.name for batch in problem.source.batches()][:5]
    checked = [store.stage(batch, problem.source.fetch(batch)) for batch in batches]
    yield "checks", [(each.rows, each.rejected, _put_back(each.broken, plain)) for each in checked]
    store.admit(batches)
    rejected = [store.quarantine(batch) for batch in batches]
    rules = [[_put_back_rule(rule, plain) for rule in rows[BROKEN_RULES_COLUMN].list.explode()] for rows in rejected]
    yield "rules", rules
    yield (
        "quarantine",
        [_put_back(row, plain) for rows in rejected for row in rows.drop(BROKEN_RULES_COLUMN).to_dicts()],
    )
    yield "rejected", describe_quarantine(rejected, problem).count("1 row, the first is row")
    yield "rows", store.rows(SERVED_BATCH).rename(lambda name: plain.get(name, name)).drop(INPUTS_COLUMN).to_dicts()
    examined = examination._list_checks(examination.ExaminedData(store))
    yield "doctor", {title: len(check()) for title, check in examined}


def _train(settings: Settings, problem: Problem, plain: Mapping[str, str]) -> dict[str, Any]:
    batches = DataStore(settings.data, problem).batches()[:4]
    split = split_batches(batches, 1, 1)
    made = matrix_writing.write_matrices(settings, problem, batches, settings.training.folder / "arrays")
    final_fit.release_winner(made, JOB, split)
    made.try_candidate(JOB, split.train, split.validation, "validation")
    tested = [final_fit.score_winner(settings, made, JOB, split), *final_fit.score_baseline_parts(made, split)]
    _seal_bundle(settings, problem, made, split)
    rows = plan.read_training_rows(settings, problem, split.test)
    losses = held_out.build_loss_table(made, JOB, "test", split.test, rows, None)
    candidate = losses[name_loss_column("candidate")]
    days, inputs = losses[DAY_COLUMN], rows[INPUTS_COLUMN].struct.unnest()
    worst = slices.find_worst_slices(inputs, candidate.to_numpy(), days.to_numpy(), min_rows=20, min_days=5)
    failures = FailureSet(settings.training.failures, problem.schema.Row)
    of_live = rows.with_columns(candidate.alias(LOSS_COLUMN), pl.lit("1").alias(MODEL_COLUMN), days)
    failures.add(select_worst_failures(of_live))
    return {
        "inputs": made.arrays.read("inputs"),
        "scores": [trial.scores for trial in tested],
        "worst": worst.drop("slice").to_dicts(),
        "slices": [int(members.sum()) for _, members in slices.find_slice_members(losses, list_slice_columns(losses))],
        "failures": failures.read().rename(lambda name: plain.get(name, name)).drop(ADDED_AT_COLUMN).to_dicts(),
    }


def _seal_bundle(settings: Settings, problem: Problem, made: matrices.Matrices, split: Any) -> None:
    """Make the trained model version 1, as a registration does."""
    facts = {
        "task": {"kind": "binary", "classes": []},
        "threshold": 0.5,
        "baseline": compute_baseline(made.task, made.arrays.read("labels")),
        "counts": {},
        "train": split.train,
        "validation": split.validation,
        "test": split.test,
    }
    folder = made.arrays.folder / "bundle"
    bundle_writing.seal_bundle(folder, facts, problem.features.FEATURES, made.tables)
    registry = settings.service.state.parent / "registry"
    shutil.copytree(folder, registry / "1")
    deploy_live(local_service.FolderRegistry(registry, "1"), settings.service.state, problem)


def _serve(settings: Settings, problem: Problem, plain: Mapping[str, str]) -> dict[str, Any]:
    """Ask for the rows of the served days: some one by one, the others as lists; and report half of them by key."""
    row, outcome = problem.schema.Row, list(problem.schema.Labelled.columns())[-1]
    rows = DataStore(settings.data, problem).rows(SERVED_BATCH).sort(row.primary_key())
    at = pl.col(problem.schema.TIME).dt.date()
    rows = rows.filter(at >= FIRST_DAY, at < FIRST_DAY + dt.timedelta(days=SERVED_DAYS))
    records = json.loads(traffic.encode_records(rows.select(list(row.columns()))))
    names = {column: name for name, column in plain.items()}
    with TestClient(
        build_service(settings, problem, ()).to_asgi(), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)
    ) as http:
        answers = [http.post("/predict", json=record).json() for record in records[:3]]
        answers += http.post("/predict", json=records[3:]).json()
        broken = http.post("/predict", json={**records[0], names["age"]: 5})
        document = http.get("/docs.json").json()
        by_id = {feedback.choose_id_field(LabelSpec.from_schema(problem.schema)): answers[0]["prediction_id"]}
        labels = [{**record, outcome: value} for record, value in _list_labels(rows, row.primary_key(), outcome)]
        accepted = [http.post("/feedback", json={**by_id, outcome: labels[0][outcome]}).status_code]
        accepted += [http.post("/feedback", json=labels[1:]).status_code]
        both = http.post("/feedback", json={**labels[0], **by_id}).json()["details"][0]
    explained = explain_prediction(settings, answers[1]["prediction_id"])
    assert all(name in format_lineage(explained) for name in row.columns())
    return {
        "answers": [answer["probability"] for answer in answers],
        "refused": [plain[fault["field"]] for fault in broken.json()["details"]],
        "fields": [plain[name] for name in document["components"]["schemas"]["Row"]["properties"]],
        "accepted": accepted,
        "both": plain[both["field"]],
        "explained": _put_back(explained["prediction"]["record"], plain),
    }


def _list_labels(rows: pl.DataFrame, key: Sequence[str], outcome: str) -> Iterator[tuple[dict[str, Any], Any]]:
    for row in rows.iter_rows(named=True):
        yield {name: row[name] for name in key}, row[outcome]


def _monitor(settings: Settings, problem: Problem, plain: Mapping[str, str]) -> dict[str, Any]:
    """Index, profile, archive, profile again, and judge the window."""
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    joined, day = join_labels(index), read_day_records(index, FIRST_DAY, problem.schema)
    alarms = due_windows.judge_due_windows(settings, problem)
    (window,) = WindowStore(settings.monitor.folder).read()
    before = _read_counts(settings, problem, plain)
    _archive(settings, problem)
    (settings.monitor.folder / PROFILES_FILE).unlink()
    assert _read_counts(settings, problem, plain) == before
    records = day.rename(lambda name: plain.get(name, name))
    return {
        "targets": sorted(joined["target"].cast(pl.Int8)),
        "day": records.sort("order_id").select(pl.all().cast(pl.String)).to_dicts(),
        "counts": before,
        "coverage": len(list(format_label_counts(collect_label_counts(settings, problem)))),
        "alarms": len(alarms),
        "window": (window.rows, window.verdict, window.loss and window.loss.mean, window.drift and window.drift.ratio),
        "drift": {plain[name]: distance.distance for name, distance in window.columns.items()},
        "faults": [(fault.what, plain.get(fault.column, fault.column)) for fault in window.faults],
        "predictions": window.prediction and window.prediction.distance,
    }


def _read_counts(settings: Settings, problem: Problem, plain: Mapping[str, str]) -> dict[str, list[int]]:
    """The counts of all columns in the live answers' profiles, and of the reference's."""
    store = ProfileStore(settings.monitor.folder, settings.service.predictions, problem.schema)
    columns = list_profiled_columns(problem.features.FEATURES, problem.schema.TIME)
    reference = bundle.read_reference_rows(settings.service.state / "bundles/1")
    store.update(lambda version: reference.select(*columns, problem.schema.TIME, PREDICTION_COLUMN))
    binning = store.binning("1")
    profiles = [*store.window(dt.date.min, dt.date.max, "1").values(), *store.reference("1").values()]
    counts = np.array([profile.counts for profile in profiles])
    return {plain.get(name, name): counts[:, place].tolist() for name, place in binning.columns.items()}


def _archive(settings: Settings, problem: Problem) -> None:
    """Keep the prediction log as columns, and delete its lines."""
    folder = settings.service.predictions
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    reader = LogFrameReader(problem.schema).read_archived
    archive.compact_segments(folder, archive.seal_closed_segments(folder), tomorrow, reader)


def _put_back(record: Mapping[str, Any], plain: Mapping[str, str]) -> dict[str, Any]:
    """Give the fields of a record, or the rules of a contract, their plain names."""
    return {_put_back_rule(name, plain): value for name, value in record.items()}


def _put_back_rule(rule: str, plain: Mapping[str, str]) -> str:
    column, bar, kind = rule.rpartition("|")
    return plain[rule] if rule in plain else f"{plain.get(column, column)}{bar}{kind}"
