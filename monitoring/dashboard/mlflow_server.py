"""MLflow's pages on the settings' registry, whose database is made first where there is none: two processes that make
it at once break it.

For `make dashboard`, which starts it: python -m monitoring.dashboard.mlflow_server HOST PORT
"""

import os
import sys

from penumbra.core.settings import SettingsError, load_settings
from penumbra.registry.models import ModelRegistry


def main(host: str, port: str) -> None:
    """Becomes MLflow's server."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    models = ModelRegistry(settings.registry)
    models.client.search_experiments()
    store = ["--backend-store-uri", models.uri, "--default-artifact-root", models.artifacts]
    command = ["-m", "mlflow", "server", *store, "--host", host, "--port", port, "--workers", "1"]
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main(*sys.argv[1:])
