"""Kernel locks between processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penumbra.storage.locks import (
    acquire_lock,
    create_locked_file,
    hold_file_lock,
    is_file_locked,
    open_scratch_folder,
)

HOLD_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from penumbra.storage.locks import acquire_lock
acquire_lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


SCRATCH_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from penumbra.storage.locks import open_scratch_folder
with open_scratch_folder(Path(sys.argv[1]), ".scratch-") as folder:
    (folder / "arrays").mkdir()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_scratch_folder_of_a_killed_process_is_removed_when_the_next_one_is_opened(tmp_path, number):
    command = [sys.executable, "-c", SCRATCH_UNTIL_KILLED, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout
        used = Path(user.stdout.readline().strip())
        with open_scratch_folder(tmp_path, ".scratch-") as folder:
            assert {*tmp_path.iterdir()} == {used, folder}
        user.send_signal(number)
    assert [*tmp_path.iterdir()] == [used]
    with open_scratch_folder(tmp_path, ".scratch-") as folder:
        assert [*tmp_path.iterdir()] == [folder]
    assert not [*tmp_path.iterdir()]


def test_a_lock_is_free_again_once_its_holder_is_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD_UNTIL_KILLED, tmp_path / "lock"], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    assert is_file_locked(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        acquire_lock(tmp_path / "lock")
    holder.kill()
    with hold_file_lock(tmp_path / "lock"):
        assert is_file_locked(tmp_path / "lock")
    holder.communicate()
    assert not is_file_locked(tmp_path / "lock")


def test_a_new_file_is_locked_until_it_is_closed_and_never_made_twice(tmp_path):
    file = create_locked_file(tmp_path / "file")
    with pytest.raises(FileExistsError):
        create_locked_file(tmp_path / "file")
    assert is_file_locked(tmp_path / "file")
    os.close(file)
    assert not is_file_locked(tmp_path / "file")
