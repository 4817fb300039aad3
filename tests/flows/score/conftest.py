"""A folder in which rows can be scored."""

from pathlib import Path

import pytest

from tests.helpers.servers import local_service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Version 1 is live."""
    local_service.deploy_version(tmp_path, "1", baseline=0.25)
    return tmp_path
