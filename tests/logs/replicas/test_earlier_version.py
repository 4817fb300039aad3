"""What a replica of an earlier version has written, byte for byte, is in the union once.

It knows of no state that machines share: it ships its days to the archive, and neither segments nor a heartbeat. The
files beside this one are of the last revision before replicas shipped their logs: an answer that is in a segment and in
the archive, one that is in a segment, and a label.
"""

import shutil
from pathlib import Path

import pytest

from penumbra.core.settings import Settings
from penumbra.logs.archiving.archive_parts import list_parts
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.replicas.log_union import find_logged_prediction, read_coverage
from service.processes.shipper import LogShipper
from tests.helpers.logs.replica_logs import get_logs, log_answers, make_replica, ship
from tests.helpers.servers.local_service import PROBLEM

WRITTEN = Path(__file__).with_name("earlier_version")
ARCHIVED, LATER = "13dc3c0b400aaaaaa-0", "13dc3c0b401bbbbbb-0"


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(shutil.copytree(WRITTEN / "archive", tmp_path / "archive"))


def make_machine(folder: Path, archive: str) -> Settings:
    return make_replica(folder, str(folder.parent / "state"), PENUMBRA_LOG__ARCHIVE=archive)


def read_index(settings: Settings) -> dict[str, int | None]:
    """The minutes that the label of each answer in the union says."""
    index = LogIndex.of_all_replicas(settings, PROBLEM.schema)
    query = (
        "SELECT p.id, t.value ->> 'arr_delay' FROM predictions AS p LEFT JOIN truth AS t ON t.key = p.key ORDER BY p.id"
    )
    with index.open() as db:
        return dict(db.execute(query))


def test_days_that_it_has_shipped_are_in_the_union_beside_the_logs_of_a_new_one(tmp_path: Path, archive: str) -> None:
    new = make_machine(tmp_path / "new", archive)
    (name,) = log_answers(new, 5)
    LogShipper(new, get_logs(new)).run_pass()
    reader = make_machine(tmp_path / "reader", archive)
    assert read_index(reader) == {ARCHIVED: None, name: None}
    coverage = read_coverage(reader)
    assert coverage
    assert [each.replica for each in coverage.heartbeats] == [get_logs(new).replica]
    found = find_logged_prediction(make_machine(tmp_path / "other", archive), ARCHIVED)
    assert found
    assert found["record"]["flight"] == 1


def test_a_new_one_on_its_volume_ships_what_it_left_and_each_entry_is_there_once(tmp_path: Path, archive: str) -> None:
    shutil.copytree(WRITTEN / "volume", tmp_path / "old")
    new = make_machine(tmp_path / "old", archive)
    assert get_logs(new).replica == "38f432c1"  # who archived from this volume is who ships from it
    assert ship(new) == 3
    reader = make_machine(tmp_path / "reader", archive)
    assert read_index(new) == read_index(reader) == {ARCHIVED: 20, LATER: None}
    assert [len(part.segments) for _, part in list_parts(reader.service.predictions)] == [1]
