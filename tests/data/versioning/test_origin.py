"""The problem that a data version is of."""

import pytest

from penumbra.data.versioning.origin import DataOrigin
from tests.helpers.problems.orders import load_orders

FLIGHTS = DataOrigin("2024-01", "2024-03", ("carrier", "flight", "time_hour", "arr_delay"))
MORE_COLUMNS = [
    (
        "age = dy.Int16(nullable=False, min=18, max=99)",
        "age = dy.Int16(nullable=False, min=18, max=99)\n    size = dy.Int16(nullable=True)",
    )
]


def test_data_of_the_same_problem_is_known_after_columns_were_added_and_batches_came(tmp_path):
    recorded = DataOrigin.of_batches(["2024-01", "2024-02"], load_orders(tmp_path))
    assert recorded.is_of(load_orders(tmp_path, schema=MORE_COLUMNS, source=[("MONTHS = 6", "MONTHS = 12")]))


@pytest.mark.parametrize("origin", [FLIGHTS, DataOrigin("2013-01", "2013-03", ("order_id", "at", "region"))])
def test_data_with_other_columns_or_other_batches_is_of_another_problem(tmp_path, origin):
    assert not origin.is_of(load_orders(tmp_path))


def test_what_is_recorded_is_read_back_and_what_others_write_is_no_origin():
    assert DataOrigin.from_meta(FLIGHTS.to_meta()) == FLIGHTS
    assert DataOrigin.from_meta({"owner": "ops"}) is None
    assert DataOrigin.from_meta(None) is None
