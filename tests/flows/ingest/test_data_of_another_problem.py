"""A problem that takes the place of another inherits its data.dvc, and perhaps its data."""

import pytest

from flows.steps.ingest.recorded_version import (
    IngestRefused,
    find_foreign_origin,
    report_data_version,
    restore_recorded_data,
)
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore
from penumbra.data.versioning import versions
from penumbra.data.versioning.dvc_file import format_dvc_file
from penumbra.data.versioning.origin import DataOrigin
from tests.helpers.checkout import FLIGHTS
from tests.helpers.files import make_dvc_repository
from tests.helpers.problems.orders import load_orders

OTHER_VERSION = f"{7:032x}.dir"


@pytest.fixture
def store(tmp_path):
    """The data store of the orders, in a folder that came with the flights' data.dvc."""
    update = {"folder": tmp_path / "data", "derived": tmp_path / "derived", "remote": ""}
    data = load_settings(environ={}).data.model_copy(update=update)
    versions.get_dvc_file(data).write_text((FLIGHTS / "data.dvc").read_text())
    return DataStore(data, load_orders(tmp_path))


def admit(store, *batches):
    for batch in batches:
        store.stage(batch, store.problem.source.fetch("2024-01"))
    store.admit(batches)


def test_with_an_empty_data_folder_a_new_history_begins_and_that_is_said(store, capsys):
    assert restore_recorded_data(store) == ""
    told = capsys.readouterr().out
    assert "names data of another problem, 2013-01 to 2013-03 with the columns carrier, flight, time_hour, …" in told
    assert "git keeps the old" in told


def test_batches_that_the_source_does_not_have_are_refused_with_the_way_out(store):
    admit(store, "2013-01", "2013-02")
    with pytest.raises(IngestRefused, match=r"has the batches 2013-01 to 2013-02 of another problem.*start-over"):
        restore_recorded_data(store)


def test_batches_with_the_same_names_are_refused_where_the_pointer_names_just_them(store):
    admit(store, "2024-01")
    origin = DataOrigin("2024-01", "2024-01", ("carrier", "flight", "time_hour"))
    version = versions.compute_data_version(store.settings)
    versions.get_dvc_file(store.settings).write_text(format_dvc_file(version, 1, 1, "data", origin.to_meta()))
    with pytest.raises(IngestRefused, match="start-over"):
        restore_recorded_data(store)


def test_a_first_ingest_that_was_killed_before_it_recorded_its_data_goes_on(store):
    admit(store, "2024-01")
    assert find_foreign_origin(store) is None


def test_what_is_recorded_is_of_this_problem(store, monkeypatch, tmp_path):
    make_dvc_repository(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    admit(store, "2024-01")
    assert "1 batch, 2024-01 to 2024-01" in report_data_version(store)
    assert DataOrigin.from_meta(versions.read_recorded_meta(store.settings)).is_of(store.problem)


def test_a_pointer_that_names_no_problem_is_rebuilt_as_ever_and_that_is_said(store, capsys):
    versions.get_dvc_file(store.settings).write_text(format_dvc_file(OTHER_VERSION, 1, 1, "data"))
    assert restore_recorded_data(store) == OTHER_VERSION
    assert capsys.readouterr().out.endswith(
        f"data.dvc names data version {OTHER_VERSION}, which can't be had (DVC's cache hasn't all of it, and "
        f"the remote {store.settings.remote or '(none set)'} doesn't have it): it is rebuilt from the source\n"
    )
