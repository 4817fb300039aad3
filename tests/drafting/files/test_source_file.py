"""Where a drafted source reads: what only this machine has is told."""

from pathlib import PurePath

import pytest

from penumbra.drafting.files.source_file import find_local_path, note_place


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/srv/orders/orders.csv", "/srv/orders/orders.csv"),
        ("/srv/orders/*.parquet", "/srv/orders/*.parquet"),
        ("duckdb:////srv/orders/shop.duckdb", "/srv/orders/shop.duckdb"),
        ("sqlite+pysqlite:////srv/orders/shop.db?mode=ro", "/srv/orders/shop.db"),
        ("file:///srv/orders/orders.csv", "/srv/orders/orders.csv"),
    ],
)
def test_a_path_that_only_this_machine_has_is_told(location, path):
    (note,) = note_place(location)
    assert note.startswith(f"problem/source.py reads {path}, a path of this machine: ")


@pytest.mark.parametrize(
    "location",
    [
        "orders.csv",
        "orders/*.csv",
        "duckdb:///shop.duckdb",
        "duckdb://",
        "sqlite:///shop.db",
        "s3://bucket/orders/*.parquet",
        "https://example.com/orders.csv",
        "postgresql://ann:${SHOP_PASSWORD}@db/shop",
    ],
)
def test_nothing_is_said_of_what_a_clone_can_read(location):
    assert [*note_place(location)] == []


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("orders/*.csv", "orders/*.csv"),
        ("orders?.csv", "orders?.csv"),
        ("duckdb:///shop.duckdb", "shop.duckdb"),
        ("sqlite:///shop.db?mode=ro", "shop.db"),
        ("duckdb://", None),
        ("https://example.com/orders.csv", None),
        ("postgresql://ann:${SHOP_PASSWORD}@db/shop", None),
    ],
)
def test_the_path_of_data_is_found_where_they_are_on_this_machine(location, path):
    assert find_local_path(location) == (path and PurePath(path))
