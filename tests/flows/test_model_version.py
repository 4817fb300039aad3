"""A registered model version, and what it needs of the source."""

import datetime as dt

import polars as pl
import pytest

from flows.steps.model_version import ModelVersion
from penumbra.data.source_reader import SourceFailed
from penumbra.registry.bundles.bundle import REFERENCE_COLUMNS
from tests.helpers.problems.orders import load_orders

FACTS = {"train": ["2024-01"], "validation": ["2024-02"], "test": ["2024-03"]}


def test_what_it_has_learnt_ends_when_its_last_batch_was_complete(tmp_path):
    assert str(ModelVersion(tmp_path, FACTS, load_orders(tmp_path)).learnt) == "2024-04-01"


def test_a_source_that_is_away_is_told_in_a_sentence(tmp_path):
    problem = load_orders(tmp_path, source=[('    """All months."""', '    raise OSError("no route to host")')])
    with pytest.raises(SourceFailed, match=r"batches\(\) of .* fails at .*: OSError: no route to host"):
        _ = ModelVersion(tmp_path, FACTS, problem).learnt


def test_its_reference_has_the_days_of_the_logs_whatever_the_zone_of_the_rows_time(tmp_path):
    zone = "America/Los_Angeles"
    column = f'dy.Datetime(nullable=False, time_zone="{zone}")'
    problem = load_orders(tmp_path, schema=[("dy.Datetime(nullable=False)", column)])
    friday = pl.Series("at", [dt.datetime(2024, 1, 5, 17)]).dt.replace_time_zone(zone)
    pl.DataFrame([friday]).with_columns(map(pl.lit(0).alias, REFERENCE_COLUMNS)).write_parquet(
        tmp_path / "reference.parquet"
    )
    assert ModelVersion(tmp_path, FACTS, problem).reference["at"].dt.date().to_list() == [dt.date(2024, 1, 6)]
