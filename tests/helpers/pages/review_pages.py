"""A live model, its logged answers and a queue of cases in a temporary folder, and the dashboard's site with them."""

import contextlib
import datetime as dt
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import polars as pl

from monitoring.dashboard.places import find_free_ports, write_page_digests
from monitoring.dashboard.server import make_dashboard_config
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.core.settings import Settings, load_settings
from penumbra.core.system.http_client import find_free_port
from penumbra.logs.append_log import read_entries
from penumbra.logs.schema import PredictionEntry
from penumbra.reviews.records import ReviewBlock, ReviewCase
from problem import schema
from service.http.access.access_control import KeyDigests
from tests.helpers.logs import prediction_logs
from tests.helpers.pages import local_sites
from tests.helpers.servers import local_service

MARKUP = "<script>document.title='taken'</script>"  # in a column of each eighth row and the last one


class JudgedFlight(schema.Row):
    """A flight of which people say whether it was late."""

    late = dy.Bool(nullable=True)


FLIGHTS = load_checked_problem()
JUDGED_SCHEMA = SimpleNamespace(
    **{**vars(FLIGHTS.schema), "Labelled": JudgedFlight, "target": lambda: pl.col("late"), "OUTCOME": {"late": True}}
)
JUDGED_FLIGHTS: Any = SimpleNamespace(schema=JUDGED_SCHEMA, features=FLIGHTS.features, source=FLIGHTS.source)


@dataclass
class ReviewedLog:
    """A prediction log of which some rows were picked.

    Attributes:
        settings: Where everything is.
        ids: The predictions, which are cases.
        outputs: The live model's answers.
    """

    settings: Settings
    ids: list[str]
    outputs: list[float]

    def read_actions(self) -> list[dict[str, Any]]:
        """Read what reviewers did."""
        return [entry for entry in read_entries(self.settings.review.folder) if entry["is"] == "action"]


def make_review_settings(folder: Path, blind: bool = True) -> Settings:
    environ = local_service.make_service_environment(folder) | {
        "PENUMBRA_REVIEW__FOLDER": str(folder / "reviews"),
        "PENUMBRA_REVIEW__BLIND": str(blind),
        "PENUMBRA_MONITOR__FOLDER": str(folder / "monitor"),
    }
    return load_settings(environ=environ)


def pick_logged_rows(folder: Path, count: int, blind: bool = True, twice: int = 0) -> ReviewedLog:
    """Log a model's answers to some rows, and pick all of them; two people are asked about the first `twice`."""
    loaded = local_service.deploy_version(folder, "1")
    rows = schema.Row.sample(count, generator=dy.random.Generator(9))
    outputs, records = loaded.score(rows).tolist(), rows.to_dicts()
    for record in [*records[7::8], records[-1]]:
        record["dest"] = MARKUP
    now = dt.datetime.now(dt.UTC)
    entries = [
        PredictionEntry(now, "c", record, [], output, output >= local_service.THRESHOLD, "1", 80, ["a rule"])
        for record, output in zip(records, outputs, strict=True)
    ]
    ids = prediction_logs.log_predictions(folder, *entries)
    cases = [ReviewCase(name, ["close call"], 0.25, 1 + (n < twice)) for n, name in enumerate(ids)]
    block = ReviewBlock(now, {}, 4 * count, count, count, {"close call": count})
    prediction_logs.append_to_new_segment(folder / "reviews", [*cases, block])
    return ReviewedLog(make_review_settings(folder, blind), ids, outputs)


def pick_one_more(reviewed: ReviewedLog, entry: PredictionEntry | None = None, **case: Any) -> str:
    """Log one more answer, and pick its row; its id."""
    folder, now = reviewed.settings.review.folder.parent, dt.datetime.now(dt.UTC)
    (name,) = prediction_logs.log_predictions(folder, entry or prediction_logs.make_prediction(7))
    block = ReviewBlock(now, {}, 1, 1, 1, {"chance": 1})
    prediction_logs.append_to_new_segment(folder / "reviews", [ReviewCase(name, ["chance"], 1.0, **case), block])
    return name


@contextlib.contextmanager
def serve_overview_site(settings: Settings, problem: Any, keys: KeyDigests = (), port: int = 0) -> Iterator[str]:
    """Serve the dashboard, its overview at a free port unless one is given.

    Yields:
        The address of the overview.
    """
    sockets, ports = Path(tempfile.mkdtemp()), find_free_ports("127.0.0.1", port or find_free_port())
    write_page_digests(sockets, keys)
    listening = [socket.create_server(("127.0.0.1", port)) for port in ports.values()]
    with local_sites.serve_config(make_dashboard_config(settings, problem, ports, sockets), listening):
        yield f"http://127.0.0.1:{ports['overview']}"
    for each in listening:
        each.close()


def list_actions(actions: Sequence[dict[str, Any]]) -> list[tuple[str, str, Any]]:
    """Reviewer, kind and label of each."""
    return [(action["reviewer"], action["kind"], action.get("label", {})) for action in actions]
