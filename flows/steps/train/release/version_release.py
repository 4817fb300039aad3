"""The release of a model version from one environment to another: staging's registry to this one's, with its evidence.

The version's run is copied with all its artifacts, and the gate's verdict with it. Here the version is a candidate like
any other: the shadow and the labels of this environment decide whether it answers. Where there is no live model it
becomes the first.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flows.steps.promote.version_history import GATE_VERDICTS
from flows.steps.train.release.outcome_summary import OutcomeSummary
from flows.steps.train.release.registration import BegunRegistration, register_begun
from flows.steps.train.release.run_record import TrainingRuns
from penumbra.core.problem import Problem
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.core.system.actor import get_actor
from penumbra.core.text.masking import mask_address
from penumbra.registry.bundles.bundle import read_bundle
from penumbra.registry.history.ledger_entries import COMPARED_DAYS_KEY, LedgerEntry, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS
from penumbra.registry.tracking.run_records import FACTS_TAG, FinishedRun, RecordedRun
from penumbra.storage.fingerprints import compute_fingerprint

RELEASED_KEY = "released_from"  # in the evidence of the gate's verdict: where a version was trained, and as which
FOREIGN_TAGS = ("mlflow.", "penumbra.")  # what the registry itself says of a run


class ReleaseRefused(RuntimeError):
    """The version isn't there, or wasn't let through by the gate; the message says which."""


def release_version(settings: Settings, problem: Problem, tracking: str, state: str, name: str) -> str:
    """Copy a version of another environment into the registry, and enter its verdict into the ledger.

    The same version is released once; a release that was cut short is completed by the next.

    Args:
        settings: This environment's.
        problem: The problem, as the code that runs here has it.
        tracking: The address of the other environment's registry.
        state: What the machines there share (`cluster.state`).
        name: The version there: its number, or an alias such as "live".

    Returns:
        What became of it, in several lines.

    Raises:
        ReleaseRefused: There is no such version, or the gate there didn't let it through.
        BrokenBundle: Its bundle is damaged, or has no signature that counts here.
        UnfitBundle: The code here can't answer with it.
        BrokenLedger: One of the ledgers isn't whole. Whatever the registries raise is raised too.
    """
    with tempfile.TemporaryDirectory() as folder:
        other = _describe_environment(settings, tracking, state, Path(folder, "ledger"))
        models, entries = ModelRegistry(other.registry), open_ledger(other).entries()
        version = name if name.isdigit() else models.version(name)
        gate = _find_last(entries, GATE_VERDICTS, CANDIDATE_ALIAS, version or "")
        if version is None or gate is None or gate.verdict == "fail":
            raise ReleaseRefused(_explain_refusal(mask_address(tracking), mask_address(state), name, version, gate))
        artifacts = models.download_artifact(version, "", Path(folder, "run"))
        read_bundle(artifacts / "bundle", problem, version, settings.registry.signed_by)
        origin = {
            "registry": mask_address(tracking),
            "version": version,
            "run": models.find_run_id(version),
            "gate": gate.number,
            "promotion": getattr(_find_last(entries, ("promote",), LIVE_ALIAS, version), "number", None),
        }
        return register_begun(settings, _begin_release(models, version, artifacts, gate, origin))


def _describe_environment(settings: Settings, tracking: str, state: str, ledger: Path) -> Settings:
    """The settings of the other environment, with a folder of its own for the copy of its ledger."""
    changed = {
        "registry": settings.registry.model_copy(update={"tracking": tracking}),
        "cluster": settings.cluster.model_copy(update={"state": state}),
        "ledger": settings.ledger.model_copy(update={"folder": ledger}),
    }
    return settings.model_copy(update=changed)


def _find_last(entries: Sequence[LedgerEntry], verdicts: Sequence[str], role: str, version: str) -> LedgerEntry | None:
    found = [entry for entry in entries if entry.verdict in verdicts and entry.versions.get(role) == version]
    return found[-1] if found else None


def _explain_refusal(registry: str, state: str, name: str, version: str | None, gate: LedgerEntry | None) -> str:
    if version is None:
        return f"{registry} (--tracking) has no version {name!r}"
    if gate is None:
        return (
            f"the ledger of {state!r} (--state) has no verdict of the gate on version {version} of {registry} "
            "(--tracking): both have to be of one environment"
        )
    return f"version {version} of {registry} did not pass the gate: entry {gate.number} of the ledger there"


def _begin_release(
    models: ModelRegistry, version: str, artifacts: Path, gate: LedgerEntry, origin: Mapping[str, Any]
) -> BegunRegistration:
    run, tags = models.read_run(version), models.tags(version)
    candidate = msgspec.json.decode(run.tags.get(FACTS_TAG, "{}")).get("candidate", "a model")
    place = f"version {version} of {origin['registry']}"
    evidence = {key: value for key, value in gate.evidence.items() if key != COMPARED_DAYS_KEY}
    return BegunRegistration(
        key=compute_fingerprint(PROJECT_ROOT, (), origin["registry"], version, origin["run"]),
        fingerprint=tags.get("fingerprint", origin["run"]),
        runs=TrainingRuns(
            _copy_run(run, f"release {place}", models.params(version)),
            [],
            {path.name: str(path) for path in artifacts.iterdir()},
            gate.data_version,
        ),
        is_servable=True,
        verdict=LedgerEvent(
            kind="verdict",
            verdict=gate.verdict,
            actor=get_actor(),
            reason=f"released from {place}",
            data_version=gate.data_version,
            settings=gate.settings,
            evidence={**evidence, RELEASED_KEY: dict(origin)},
        ),
        summary=OutcomeSummary(
            model=f"{candidate}, released from {place}",
            origin=f"(data {gate.data_version[:8]}). Entry {gate.number} of the ledger there has its {gate.reason}.",
            results="",
            unfit_live="",
        ),
    )


def _copy_run(run: RecordedRun, name: str, params: Mapping[str, str]) -> FinishedRun:
    tags = {key: value for key, value in run.tags.items() if not key.startswith(FOREIGN_TAGS)}
    return FinishedRun(name, run.start, run.start, params, run.metrics, tags)
