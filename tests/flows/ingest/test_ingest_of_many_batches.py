"""The ingest flow on other histories than a few months: a batch a day, empty days, two ingests at once."""

import pytest

from tests.helpers.flow_workspace import Workspace
from tests.helpers.problems.orders import FILES, write_orders

pytestmark = pytest.mark.slow

DAYS = 102  # more than Metaflow's own limit of tasks in a step
MONTHLY_BATCHES = (
    'return [Batch(f"2024-{month:02}", dt.date(2024 + month // 12, month % 12 + 1, 1)) '
    "for month in range(1, MONTHS + 1)]"
)
MONTHLY_ROWS = (
    'first = dt.date.fromisoformat(f"{batch}-01")\n'
    "    after = dt.date(first.year + first.month // 12, first.month % 12 + 1, 1)\n"
    "    days = [first + dt.timedelta(days=n) for n in range((after - first).days)]"
)
A_BATCH_A_DAY = [
    (
        MONTHLY_BATCHES,
        f"days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range({DAYS})]\n"
        "    return [Batch(str(day), day + dt.timedelta(days=1)) for day in days]",
    ),
    (MONTHLY_ROWS, 'days = [dt.date.fromisoformat(batch)] if batch != "2024-02-29" else []'),
    ("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 10"),
]
TODAY = {"data__today": "2025-01-01"}


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    folder = tmp_path_factory.mktemp("daily")
    space = Workspace(folder / "space")
    space.use_problem(write_orders(folder / "orders", source=A_BATCH_A_DAY))
    return space


@pytest.fixture(scope="module")
def at_once(space):
    """What two ingests say that began at the same time, with their exit codes."""
    both = [space.start(*space.flow("ingest"), **TODAY) for _ in range(2)]
    return [(process.communicate(timeout=300)[0], process.returncode) for process in both]


def test_of_two_ingests_at_once_one_waits_and_says_for_whom(at_once):
    waits = [output for output, _ in at_once if "another ingest is at work (since 20" in output]
    assert ([code for _, code in at_once], len(waits)) == ([0, 0], 1)
    assert "Traceback" not in "".join(output for output, _ in at_once)


def test_all_batches_of_a_long_history_are_admitted_at_once_by_one_of_them(space, at_once):
    outputs = sorted((output for output, _ in at_once), key=len)
    assert [output.count("10 rows, all keep the contract") for output in outputs] == [0, DAYS - 1]
    assert len(list((space.folder / "data/batches").iterdir())) == DAYS - 1


def test_a_day_without_rows_is_left_out_and_asked_for_again(at_once):
    assert all("2024-02-29: no rows, it is left out; fetched again by" in output for output, _ in at_once)


def test_the_second_finds_nothing_new(at_once):
    assert sorted(" 0 labels are new" in output for output, _ in at_once) == [False, True]


def test_a_file_that_is_rewritten_after_its_rows_were_admitted_is_told_by_the_next_ingest(tmp_path):
    space, orders = Workspace(tmp_path / "space"), tmp_path / "orders.csv"
    source = f'from penumbra.sources import TableFiles\n\nSOURCE = TableFiles("{orders}", time="at")\n'
    space.use_problem(write_orders(tmp_path / "problem", source=[(FILES["source"], source)]))
    orders.write_text("order_id,at,region,amount,age,member,churned\n1,2024-01-05T08:00:00,north,10.5,30,true,false\n")
    space.run(*space.flow("ingest"), **TODAY)
    orders.write_text(orders.read_text().replace("north", "south"))
    told = space.run(*space.flow("ingest"), **TODAY)
    assert "2024-01: the source has changed orders.csv since the batch was admitted" in told
    space.run(*space.flow("ingest"), "--again=2024-01", **TODAY)
    assert "has changed orders.csv" not in space.run(*space.flow("ingest"), **TODAY)
