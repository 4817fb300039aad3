"""A live model of flights in a folder, tables of flights, and what scoring leaves there."""

import functools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import polars as pl

from flows.steps.score.score_order import ScoreOrder, begin_tables
from flows.steps.score.scoring import score_tables
from flows.steps.score.table_job import TableReceipt
from penumbra.core.settings import Settings, load_settings
from penumbra.logs.append_log import read_entries
from penumbra.rules import Rule
from problem import schema
from tests.helpers.servers import local_service


def make_problem(rules: Sequence[Rule] = ()) -> Any:
    """The problem with these rules."""
    own = SimpleNamespace(RULES=rules, OBSERVED_DECISIONS=())
    return SimpleNamespace(schema=schema, features=local_service.PROBLEM.features, rules=own)


def make_score_settings(folder: Path, **score: Any) -> Settings:
    """Settings with all folders below one, and parts of 40 rows."""
    own = {"folder": folder / "score", "part_rows": 40, **score}
    overrides = {f"PENUMBRA_SCORE__{key.upper()}": str(value) for key, value in own.items()}
    return load_settings(environ={**local_service.make_service_environment(folder), **overrides})


@functools.cache
def make_flights(rows: int = 100, seed: int = 1) -> pl.DataFrame:
    """Flights that keep the contract; drawing them takes longer than most of what is done with them."""
    return schema.Row.sample(rows, generator=dy.random.Generator(seed))


def write_flights(path: Path, flights: pl.DataFrame) -> Path:
    """A table of flights, by the ending of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flights.write_csv(
        path, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ"
    ) if path.suffix == ".csv" else flights.write_parquet(path)
    return path


def score_files(
    folder: Path, source: Path | str, output: str = "scores.parquet", rules: Sequence[Rule] = (), **order: Any
) -> list[tuple[TableReceipt, bool]]:
    """Score files with the model that is deployed in a folder."""
    settings, problem = make_score_settings(folder), make_problem(rules)
    asked = ScoreOrder(str(source), str(folder / output), **order)
    return list(score_tables(settings, problem, asked, begin_tables(settings, asked)))


def read_logged(folder: Path, log: str = "predictions") -> list[dict[str, Any]]:
    """The entries of a log, with equal ones as often as they are there."""
    return list(read_entries(folder / log))
