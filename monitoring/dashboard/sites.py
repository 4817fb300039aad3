"""The dashboard's three sites: which requests only read, and what a browser may do with each page."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monitoring.reports.foreign_pages import FOREIGN_PAGE_POLICY
from service.http.access.access_control import Role

READ_METHODS = frozenset(["GET", "HEAD"])
# A report or a card: its scripts run, in an origin of its own that nothing else belongs to.
SANDBOX_POLICY = f"sandbox allow-scripts; {FOREIGN_PAGE_POLICY}"
OVERVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'none'; form-action 'none'; "
    "base-uri 'none'"
)
REVIEW_PATH, APPROVALS_PATH = "/review", "/approvals"
HEALTH_PATH = "/healthz"  # cheaper than the page
REVIEW_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'none'; "
    "base-uri 'none'"
)
APPROVALS_POLICY = OVERVIEW_POLICY.replace("form-action 'none'", "form-action 'self'")
# MLflow and Evidently write styles and parts of scripts as they go; MLflow shows artifacts in frames that it fills.
APPLICATION_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-src 'self' blob:; manifest-src 'self'; media-src 'self' blob:; form-action 'none'; base-uri 'none'"
)

# What MLflow's pages read by POST: searches, and a query language without anything that writes.
MLFLOW_READING_POST = re.compile(
    r"/graphql|/(ajax-)?api/\d\.0/mlflow/"
    r"((experiments|runs|logged-models|datasets|traces|issues|prompt-optimization/jobs)/search|experiments/search-datasets"
    r"|registered-models/get-latest-versions|traces/(metrics|calculate-filter-correlation))"
)
MLFLOW_ARTIFACT = re.compile(r"(?s).*(get-artifact|get-trace-artifact|mlflow-artifacts/).*|.*/artifacts(/.*)?")
EVIDENTLY_READING_POST = re.compile(r"/api/v2/snapshots/[0-9a-f-]+/data_series_batch")


@dataclass(frozen=True)
class Site:
    """A site of the dashboard.

    Attributes:
        title: What it is called.
        reading_post: The paths at which a POST only reads.
        choose_policy: The content security policy of the answer at a path.
        personal: By first part of a path, such as "/review", the role of the people who read and write there under
            their names; everywhere else reading is open, and writing is for admins.
        shown: Those first parts at which reading is as open as elsewhere, and only writing takes the role.
        probes: The paths at which reading is open to whoever asks, under any host, as a kubelet does.
    """

    title: str
    reading_post: re.Pattern[str]
    choose_policy: Callable[[str], str]
    personal: Mapping[str, Role] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    probes: frozenset[str] = frozenset()

    def find_role(self, path: str) -> Role:
        """Find the role that a path belongs to.

        Args:
            path: The path, decoded.

        Returns:
            The role of `personal`, or "admin".
        """
        return self.personal.get(get_first_part(path), "admin")

    def is_private(self, path: str) -> bool:
        """Say whether reading at a path is for people under their names.

        Args:
            path: The path, decoded.

        Returns:
            True within `personal` but for what is in `shown`.
        """
        return get_first_part(path) in self.personal.keys() - self.shown

    def is_reading(self, method: str, path: str) -> bool:
        """Say whether a request only reads.

        Args:
            method: The HTTP method.
            path: The path, decoded.

        Returns:
            False for everything that isn't known to read.
        """
        return method in READ_METHODS or (method == "POST" and self.reading_post.fullmatch(path) is not None)


def get_first_part(path: str) -> str:
    """Return the first part of a `path`, such as "/review" of "/review/next"."""
    return "/" + path[1:].partition("/")[0]


def _choose_overview_policy(path: str) -> str:
    if get_first_part(path) == REVIEW_PATH:
        return REVIEW_POLICY
    if get_first_part(path) == APPROVALS_PATH:
        return APPROVALS_POLICY
    return OVERVIEW_POLICY if path == "/" else SANDBOX_POLICY


NOTHING = re.compile(r"(?!)")
SITES = {
    "overview": Site(
        "the overview",
        NOTHING,
        _choose_overview_policy,
        {REVIEW_PATH: "review", APPROVALS_PATH: "approve"},
        frozenset([APPROVALS_PATH]),
        frozenset([HEALTH_PATH]),
    ),
    "mlflow": Site(
        "MLflow",
        MLFLOW_READING_POST,
        lambda path: SANDBOX_POLICY if MLFLOW_ARTIFACT.fullmatch(path) else APPLICATION_POLICY,
    ),
    "evidently": Site("Evidently", EVIDENTLY_READING_POST, lambda path: APPLICATION_POLICY),
}
