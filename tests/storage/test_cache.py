"""Results of costly work on disk."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from penumbra.storage.cache import ARRAYS, JSON, FileCache


def made(folder):
    def make():
        with (folder / "calls").open("a") as calls:
            calls.write("x")
        return {"values": np.arange(3), "seconds": np.float64(1.5)}

    return FileCache(folder, ARRAYS).get_or_make("name", make)


def test_what_was_made_once_is_there_the_next_time(tmp_path):
    first, second = made(tmp_path), made(tmp_path)
    assert (tmp_path / "calls").read_text() == "x"
    assert first["values"].tolist() == second["values"].tolist() == [0, 1, 2]
    assert second["seconds"] == 1.5


@pytest.mark.slow
def test_of_several_processes_that_want_the_same_one_makes_it(tmp_path):
    with ProcessPoolExecutor(3) as pool:
        list(pool.map(made, [tmp_path] * 6))
    assert (tmp_path / "calls").read_text() == "x"


def test_what_failed_leaves_nothing_behind(tmp_path):
    kept = FileCache(tmp_path, ARRAYS)
    with pytest.raises(ZeroDivisionError):
        kept.get_or_make("name", lambda: {"values": np.ones(1 // 0)})
    assert kept.get_or_make("name", lambda: {"values": np.zeros(1)})["values"].tolist() == [0]


def test_a_value_that_cannot_be_read_is_none(tmp_path):
    facts = FileCache(tmp_path / "facts", JSON)
    assert facts.find("name") is None
    facts.save("name", {"days": [1, 2]})
    assert facts.find("name") == {"days": [1, 2]}
    (tmp_path / "facts" / "name.json").write_text('{"days": [1')
    assert facts.find("name") is None
