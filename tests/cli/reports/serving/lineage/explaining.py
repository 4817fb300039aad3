"""Logs that are indexed, and the command that explains predictions."""

import os
import subprocess
import sys
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.logs.indexing.index import LogIndex
from problem import schema
from tests.helpers.servers import local_service


def catch_up(folder: Path) -> Settings:
    """Index the logs of a folder, and return its settings."""
    settings = local_service.make_service_settings(folder)
    LogIndex.from_settings(settings, schema).catch_up()
    return settings


def run_explain(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`penumbra explain`, in a folder."""
    environ = {**os.environ, **local_service.make_service_environment(folder)}
    return subprocess.run(
        [sys.executable, "-m", "penumbra.cli.app", "explain", *words],
        cwd=PROJECT_ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )
