"""MLflow's server on the settings' registry, at a Unix socket.

Started by `make dashboard`: python -m monitoring.dashboard.mlflow_server SOCKET. The registry's database is created
first where there is none: two processes that create it at once break it.
"""

import os
import shlex
import sys

from penumbra.core.settings import SettingsError, load_settings
from penumbra.registry.models import ModelRegistry


def main(socket: str) -> None:
    """Replace this process by MLflow's server. Exits with a message where the settings are wrong.

    Args:
        socket: The socket to listen at.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    models = ModelRegistry(settings.registry)
    models.client.search_experiments()
    os.environ["MLFLOW_BACKEND_STORE_URI"] = models.uri  # which may have a password; everybody sees the arguments
    listen = ["--uvicorn-opts", f"--uds {shlex.quote(socket)}", "--workers", "1"]
    command = ["-m", "mlflow", "server", "--default-artifact-root", models.artifacts, *listen]
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main(*sys.argv[1:])
