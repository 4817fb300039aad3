"""Known vulnerabilities of the locked distributions, asked of a database of advisories (OSV, https://osv.dev).

The database gets names and versions, nothing else. It is asked in one request for each 500 distributions; its answer
names the advisories of each.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.locks import LockedDistribution, read_locked_distributions
from penumbra.core.settings import PROJECT_ROOT

DATABASE_ADDRESS = "https://api.osv.dev"
AUDITED_LOCKS = ("locks/dev.lock", "locks/uv.lock")  # all but the one of a benchmark
QUERIES_PER_REQUEST = 500
REQUEST_TIMEOUT_SECONDS = 10.0


class DatabaseUnreachable(RuntimeError):
    """The database of advisories didn't answer; says which and why."""


@dataclass(frozen=True)
class Advisory:
    """A known vulnerability of a locked distribution: its identifier, and the distribution's name and version."""

    identifier: str
    name: str
    version: str


def list_audited_distributions() -> list[LockedDistribution]:
    """List all distributions that the project installs somewhere.

    Returns:
        The distributions, each once.
    """
    found = [each for lock in AUDITED_LOCKS for each in read_locked_distributions(PROJECT_ROOT / lock)]
    return list(dict.fromkeys(found))


def find_advisories(
    distributions: Sequence[LockedDistribution], accepted: Sequence[str] = (), address: str = DATABASE_ADDRESS
) -> list[Advisory]:
    """Find the advisories about distributions.

    Args:
        distributions: The distributions.
        accepted: Identifiers of advisories that are known and no fault here.
        address: The database's address.

    Returns:
        The advisories that aren't accepted, in the order of the distributions.

    Raises:
        DatabaseUnreachable: The database doesn't answer, or not as its protocol says.
    """
    found: list[Advisory] = []
    for start in range(0, len(distributions), QUERIES_PER_REQUEST):
        portion = distributions[start : start + QUERIES_PER_REQUEST]
        for distribution, result in zip(portion, _ask_database(portion, address), strict=True):
            names = [each["id"] for each in result.get("vulns", [])]
            found += [Advisory(each, distribution.name, distribution.version) for each in names if each not in accepted]
    return found


def _ask_database(portion: Sequence[LockedDistribution], address: str) -> list[dict[str, Any]]:
    queries = [{"package": {"ecosystem": "PyPI", "name": each.name}, "version": each.version} for each in portion]
    request = urllib.request.Request(
        f"{address}/v1/querybatch", json.dumps({"queries": queries}).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_SECONDS) as answer:
            results = json.load(answer)["results"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatabaseUnreachable(f"the database of advisories at {address} can't be asked: {error}") from None
    if not isinstance(results, list) or len(results) != len(portion):
        raise DatabaseUnreachable(f"the database of advisories at {address} answers otherwise than its protocol says")
    return results
