"""The check of the Host header, against pages of others whose name is pointed to this machine (DNS rebinding).

Where no key is asked for, the address of a request says only that it comes from this machine: a browser's does,
whatever page sent it. The name that the browser was given is in the Host header.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from service.http.refusals import RequestRefused

MAX_KNOWN_HOSTS = 64
MAX_SHOWN_HOST = 100
MISDIRECTED_STATUS = 421


class HostCheck:
    """Knows which Host headers are of this server: loopback addresses, `localhost`, and the configured names."""

    def __init__(self, names: Iterable[str], remedy: str) -> None:
        """Accept `names`, hosts without a port, beside this machine's; a refusal ends in the `remedy`."""
        self._remedy = remedy
        self._names = frozenset(["localhost", *(name.strip("[]").lower() for name in names)])
        self._known: set[bytes] = set()  # headers that were accepted before

    def require_own_host(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Refuse a request to a host that isn't ours. Costs a comparison for each header.

        Args:
            headers: The request's headers, with names in lower case.

        Raises:
            RequestRefused: 421, a Host header names another host.
        """
        for name, value in headers:
            if name == b"host" and value not in self._known:
                self._examine(value)

    def _examine(self, header: bytes) -> None:
        text = header.decode("latin-1")
        if not self._is_own(text):
            shown = repr(text[:MAX_SHOWN_HOST])
            raise RequestRefused(MISDIRECTED_STATUS, f"the host {shown} is none of this server's: {self._remedy}")
        if len(self._known) < MAX_KNOWN_HOSTS:
            self._known.add(header)

    def _is_own(self, header: str) -> bool:
        host = _strip_port(header.lower())
        return host in self._names or is_loopback(host)


def is_loopback(host: str) -> bool:
    """Check whether a host is this machine under an address that no other machine reaches.

    Args:
        host: A name or an IP address, without a port and without brackets.

    Returns:
        True for `localhost` and loopback addresses.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _strip_port(host: str) -> str:
    """The host of "localhost:3000", "127.0.0.1" or "[::1]:3000"."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
