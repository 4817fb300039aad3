"""A command that stands for `python`: the program is a fork of a process in which the libraries are imported.

The program has the command's line, environment, folder, streams and namespaces, a session of its own, and is killed
where the command is. It imports all of the project's code itself. Only on Linux.
"""

import contextlib
import json
import os
import select
import socket
import sys

STREAMS, NAMESPACES = (0, 1, 2), ("mnt", "pid")
MAX_REQUEST_BYTES = 200_000


def run_forked(address: str, words: list[str]) -> int:
    """Have a program forked, and wait for its end.

    Args:
        address: The name of the abstract socket at which `serve_forks` listens.
        words: What follows `python` on the command line.

    Returns:
        Its exit code, as a shell has it.
    """
    request = json.dumps([words, dict(os.environ), os.getcwd()]).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(f"\0{address}")
        socket.send_fds(connection, [request], [*STREAMS, *_open_namespaces()])
        code = int(connection.recv(16))
    return code if code >= 0 else 128 - code


def serve_forks(listener: socket.socket, libraries: list[str]) -> None:
    """Import libraries, and fork the programs that are asked for, until the standard input ends.

    Args:
        listener: The socket.
        libraries: Names of modules.
    """
    import gc
    import importlib
    import signal

    before = dict(os.environ)
    for library in libraries:
        importlib.import_module(library)
    imported = {name: value for name, value in os.environ.items() if name not in before}
    gc.freeze()  # so that the pages of what was imported stay shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            _keep_program(connection, imported)
            os._exit(0)
        connection.close()


def _open_namespaces() -> list[int]:
    return [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in NAMESPACES]


def _keep_program(connection: socket.socket, imported: dict[str, str]) -> None:
    """Fork a program and say how it ends; it is killed where the command that asked for it is."""
    import ctypes
    import multiprocessing
    import signal

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, descriptors, *_ = socket.recv_fds(connection, MAX_REQUEST_BYTES, len(STREAMS) + len(NAMESPACES))
    streams, namespaces = descriptors[: len(STREAMS)], descriptors[len(STREAMS) :]
    for own, namespace in zip(_open_namespaces(), namespaces, strict=True):
        if not os.path.sameopenfile(own, namespace):
            ctypes.CDLL(None).setns(namespace, 0)  # that of processes is for children alone
    words, environment, folder = json.loads(request)
    given = words, {**imported, **environment}, folder, streams
    program = multiprocessing.get_context("fork").Process(target=_become_program, args=given)
    program.start()
    for stream in streams:
        os.close(stream)
    if connection in select.select([connection, program.sentinel], [], [])[0]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid or 0, signal.SIGKILL)
    program.join()
    with contextlib.suppress(OSError):  # nobody waits for it
        connection.send(b"%d" % program.exitcode)


def _become_program(words: list[str], environment: dict[str, str], folder: str, streams: list[int]) -> None:
    """Run a program in the state in which `python` begins it."""
    import atexit

    os.setsid()
    for number, stream in zip(STREAMS, streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(STREAMS[0], closefd=False)  # multiprocessing has put another one there
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if environment.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # or all programs would draw the same
    try:
        _run_words(words, [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path])
    finally:
        atexit._run_exitfuncs()


def _run_words(words: list[str], paths: list[str]) -> None:
    """Run a module, a line of code or a script, which imports from `paths` before it does from the libraries."""
    import runpy

    first, *sys.argv = words
    place = {"-m": os.getcwd(), "-c": ""}.get(first, os.path.dirname(os.path.realpath(first)))
    sys.path[:] = [place, *paths, *sys.path[1:]]
    if first == "-m":
        runpy._run_module_as_main(sys.argv[0])  # type: ignore[attr-defined]
    elif first == "-c":
        code, sys.argv[0] = sys.argv[0], first
        exec(code, vars(sys.modules["__main__"]))
    else:
        sys.argv.insert(0, first)
        runpy.run_path(first, vars(sys.modules["__main__"]), "__main__")  # where Metaflow has put a class of its own


if __name__ == "__main__":
    if sys.argv[1].isdecimal():
        serve_forks(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    else:
        sys.exit(run_forked(sys.argv[1], sys.argv[2:]))
