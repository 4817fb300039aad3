"""Known vulnerabilities of the locked distributions, which pip-audit asks of the database of advisories at osv.dev.

The database gets names and versions, nothing else.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from penumbra.core.settings import PROJECT_ROOT

AUDITED_LOCKS = ("locks/dev.lock", "locks/uv.lock")  # all but the one of a benchmark
DATABASE = "https://api.osv.dev/v1/query"
FAILURES = {  # how pip-audit's last words about a failure are told, the first pattern that fits
    "CERTIFICATE_VERIFY_FAILED": "its certificate isn't trusted (behind a proxy with certificates of its own, "
    "REQUESTS_CA_BUNDLE names the system's bundle)",
    "ProxyError": "the proxy doesn't let it through",
    "NameResolutionError": "its name can't be resolved; is there a network?",
    "Connection refused": "it refuses the connection",
    "[Tt]imeout|[Tt]imed out|Could not connect": "it doesn't answer in time",
    "JSONDecodeError": "it answers with something else than JSON",
    "HTTPError: [0-9]{3}|ServiceError$": "it answers with an error",
    r"requests\.exceptions\.": "the connection fails",
}
QUIET_OPTIONS = ("--progress-spinner=off", "--disable-pip", "--require-hashes", "--vulnerability-service=osv")


class AuditFailed(RuntimeError):
    """The database of advisories can't be asked; says why."""


@dataclass(frozen=True)
class Advisory:
    """A known vulnerability of a locked distribution.

    Attributes:
        identifier: What it is called, such as "PYSEC-2026-1".
        name: The distribution's name.
        version: The version that is locked.
        fixed_in: The versions that mend it; empty where there is none yet.
    """

    identifier: str
    name: str
    version: str
    fixed_in: tuple[str, ...] = ()


def find_advisories(
    accepted: Sequence[str] = (),
    locks: Sequence[Path] = tuple(map(PROJECT_ROOT.joinpath, AUDITED_LOCKS)),
    address: str = DATABASE,
) -> list[Advisory]:
    """Find the advisories about the distributions of locks, for this machine's Python and platform.

    Args:
        accepted: Identifiers of advisories that are known and no fault here.
        locks: The lock files.
        address: Where the database answers queries.

    Returns:
        The advisories that aren't accepted, by distribution.

    Raises:
        AuditFailed: The database doesn't answer, or pip-audit can't read a lock or the answers.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", *QUIET_OPTIONS, "--format=json", f"--output={report}"]
        command += [f"--requirement={lock}" for lock in locks] + [f"--ignore-vuln={each}" for each in accepted]
        done = subprocess.run([*command, f"--osv-url={address}"], capture_output=True, text=True)
        if not report.exists():  # it ends with 1 for advisories and for failures alike
            raise AuditFailed(_describe_failure(done.stderr, address))
        found = json.loads(report.read_text())["dependencies"]
    return [
        Advisory(each["id"], audited["name"], audited["version"], tuple(each["fix_versions"]))
        for audited in found
        for each in audited.get("vulns", ())
    ]


def _describe_failure(said: str, address: str) -> str:
    """Say in plain words why there is no answer; what isn't the database's failure is told in pip-audit's last line."""
    last = "\n".join(said.strip().splitlines()[-2:])  # it gives advice after some reasons
    for pattern, reason in FAILURES.items():
        if re.search(pattern, last):
            return f"the database of advisories at {urlsplit(address).netloc} can't be asked: {reason}"
    return last.rpartition("\n")[2] or "pip-audit gave no reason"
