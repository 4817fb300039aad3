"""Locks of long work between processes."""

import os
import re
import subprocess
import sys

import pytest

from penumbra.storage.work_lock import PassInProgress, WorkInProgress, hold_pass_lock, hold_work_lock

HOLD_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from penumbra.storage.work_lock import hold_work_lock
with hold_work_lock(Path(sys.argv[1]), "train", shared=True):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_pass_is_told_which_lock_is_held(tmp_path):
    with hold_pass_lock(tmp_path / "new", "watch"), pytest.raises(PassInProgress, match=r"new/watch.lock is held"):
        hold_pass_lock(tmp_path / "new", "watch").__enter__()
    with hold_pass_lock(tmp_path / "new", "watch"):
        pass


def test_readers_work_side_by_side_and_a_writer_is_told_who_they_are(tmp_path):
    words = [sys.executable, "-c", HOLD_UNTIL_KILLED, tmp_path / "lock"]
    reader = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert reader.stdout
    assert reader.stdout.readline() == b"held\n"
    with hold_work_lock(tmp_path / "lock", "doctor", shared=True) as has_waited:
        assert not has_waited
    who = rf"^train is at work \(since 20[-: 0-9]+, process {reader.pid}\)$"
    with pytest.raises(WorkInProgress, match=who), hold_work_lock(tmp_path / "lock", "ingest", wait=False):
        pass
    reader.kill()
    reader.communicate()
    with hold_work_lock(tmp_path / "lock", "ingest", wait=False):
        assert re.fullmatch(rf"ingest\t[-: 0-9]+\t{os.getpid()}\n", (tmp_path / "lock").read_text())
