"""MLflow's pages on the settings' registry, whose database is made first where there is none: two processes that make
it at once break it.

For `make dashboard`, which starts it: python -m flows.page.tracking HOST PORT
"""

import os
import sys

from settings import SettingsError, load
from stores.models import Models


def main(host: str, port: str) -> None:
    """Becomes MLflow's server."""
    try:
        chosen = load()
    except SettingsError as error:
        sys.exit(str(error))
    models = Models(chosen.registry)
    models.client.search_experiments()
    store = ["--backend-store-uri", models.uri, "--default-artifact-root", models.artifacts]
    command = ["-m", "mlflow", "server", *store, "--host", host, "--port", port, "--workers", "1"]
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main(*sys.argv[1:])
