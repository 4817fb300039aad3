"""The announcer: says once, on the launcher's output, where the service answers and with which version."""

import json
import time
import urllib.error
from collections.abc import Callable
from typing import Any

from penumbra.core.settings import Settings
from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY

POLL_SECONDS = 0.25
PATIENCE_SECONDS = 5.0  # the deployer fetches the live version meanwhile


def make_announcer(settings: Settings, patience: float = PATIENCE_SECONDS) -> Callable[[], None]:
    """Make a function that prints once the service's address and live version.

    Args:
        settings: Section [service] and the model's name are read.
        patience: Seconds since the service's first answer after which the reason is printed why no version is live.

    Returns:
        The function, to be called often; it asks the service four times a second until it has printed the line.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.service.host, settings.service.host)
    url, due, told = f"http://{host}:{settings.service.port}", 0.0, float("inf")

    def announce() -> None:
        nonlocal due, told
        now = time.monotonic()
        if now < due:
            return
        due = now + POLL_SECONDS
        if state := _fetch_readiness(url):
            told = min(told, now + patience)
            if state["ready"] or now >= told:
                print(f"{settings.registry.model} answers at {url}: {_describe_readiness(state)}", flush=True)
                due = float("inf")

    return announce


def _describe_readiness(state: dict[str, Any]) -> str:
    return f"version {state['model_version']} is live" if state["ready"] else state["reason"]


def _fetch_readiness(url: str) -> dict[str, Any] | None:
    """Return the body of /readyz, or None while nothing answers."""
    try:
        with OPEN_WITHOUT_PROXY(url + "/readyz", timeout=0.5) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return json.load(error) if error.code == 503 else None
    except (OSError, ValueError):
        return None
