"""Real tables whose rows stand on random days: those of `bench own-data`, and others of installed packages."""

import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.helpers.flight_stream import read_checked_rows
from benchmarks.projects.own_data.problems.tables import read_package_table
from benchmarks.projects.own_data.project import PROBLEMS, copy_problem
from benchmarks.statistics.stationary.problems import StationaryProblem, shuffle_units
from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.task import Task
from penumbra.features import Category, Number


@dataclass(frozen=True)
class RealTable:
    """A table of an installed package, as text.

    Attributes:
        package: The package's import name.
        path: The file's path below the package's folder.
        label: The label.
        task: What is predicted.
        numbers: The columns of numbers.
        words: The columns of categories.
        names: Names of the columns; none: those that the file has.
        separator: What stands between values.
    """

    package: str
    path: str
    label: pl.Expr
    task: Task
    numbers: tuple[str, ...]
    words: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    separator: str = ","

    def read_rows(self) -> pl.DataFrame:
        """Read the features and the label; rows without a label are left out."""
        table = read_package_table(self.package, self.path, self.names, self.separator)
        numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in self.numbers]
        return table.select(*numbers, *self.words, self.label.alias(LABEL_COLUMN)).drop_nulls(LABEL_COLUMN)


def build_table_problem(model: str, per_day: int, table: RealTable) -> StationaryProblem:
    """Build a problem of a package's table, with so many rows a day."""
    features = (*map(Number, table.numbers), *map(Category, table.words))
    return _spread_rows(table.read_rows(), per_day, model, table.task, features)


def build_own_problem(model: str, per_day: int, name: str) -> StationaryProblem:
    """Build one of the problems of `bench own-data`, with so many rows a day: its contract, its features, its rows."""
    with tempfile.TemporaryDirectory() as folder:
        package = f"{name}_problem"
        copy_problem(PROBLEMS / name, Path(folder) / package)
        sys.path.insert(0, folder)
        try:
            problem = load_problem(package=package)
            rows = read_checked_rows("9", problem)
        finally:
            sys.path.remove(folder)
    features, task = problem.features.FEATURES, Task.from_schema(problem.schema)
    return _spread_rows(rows, per_day, model, task, features, problem.schema.TIME)


def _spread_rows(rows: pl.DataFrame, *about: Any) -> StationaryProblem:
    return shuffle_units(rows, np.arange(rows.height), *about)


TABLES = {
    "iris": (
        "tree",
        2,
        RealTable(
            *("sklearn", "datasets/data/iris.csv"),
            pl.col("species").cast(pl.Int64),
            Task("multiclass", ("setosa", "versicolor", "virginica")),
            numbers=("sepal length", "petal length", "petal width"),
            names=("sepal length", "sepal width", "petal length", "petal width", "species"),
        ),
    ),
    "digits": (
        "boosting 20",
        10,
        RealTable(
            *("sklearn", "datasets/data/digits.csv.gz"),
            pl.col("digit").cast(pl.Float64).cast(pl.Int64),
            Task("multiclass", tuple("0123456789")),
            numbers=("21", "28", "36", "42", "53"),
            names=(*map(str, range(64)), "digit"),
        ),
    ),
    "affairs": (
        "boosting",
        30,
        RealTable(
            *("statsmodels", "datasets/fair/fair.csv"),
            pl.col("affairs").cast(pl.Float64) > 0,
            Task("binary"),
            numbers=("age", "yrs_married", "religious", "rate_marriage"),
            words=("occupation",),
        ),
    ),
    "doctor visits": (
        "boosting 20",
        100,
        RealTable(
            *("statsmodels", "datasets/randhie/randhie.csv"),
            pl.col("mdvis").cast(pl.Float64),
            Task("regression"),
            numbers=("lncoins", "lpi", "fmde", "disea"),
            words=("hlthg",),
        ),
    ),
    "voters": (
        "linear",
        6,
        RealTable(
            *("statsmodels", "datasets/anes96/src/anes96.csv"),
            pl.col("vote").cast(pl.Int64, strict=False) == 1,
            Task("binary"),
            numbers=("age", "educ", "income", "selfLR"),
            separator=" ",
        ),
    ),
}
OWN_DATA = {
    "cancer": ("forest", 4),
    "diabetes": ("linear", 3),
    "gapminder": ("tree", 10),
    "orders": ("boosting 20", 40),
    "sensors": ("tree", 800),
    "tickets": ("boosting 20", 30),
    "tips": ("tree", 2),
    "wine": ("linear", 2),
}
REAL_TABLES = {name: partial(build_table_problem, *about) for name, about in TABLES.items()}
REAL_TABLES |= {name: partial(build_own_problem, *about, name) for name, about in OWN_DATA.items()}
