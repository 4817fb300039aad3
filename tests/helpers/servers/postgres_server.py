"""A real PostgreSQL server of the tests' own, with a database for each that wants one."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penumbra.core.system.http_client import find_free_port

DEBIAN_FOLDER = Path("/usr/lib/postgresql")
NO_POSTGRES_MESSAGE = "no PostgreSQL: install one (Debian: apt-get install postgresql), or have `initdb` in PATH"
USER, PASSWORD = "penumbra", "Planted5ecret"
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")  # of a throwaway
MAX_START_SECONDS = 30.0


class PostgresServer:
    """A server at a free port of 127.0.0.1; it keeps its port and data where it is stopped and started again."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        """Make the database cluster in an empty folder.

        Args:
            binaries: The folder with `initdb` and `postgres`.
            folder: The folder; PostgreSQL refuses to run as root, so it is given to the account that then runs it.
        """
        self.binaries, self.folder, self.port = binaries, folder, find_free_port()
        self.account = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        self.process: subprocess.Popen[bytes] | None = None
        password = folder / "password"
        password.write_text(PASSWORD)
        if self.account:
            shutil.chown(folder, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
        options = [f"--username={USER}", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
        self._begin("initdb", *options, "--locale=C", "--pgdata", str(folder / "data")).wait()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [f"-p{self.port}", "-h127.0.0.1", f"-k{self.folder}", *(f"-c{each}" for each in SETTINGS)]
        self.process = self._begin("postgres", "-D", str(self.folder / "data"), *options)
        limit = time.monotonic() + MAX_START_SECONDS
        while not self._is_ready():
            if time.monotonic() > limit or self.process.poll() is not None:
                pytest.fail((self.folder / "postgres.log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server at once; its connections are closed."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # a fast shutdown
            self.process.wait()

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database.

        Args:
            name: Its name.
            template: The database that it becomes a copy of; nobody may be connected to that one.

        Returns:
            Its address, with user and password.
        """
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.get_address("postgres"), autocommit=True) as connection:
            words = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(words.format(sql.Identifier(name), sql.Identifier(template)))
        return self.get_address(name)

    def get_address(self, database: str) -> str:
        """Return the address of a database, as `registry.tracking` has it."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _begin(self, program: str, *options: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{program}.log").open("ab") as log:
            command = [str(self.binaries / program), *options]
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **self.account)  # type: ignore[call-overload, no-any-return]

    def _is_ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.get_address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def find_postgres() -> Path:
    """Find PostgreSQL's newest binaries. Without any the test is skipped, or fails where REQUIRE_POSTGRES is set.

    Returns:
        The folder with `initdb` and `postgres`.
    """
    debian = sorted(DEBIAN_FOLDER.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") or next(reversed(debian), None)
    if found is None:
        (pytest.fail if os.environ.get("REQUIRE_POSTGRES") else pytest.skip)(NO_POSTGRES_MESSAGE)
    return Path(found).resolve().parent


@contextlib.contextmanager
def launch_postgres() -> Iterator[PostgresServer]:
    """Run a new PostgreSQL server; skipped, or failing, where there is none: see `find_postgres`.

    Its folder isn't pytest's, which no other account may enter.

    Yields:
        The server, which is stopped and deleted at the end.
    """
    binaries = find_postgres()
    with tempfile.TemporaryDirectory(prefix="penumbra-postgres-") as folder:
        server = PostgresServer(binaries, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
