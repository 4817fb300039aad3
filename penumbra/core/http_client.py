"""A service on this machine, asked over HTTP past any proxy."""

import socket
import urllib.request
from typing import Any

OPEN_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def extract_prediction(answer: dict[str, Any]) -> float | list[float]:
    """The numbers in an answer, whatever the task."""
    if "probabilities" in answer:
        return list(answer["probabilities"].values())
    return float(answer["probability" if "probability" in answer else "value"])
