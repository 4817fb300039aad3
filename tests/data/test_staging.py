"""Staged batches, and what a kill leaves of them."""

import os
import shutil

import pytest

from penumbra.data.staging import Staging, StagingLost


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path / "data" / "batches", tmp_path / ".data.staged")


class Killed(BaseException):
    """Stands for the signal: what follows isn't run."""


def kill_after(monkeypatch, moves):
    """Kill the process at the step after so many moves of folders."""
    done, replace, remove = [], os.replace, shutil.rmtree

    def die_or(step):
        def act(*arguments, **options):
            if len(done) == moves:
                raise Killed
            done.append(arguments)
            return step(*arguments, **options)

        return act

    monkeypatch.setattr(os, "replace", die_or(replace))
    monkeypatch.setattr(shutil, "rmtree", die_or(remove))


def stage(staging, files):
    with staging.write("march", files):
        pass


def admit(staging, content):
    stage(staging, {"orders.csv": content})
    staging.admit(["march"])


def read_admitted(staging):
    return {path.relative_to(staging.raw).as_posix(): path.read_bytes() for path in staging.raw.rglob("*.csv")}


@pytest.mark.parametrize(("moves", "left"), [(0, b"old"), (1, b"old"), (2, b"new")])
def test_a_kill_while_a_batch_is_replaced_leaves_the_old_or_the_new_one(staging, monkeypatch, moves, left):
    admit(staging, b"old")
    stage(staging, {"orders.csv": b"new"})
    kill_after(monkeypatch, moves)
    with pytest.raises(Killed):
        staging.admit(["march"])
    monkeypatch.undo()
    staging.discard()
    assert read_admitted(staging) == {"march/orders.csv": left}
    assert not staging.folder.exists()


def test_a_batch_that_is_staged_again_has_only_the_files_of_the_second_time(staging):
    stage(staging, {"a/orders.csv": b"1", "notes.csv": b""})
    stage(staging, {"orders.csv": b"2"})
    staging.admit(["march"])
    assert read_admitted(staging) == {"march/orders.csv": b"2"}


def test_nothing_is_moved_where_one_of_the_batches_is_no_longer_staged(staging):
    stage(staging, {"orders.csv": b"1"})
    with pytest.raises(StagingLost, match=r"batch april was checked and is no longer staged in .*: ingest again"):
        staging.admit(["march", "april"])
    assert not staging.raw.exists()


def test_there_are_no_versions_of_nothing(staging):
    assert staging.versions(None) == []
