"""`make restore RUN=<run or model version> INTO=<folder>`: the exact data that a model was made from."""

import sys
import tempfile
from pathlib import Path

from mlflow.exceptions import MlflowException

import settings
from settings import Settings
from stores import versions
from stores.models import Models


def main(run: str, into: str) -> None:
    try:
        chosen = settings.load()
        print(f"data version {restore(chosen, run, Path(into))} is in {into}, verified")
    except (settings.SettingsError, versions.CannotRestore, MlflowException) as error:
        sys.exit(f"nothing was restored: {error}")


def restore(chosen: Settings, run: str, into: Path) -> str:
    """Bring back the data of an MLflow run id or model version; returns its md5. Raises CannotRestore."""
    with tempfile.TemporaryDirectory() as folder:
        pointer = Models(chosen.registry).artifact(run, f"data/{versions.pointer(chosen.data).name}", Path(folder))
        return versions.restore(chosen.data, pointer.read_text(), into)


if __name__ == "__main__":
    main(*sys.argv[1:])
