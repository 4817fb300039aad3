"""Evidently's server, at a Unix socket.

Started by `make dashboard`: python -m monitoring.dashboard.evidently_server SOCKET WORKSPACE
"""

import sys

import uvicorn


def main(socket: str, workspace: str) -> None:
    """Serve until the process is ended.

    Args:
        socket: The socket to listen at.
        workspace: The folder of the Evidently workspace.
    """
    from evidently.ui.service.app import create_app, get_config

    uvicorn.run(create_app(get_config(workspace=workspace)), uds=socket, log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
