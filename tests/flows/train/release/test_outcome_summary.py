"""What a training says of its winner: which data and which code it was made from."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.steps.train.release.outcome import summarise_outcome


@pytest.mark.parametrize(
    ("revision", "shown"), [("5e9fc217aa", "5e9fc217"), ("5e9fc217aa+changes", "5e9fc217+changes")]
)
def test_the_summary_says_where_the_code_differs_from_its_commit(revision: str, shown: str) -> None:
    facts = {"data_version": "7e8721d0aa.dir", "revision": revision}
    split = SimpleNamespace(all=["2024-01"], test=["2024-01"])
    outcome: Any = SimpleNamespace(
        plan=SimpleNamespace(facts=facts, split=split),
        matrices=SimpleNamespace(problem=None),
        gate=SimpleNamespace(live=None, report="gate: pass"),
        tested=[SimpleNamespace(candidate="forest", scores={"log_loss": 0.5})],
        remarks=[],
        winner=SimpleNamespace(candidate="forest"),
    )
    assert f"(data 7e8721d0, code {shown})." in summarise_outcome(outcome).origin
