"""The files of a problem about birds, and what is said where they are wrong."""

import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import PROBLEM_PARTS, ProblemError

FILES = {
    "schema": """
import dataframely as dy
import polars as pl
TIME = "seen"
class Row(dy.Schema):
    ring = dy.Int32(primary_key=True)
    seen = dy.Datetime(nullable=False)
    grams = dy.Float64(nullable=True)
class Labelled(Row):
    wingspan = dy.Float64(nullable=True)
def target():
    return pl.col("wingspan") > 30
EXAMPLE = {"ring": 7, "seen": "2013-04-01T12:00:00"}
""",
    "source": """
def batches():
    return []
def fetch(batch):
    return {}
def parse(files):
    raise ValueError("nothing")
""",
    "features": """
from penumbra.features import Number
FEATURES = (Number("grams"),)
""",
    "candidates": """
from penumbra.patterns import Candidate
def tree(columns):
    return None
def baseline(columns):
    return None
CANDIDATES = {"tree": Candidate(tree)}
""",
}


def describe_fault(package, parts=tuple(PROBLEM_PARTS)):
    """The message of the error, with the folder called problem."""
    with pytest.raises(ProblemError) as error:
        load_problem(parts, package=package)
    return str(error.value).replace(package, "problem")
