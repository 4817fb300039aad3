import atexit
import contextlib
import functools
import gc
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests.helpers.checkout import import_from_checkout, link_checkout
from tests.helpers.worker_messages import shorten_messages

if TYPE_CHECKING:
    from tests.helpers.servers.object_stores import MotoServer, SeaweedServer
    from tests.helpers.servers.postgres_server import PostgresServer

gc.disable()  # looking through all objects again and again takes half as long as the imports that make them

# These tests are the engine's: whatever problem/, settings.toml and data.dvc are, they find those of examples/flights.
CHECKOUT = Path(tempfile.mkdtemp(prefix="penumbra-checkout-"))
atexit.register(shutil.rmtree, CHECKOUT, ignore_errors=True)
import_from_checkout(link_checkout(CHECKOUT))

from penumbra.core.settings import RegistrySettings  # noqa: E402

# What tests and their processes import is compiled once: where nothing is written, each process compiles all anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["OMP_NUM_THREADS"] = "1"  # two threads that wait for each other actively cost more than they give
hypothesis.settings.register_profile("whole", deadline=None, max_examples=30, derandomize=True, database=None)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("whole"), max_examples=10)

SERVERS = {"postgres", "seaweed", "moto", "bucket", "browser", "server"}  # fixtures that start servers or processes


def pytest_configure(config: pytest.Config) -> None:
    """Have property tests try 30 examples, and the first ten of them where slow tests are left out."""
    hypothesis.settings.load_profile("quick" if config.option.markexpr == "not slow" else "whole")
    shorten_messages(config)


def takes_server(item: Any) -> bool:
    """Whether a test takes one of the fixtures in `SERVERS`, itself or by the name that is its parameter."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names = [*item.fixturenames, *(value for value in parameters if isinstance(value, str))]
    return any(name.partition("_")[0] in SERVERS for name in names)


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes a real server or a browser as slow, and begin with the files that have slow tests.

    At the end of a run a long file would have no other beside it.
    """
    for item in filter(takes_server, items):
        item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Collect garbage from here on, but seldom, and look through what was imported never again."""
    gc.enable()
    gc.set_threshold(10_000)
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def working_folder() -> Iterator[Path]:
    """The checkout of links as the working folder: commands look for their project there."""
    with contextlib.chdir(CHECKOUT):
        yield CHECKOUT


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of a run share: what takes seconds to make is made there by one of them."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def migrated_database(shared_folder: Path) -> Iterator[Path]:
    """A new MLflow database: making one takes seconds, so tests get copies. Who comes second waits for it.

    To check a database, MLflow reads all of its migrations for the newest one, which in one process is always the same,
    and so is what its statements are compiled to.
    """
    from mlflow.store.db import utils

    from penumbra.registry.models import ModelRegistry

    path = shared_folder / "mlflow.db"
    ModelRegistry(
        RegistrySettings(tracking=f"sqlite:///{path}", artifacts="unused", model="unused", signed_by=[])
    ).client.search_experiments()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_get_latest_schema_revision", functools.cache(utils._get_latest_schema_revision))
        patch.setattr(utils, "create_sqlalchemy_engine", share_statements(utils.create_sqlalchemy_engine))
        yield path


def share_statements(create_engine: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let the engines of all SQLite databases compile each statement once: half of the time of most calls of MLflow."""
    first: list[Any] = []

    @functools.wraps(create_engine)
    def create(uri: str) -> Any:
        engine = create_engine(uri)
        if uri.startswith("sqlite"):
            first.append(engine)
            engine.dialect, engine._compiled_cache = first[0].dialect, first[0]._compiled_cache
        return engine

    return create


@pytest.fixture
def sqlite_registry(tmp_path: Path, migrated_database: Path) -> RegistrySettings:
    """An empty model store of the test's own, as an embedded project has it."""
    shutil.copy(migrated_database, tmp_path / "mlflow.db")
    return _describe_registry(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)


@pytest.fixture
def registry(request: pytest.FixtureRequest) -> RegistrySettings:
    """An empty model store of the test's own: SQLite's, unless the test is parametrised by the fixtures of others."""
    store: RegistrySettings = request.getfixturevalue(getattr(request, "param", "sqlite_registry"))
    return store


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """A real PostgreSQL server, started when the first test wants it."""
    from tests.helpers.servers.postgres_server import launch_postgres

    with launch_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator["MotoServer"]:
    """moto's S3 in this process."""
    from tests.helpers.servers.object_stores import launch_moto

    with launch_moto() as server:
        yield server


@pytest.fixture(scope="session")
def seaweed() -> Iterator["SeaweedServer"]:
    """A real server of S3, started when the first test wants it."""
    from tests.helpers.servers.object_stores import launch_seaweed

    with launch_seaweed() as server:
        yield server


@pytest.fixture
def bucket(moto: "MotoServer", monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket on moto's S3, which this process uses during the test."""
    from tests.helpers.servers.object_stores import make_bucket

    return make_bucket(moto, monkeypatch)


@pytest.fixture(scope="session")
def migrated_postgres(postgres: "PostgresServer") -> "PostgresServer":
    """The server with an empty MLflow database `migrated`, which tests get copies of."""
    from penumbra.registry.tracking.database import create_database

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")  # a template can't have open connections
        create_database(postgres.create_database("migrated"))
    return postgres


@pytest.fixture
def postgres_registry(tmp_path: Path, migrated_postgres: "PostgresServer") -> RegistrySettings:
    """An empty model store of the test's own in PostgreSQL."""
    return _describe_registry(migrated_postgres.create_database(secrets.token_hex(8), "migrated"), tmp_path)


def _describe_registry(tracking: str, folder: Path) -> RegistrySettings:
    return RegistrySettings(tracking=tracking, artifacts=str(folder / "artifacts"), model="lateness", signed_by=[])


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Path:
    """A model store's database with versions 1 and 3 of one recipe, and 2 of another."""
    from tests.helpers.models import registered_versions

    folder = tmp_path_factory.mktemp("registered")
    shutil.copy(migrated_database, folder / "mlflow.db")
    return registered_versions.register_versions(folder, "aba")
