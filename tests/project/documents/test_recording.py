"""A page's commands are run in one shell, and their output is written below them."""

import pytest

from docs.recording import CommandFailed, open_shell, record_page, shorten_output, split_commands
from tests.helpers.servers.local_service import wait_until
from tests.helpers.servers.processes import is_alive

PAGE = """# Page

```console
$ mkdir shop; cd shop
$ pwd
yesterday's output
$ export SIZE=3
```

Text.

<!-- keep 1 and 2 lines -->
```console
$ seq $SIZE \\
    9
old
```
"""


def test_what_commands_print_is_written_below_them(tmp_path):
    with open_shell(tmp_path) as run:
        recorded = record_page(PAGE, run)
    assert recorded == PAGE.replace("yesterday's output", "shop").replace("old", "3\n...\n8\n9")


def test_a_page_is_recorded_again_from_itself(tmp_path):
    with open_shell(tmp_path) as run:
        once = record_page("```console\n$ echo one\n$ true\n$ echo two\n```\n", run)
        assert record_page(once, run) == once == "```console\n$ echo one\none\n$ true\n$ echo two\ntwo\n```\n"


def test_a_command_that_fails_ends_the_recording(tmp_path):
    with open_shell(tmp_path) as run, pytest.raises(CommandFailed, match="no such thing"):
        record_page("```console\n$ echo no such thing >&2; false\n```\n", run)


def test_a_shell_that_ends_ends_the_recording(tmp_path):
    with open_shell(tmp_path) as run, pytest.raises(CommandFailed, match="the shell has ended"):
        run("exit 1")


def test_a_program_in_the_background_ends_with_the_shell(tmp_path):
    with open_shell(tmp_path) as run:
        process = int(run("sleep 600 > /dev/null & echo $!"))
        assert is_alive(process)
    wait_until(lambda: not is_alive(process))


def test_the_port_on_the_page_is_a_free_one_in_the_recording(tmp_path):
    with open_shell(tmp_path) as run:
        assert run("echo 127.0.0.1:3000") == "127.0.0.1:3000\n"
        assert run("test $PENUMBRA_SERVICE__PORT != 3000 && echo other") == "other\n"


def test_commands_go_on_below_a_backslash_and_within_quotes():
    assert split_commands("$ echo '{\n  1}'\n{\n") == ["echo '{\n  1}'"]
    assert split_commands("$ curl \\\n  -d 1\nanswer $ 5\n$ ls\n") == ["curl \\\n  -d 1", "ls"]


def test_outputs_are_shortened_in_the_middle():
    assert shorten_output("1\n2\n3\n4\n", 1, 1) == "1\n...\n4\n"
    assert shorten_output("1\n2\n", 1, 1) == "1\n2\n"
