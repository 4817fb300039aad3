"""MLflow's server on the settings' registry.

Started by `make dashboard`: python -m monitoring.dashboard.mlflow_server HOST PORT. The registry's database is created
first where there is none: two processes that create it at once break it.
"""

import os
import sys

from penumbra.core.settings import SettingsError, load_settings
from penumbra.registry.models import ModelRegistry


def main(host: str, port: str) -> None:
    """Replace this process by MLflow's server. Exits with a message where the settings are wrong.

    Args:
        host: The address to listen on.
        port: The port to listen on.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    models = ModelRegistry(settings.registry)
    models.client.search_experiments()
    os.environ["MLFLOW_BACKEND_STORE_URI"] = models.uri  # which may have a password; everybody sees the arguments
    store = ["--default-artifact-root", models.artifacts]
    command = ["-m", "mlflow", "server", *store, "--host", host, "--port", port, "--workers", "1"]
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main(*sys.argv[1:])
