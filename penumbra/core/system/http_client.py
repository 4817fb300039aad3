"""Requests to a service on this machine, past any proxy."""

import socket
import urllib.request
from typing import Any

OPEN_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def find_free_port() -> int:
    """Find a TCP port of this machine that is free now.

    Returns:
        The port.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_service_ready(url: str) -> bool:
    """Ask a service whether it can answer predictions.

    Args:
        url: Its address, without a path.

    Returns:
        Whether `/readyz` says so within a second.
    """
    try:
        with OPEN_WITHOUT_PROXY(f"{url}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def extract_prediction(answer: dict[str, Any]) -> float | list[float]:
    """Extract the prediction from an answer of `POST /predict`.

    Args:
        answer: The decoded JSON.

    Returns:
        The probability (binary), the value (regression), or the probabilities in the order of the classes.
    """
    if "probabilities" in answer:
        return list(answer["probabilities"].values())
    return float(answer["probability" if "probability" in answer else "value"])
