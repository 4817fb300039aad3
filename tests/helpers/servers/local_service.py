"""Small real bundles, settings in a temporary folder, and the service itself: in this process or as a server."""

import contextlib
import copy
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import dataframely as dy
import httpx
import numpy as np
import polars as pl
import psutil
from sklearn.base import ClassifierMixin
from sklearn.tree import DecisionTreeClassifier

from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.core.settings import PROJECT_ROOT, Settings, load_settings
from penumbra.core.system.http_client import find_free_port
from penumbra.core.task import Task
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.rules import Rule
from penumbra.training.attributions.attributions_file import build_attributions_file
from penumbra.training.evaluation.evaluate import predict_for_task
from penumbra.training.onnx.compile import compile_model
from problem import features, schema
from service.http.access.access_control import KeyDigests
from service.processes.deployment.version_deployment import deploy_live
from service.processes.workers import launcher

with warnings.catch_warnings():  # importing BentoML and Starlette's test client warns about what is old in them
    warnings.simplefilter("ignore")
    from bentoml._internal.configuration import containers
    from starlette.testclient import TestClient

    from service.service_factory import build_service

PROBLEM = load_checked_problem()
# BentoML reads and checks its own defaults anew for each service: half of what making one takes.
read_defaults = functools.cache(containers.get_default_config)
containers.get_default_config = lambda version: copy.deepcopy(read_defaults(version))
THRESHOLD = 0.5


def make_bundle(
    folder: Path, seed: int = 1, depth: int | None = 6, estimator: ClassifierMixin | None = None, **facts: Any
) -> Path:
    """A sealed bundle with a small tree, or this, and more facts than it needs; each seed gives another model."""
    made = fit_model(seed, estimator) if estimator else fit_tree(seed, depth)
    bundle_writing.write_model_files(folder, made.compiled, made.probe, made.answers)
    (folder / bundle.ATTRIBUTIONS_FILE).write_bytes(made.attributions)
    bundle_writing.write_reference_rows(folder, made.reference)
    bundle_writing.seal_bundle(folder, {"threshold": THRESHOLD, **facts}, made.inputs.kinds, made.inputs.tables)
    return folder


class SmallModel(NamedTuple):
    """A fitted model as a bundle has it: compiled, its inputs, and 20 rows with its answers."""

    compiled: bytes
    attributions: bytes
    inputs: FeatureEncoder
    probe: np.ndarray
    answers: np.ndarray
    reference: pl.DataFrame


@functools.cache
def fit_tree(seed: int, depth: int | None) -> SmallModel:
    """The tree of a seed, which most tests take: it is fitted once."""
    return fit_model(seed, DecisionTreeClassifier(max_depth=depth, min_samples_leaf=3, random_state=seed))


def fit_model(seed: int, estimator: ClassifierMixin) -> SmallModel:
    """A model of 300 flights that were drawn with this seed."""
    rows = schema.Row.sample(300, generator=dy.random.Generator(seed))
    derived = derive_features(features.FEATURES, rows)
    inputs = FeatureEncoder(features.FEATURES, learn_category_tables(features.FEATURES, derived))
    matrix = inputs.encode_frame(derived)
    labels = np.random.default_rng(seed).random(len(matrix)) < 0.5
    probabilities = estimator.fit(matrix, labels).predict_proba(matrix)
    delays = pl.Series("arr_delay", np.where(labels, 42, 3), dtype=pl.Int16)
    predictions = pl.Series(PREDICTION_COLUMN, probabilities[:, 1])
    reference = rows.with_columns(delays, pl.Series(LABEL_COLUMN, labels), predictions)
    compiled = compile_model(estimator, matrix.shape[1])
    predict = functools.partial(predict_for_task, Task("binary"), estimator)
    attributions = build_attributions_file(estimator, matrix, matrix[:0], predict, bundle.open_transform)
    return SmallModel(compiled, attributions, inputs, matrix[:20], probabilities[:20], reference.head(20))


class FolderRegistry:
    """A registry of two facts: which version each alias names, and where the bundles are."""

    def __init__(self, folder: Path, live: str | None = None, **aliases: str | None) -> None:
        self.folder = folder
        self.signed_by: Sequence[str] = ()
        self.versions_by_alias = {"live": live, **aliases}
        self.tags_by_version: dict[str, dict[str, str]] = {}
        self.downloads = 0

    def version(self, alias: str) -> str | None:
        return self.versions_by_alias.get(alias)

    def aliases(self) -> dict[str, str]:
        return {alias: version for alias, version in self.versions_by_alias.items() if version}

    def set_alias(self, alias: str, version: str) -> None:
        self.versions_by_alias[alias] = version

    def delete_alias(self, alias: str) -> None:
        self.versions_by_alias[alias] = None

    def tag(self, version: str, key: str, value: str) -> None:
        self.tags(version)[key] = value

    def tags(self, version: str) -> dict[str, str]:
        return self.tags_by_version.setdefault(version, {})

    def find_run_id(self, name: str) -> str:
        return f"run-{name}"

    def download(self, version: str, folder: Path) -> None:
        self.downloads += 1
        shutil.copytree(self.folder / version, folder)


def deploy_version(folder: Path, version: str, seed: int = 1, **facts: Any) -> bundle.Bundle:
    """Make a version, deploy it as the deployer does, and return it as loaded."""
    state = folder / "state"
    if not (folder / "registry" / version).exists():
        make_bundle(folder / "registry" / version, seed, **facts)
    deploy_live(FolderRegistry(folder / "registry", version), state, PROBLEM)
    return bundle.read_bundle(state / "bundles" / version, PROBLEM, version)


def make_service_environment(folder: Path, **service: Any) -> dict[str, str]:
    """Overrides that keep everything the service writes below a folder."""
    paths = {"state": folder / "state", "predictions": folder / "predictions", **service}
    overrides = {f"PENUMBRA_SERVICE__{key.upper()}": str(value) for key, value in paths.items()}
    overrides |= {"PENUMBRA_LABELS__FOLDER": str(folder / "labels"), "PENUMBRA_LEDGER__FOLDER": str(folder / "ledger")}
    overrides["PENUMBRA_REVIEW__FOLDER"] = str(folder / "reviews")
    overrides["PENUMBRA_SHADOW__NICENESS"] = "0"  # beside other tests it would get no processor
    return {**overrides, "PENUMBRA_REGISTRY__TRACKING": f"sqlite:///{folder}/mlflow.db"}


def make_service_settings(folder: Path, **service: Any) -> Settings:
    return load_settings(environ=make_service_environment(folder, **service))


@contextlib.contextmanager
def open_test_client(
    folder: Path, rules: Sequence[Rule] = (), keys: KeyDigests = (), **service: Any
) -> Iterator[TestClient]:
    """The service in this process, with these business rules and keys."""
    problem_with_rules = SimpleNamespace(
        schema=PROBLEM.schema, features=PROBLEM.features, rules=SimpleNamespace(RULES=rules, OBSERVED_DECISIONS=())
    )
    app = build_service(make_service_settings(folder, **service), problem_with_rules, keys).to_asgi()
    with TestClient(app, "http://127.0.0.1", client=("127.0.0.1", 50000)) as http:
        yield http


@contextlib.contextmanager
def start_server(
    folder: Path, project: Path = PROJECT_ROOT, **settings: Any
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """`python -m service` of a project on a free port, once it answers, with settings as `section__key`.

    Its output goes to <folder>/output. It has a session of its own, in which its shadow gives way (man 7 sched,
    autogroup), and not to other tests."""
    overrides = {f"PENUMBRA_{key.upper()}": str(value) for key, value in settings.items()}
    environ = {**os.environ, **make_service_environment(folder, port=find_free_port()), **overrides}
    environ["PYTHONPATH"] = os.pathsep.join([str(project), environ.get("PYTHONPATH", "")])
    port = environ["PENUMBRA_SERVICE__PORT"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service"],
            cwd=project,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            wait_until(lambda: process.poll() is not None or _is_answering(http), seconds=60)
            yield process, http
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def find_host(pid: int) -> psutil.Process:
    """The worker host of `python -m service`, which has this process id."""
    (host,) = find_processes(launcher.PROCESS_MODULES["service"], psutil.Process(pid).children())
    return host


def find_processes(name: str | re.Pattern[str], among: Iterable[psutil.Process]) -> list[psutil.Process]:
    """The processes whose command has this in it; that of one that has ended meanwhile has nothing."""
    found = []
    for each in among:
        with contextlib.suppress(psutil.NoSuchProcess):
            if re.search(name, " ".join(each.cmdline())):
                found.append(each)
    return found


def find_workers(pid: int) -> list[psutil.Process]:
    """The workers of `python -m service`, which has this process id."""
    return find_host(pid).children()


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def _is_answering(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code in (200, 503)
    except httpx.TransportError:
        return False
