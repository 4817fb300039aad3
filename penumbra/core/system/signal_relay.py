"""SIGTERM and Ctrl-C of a command that waits for a child: the child ends first, and its exit code is never lost."""

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import IO, Any


class SignalRelay:
    """Passes SIGTERM on to a child, and holds Ctrl-C, which reaches the child from the terminal, until its end.

    As a context manager, around the start of the child and the wait for it: no signal raises anything in between, so
    that nothing that is read from a child or of it is cut in two. Its end raises KeyboardInterrupt where Ctrl-C was
    pressed. Signals that this process ignores are left alone, and so are those of other threads than the main one.
    """

    def __init__(self) -> None:
        """Prepare to hold signals; nothing is held yet."""
        self._received: list[int] = []
        self._send: Callable[[int], None] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "SignalRelay":
        """Begin to hold signals."""
        if threading.current_thread() is threading.main_thread():
            numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def pass_to(self, send: Callable[[int], None]) -> None:
        """Pass signals on from now on, and those that came before there was a child.

        Args:
            send: Sends the child the signal with a number; one that has ended gets none.
        """
        self._send = send
        for number in tuple(self._received):
            send(number)

    def run_child(self, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | None) -> int:
        """Run a command until it ends.

        Args:
            command: The program and its arguments, which no shell expands.
            environment: All of its environment variables.
            output: The file that its output and its errors go to; None for those of this process.

        Returns:
            Its exit code, negative for a signal.
        """
        child = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        self.pass_to(child.send_signal)
        return child.wait()

    def __exit__(self, *_: object) -> None:
        """Let signals have their effect again."""
        for number, handler in reversed(self._before.items()):
            signal.signal(number, handler)
        if signal.SIGINT in self._received:
            raise KeyboardInterrupt

    def _receive(self, number: int, _: FrameType | None) -> None:
        self._received.append(number)
        if self._send and number != signal.SIGINT:
            self._send(number)
