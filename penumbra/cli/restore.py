"""`make restore RUN=<run or model version> INTO=<folder>`: the exact data that a model was made from."""

import sys
import tempfile
from pathlib import Path

from mlflow.exceptions import MlflowException

from penumbra.core.settings import Settings, SettingsError, load_settings
from penumbra.data import versions
from penumbra.data.dvc_file import DamagedDvcFile
from penumbra.registry.models import ModelRegistry


def main(run: str, into: str) -> None:
    try:
        settings = load_settings()
        print(f"data version {restore_run_data(settings, run, Path(into))} is in {into}, verified")
    except (SettingsError, versions.RestoreFailed, DamagedDvcFile, MlflowException) as error:
        sys.exit(f"nothing was restored: {error}")


def restore_run_data(settings: Settings, run: str, into: Path) -> str:
    """Bring back the data of an MLflow run id or model version; returns its md5. Raises CannotRestore."""
    with tempfile.TemporaryDirectory() as folder:
        pointer = ModelRegistry(settings.registry).download_artifact(
            run, f"data/{versions.get_dvc_file(settings.data).name}", Path(folder)
        )
        return versions.restore_data_version(settings.data, pointer.read_text(), into)


if __name__ == "__main__":
    main(*sys.argv[1:])
