"""Problems in packages of their own."""

import itertools

import pytest

from tests.core.loading.bird_files import FILES

NUMBERS = itertools.count()


@pytest.fixture
def write_package(tmp_path, monkeypatch):
    """A function that writes a `problem/` folder under a new name, with some files changed; returns the name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**files):
        name = f"problem_of_birds_{next(NUMBERS)}"
        (tmp_path / name).mkdir()
        for part, code in {"__init__": "", **FILES, **files}.items():
            if code is not None:
                (tmp_path / name / f"{part}.py").write_text(code)
        return name

    return write
