from pathlib import Path

import pytest

from tests.helpers.models import monitored_model as world
from tests.helpers.models import registered_versions


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """Two weeks in which nothing happens."""
    folder = tmp_path_factory.mktemp("calm")
    world.make_live_model(folder, database)
    world.log_monitored_days(folder, 14)
    return folder


@pytest.fixture
def empty(tmp_path: Path, database: Path) -> Path:
    """A live model that hasn't answered anything."""
    world.make_live_model(tmp_path, database)
    return tmp_path


@pytest.fixture
def entered(empty: Path) -> Path:
    """One that the ledger knows, as it does of each that was trained."""
    registered_versions.append_earlier_event(empty, "promotion", "promote", live="1")
    return empty
