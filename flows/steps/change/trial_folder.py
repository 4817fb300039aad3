"""A folder of its own to try a change in: settings that leave data version, registry, ledger and logs alone."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from flows.steps.change.newest_batches import admit_newest_batches
from flows.steps.change.reachable_model import ReachableModel, hide_registry
from flows.steps.train.exclusions.batch_outcomes import count_batch_outcomes
from flows.steps.train.exclusions.excluded_days import find_excluded_days
from penumbra.core.problem import Problem
from penumbra.core.raw_files import RawContent
from penumbra.core.settings import Settings
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import BatchRefused, fetch_batch_files
from penumbra.data.versioning import versions

FOLDERS = {  # by setting: so that a trial neither sees nor changes the project's
    **{"data.folder": "data", "data.derived": "derived", "training.folder": "training"},
    **{"service.predictions": "predictions", "service.state": "service", "labels.folder": "labels"},
    **{"review.folder": "reviews", "ledger.folder": "ledger", "monitor.folder": "monitor"},
}
WORDS = {"data.remote": "", "log.archive": "", "cluster.state": ""}


def enclose_settings(settings: Settings, folder: Path, candidates: Sequence[str], live: ReachableModel) -> Settings:
    """Make settings by which everything that is written lies in one folder.

    Args:
        settings: The project's.
        folder: An empty folder.
        candidates: The candidates to try.
        live: The live model: its registry is read, and only if it was found.

    Returns:
        The settings.
    """
    changes: dict[str, object] = {**{name: folder / place for name, place in FOLDERS.items()}, **WORDS}
    changes |= {"data.commit": False, "training.candidates": list(candidates)}
    sections: dict[str, dict[str, object]] = {}
    for name, value in changes.items():
        section, key = name.split(".")
        sections.setdefault(section, {})[key] = value
    changed = {section: getattr(settings, section).model_copy(update=values) for section, values in sections.items()}
    if not live.version:
        changed["registry"] = hide_registry(settings.registry, folder)
    return settings.model_copy(update=changed)


def fill_trial_folder(settings: Settings, enclosed: Settings, problem: Problem, rows: int) -> None:
    """Admit the newest batches, and record them as the version of the enclosed data folder.

    Batches that the project has admitted are taken as they were admitted, others from the source. For each of which
    data faults leave nothing to learn from, an earlier one comes along, as far as there is one.

    Args:
        settings: The project's, whose section [data] is read.
        enclosed: What `enclose_settings` made.
        problem: The problem, with every part.
        rows: How many rows with an outcome there have to be before the batches for validation and test.

    Raises:
        SourceFailed: The source can't be read.
        BatchRefused: A batch is refused, or none has outcomes.
    """
    training = settings.training
    held_out = training.validation_batches + training.test_batches
    fetch = partial(_read_or_fetch, DataStore(settings.data, problem))
    store, wanted, missing, before = DataStore(enclosed.data, problem), held_out + 1, held_out + 1, -1
    while missing > 0 and before < len(store.batches()):
        before = len(store.batches())
        found = admit_newest_batches(store, wanted, rows, held_out, fetch=fetch)
        missing = held_out + 1 - _count_usable_batches(enclosed, problem)
        wanted = len(found) + missing
    versions.record_data_version(enclosed.data)


def _count_usable_batches(enclosed: Settings, problem: Problem) -> int:
    outcomes = count_batch_outcomes(DataStore(enclosed.data, problem), find_excluded_days(enclosed, problem))
    return sum(found.rows > 0 for found in outcomes.values())


def _read_or_fetch(admitted: DataStore, problem: Problem, batch: str) -> Mapping[str, RawContent]:
    if batch in admitted.batches():
        try:
            return admitted.read_raw_files(batch)
        except BatchRefused:  # it isn't what was admitted: the source has it whole
            pass
    return fetch_batch_files(problem, batch)
