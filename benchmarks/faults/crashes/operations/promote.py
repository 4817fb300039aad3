"""A promotion pass that promotes, rejects or begins a canary."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.crashes.operations.operation import (
    MLFLOW_MODULES,
    Operation,
    describe_ledger,
    describe_registry,
    make_settings,
)

PRELOADED = (*MLFLOW_MODULES, "flows.steps.promote.verdicts")
SEEN_DAYS = 20  # of a new recipe, before it is promoted; the logged days are a few more
NOW = dt.datetime(2013, 4, 28, 12, tzinfo=dt.UTC)  # the logged days are over, with all labels


def prepare_candidate(folder: Path, gate: str) -> None:
    """Register a live model and a better candidate, with their answers, labels, and this verdict of the gate."""
    from tests.helpers.models import registered_versions

    database = registered_versions.register_versions(folder / "registered", "ab")
    registered_versions.make_aliased_registry(folder, database, live="1", candidate="2")
    registered_versions.append_earlier_event(folder, "promotion", "promote", live="1")
    registered_versions.append_earlier_event(folder, "verdict", gate, candidate="2", live="1")
    scores = registered_versions.score_calibrated, registered_versions.score_noisy
    registered_versions.log_compared_days(folder, "1", {"2": scores[0]}, scores[1])


def run_promotion(folder: Path, **changes: Any) -> None:
    """Call what the flow's steps call, in their order.

    That a canary which has begun is waited for is left out: every later pass enters it once more.
    """
    from flows.steps.promote import verdicts
    from penumbra.core.loading.problem_loading import load_problem

    settings = make_settings(folder, **changes)
    aliases = verdicts.prepare_aliases(settings)
    cases = verdicts.judge_cases(settings, load_problem(), aliases, None, NOW)
    print(verdicts.act_on_cases(settings, [case for case in cases if case.decision.verdict != "keep collecting"]))


def describe_promotion(folder: Path) -> Iterator[str]:
    """Yield a text for each alias, version and entry of the ledger."""
    settings = make_settings(folder)
    yield from describe_registry(settings)
    yield from describe_ledger(settings)


def _make_operation(gate: str, leaves: str, **changes: Any) -> Operation:
    run = partial(run_promotion, promotion__seen_days=SEEN_DAYS, **changes)
    return Operation(partial(prepare_candidate, gate=gate), run, describe_promotion, leaves, PRELOADED)


OPERATIONS = {
    "promote": _make_operation("pass", "ledger: promotion promote {'live': '2'"),
    "reject": _make_operation("fail", "ledger: verdict reject"),
    "canary": _make_operation("pass", "ledger: canary canary", promotion__canary_share=0.2),
}
