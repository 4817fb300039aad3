"""A drafted `problem/` in the place of the one that is there: loaded once before anything is moved, then written."""

import contextlib
import datetime as dt
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penumbra.cli.fresh_start import exclude_work, set_aside
from penumbra.core.loading.problem_loading import PROBLEM_PACKAGE, load_problem
from penumbra.core.problem import Problem, ProblemError, SourceBatch
from penumbra.core.project_root import SETTINGS_FILE
from penumbra.core.settings import Settings
from penumbra.drafting.draft import DraftRefused, ProblemDraft
from penumbra.drafting.files.batch_notes import list_batch_notes
from penumbra.drafting.files.problem_files import render_problem
from penumbra.drafting.files.settings_file import choose_settings, edit_settings, list_arrived, list_changes
from penumbra.drafting.files.source_file import note_place
from penumbra.registry.code_version import has_uncommitted_changes
from penumbra.storage.atomic import replace_file

PROBLEM_FOLDER, SETTINGS_PATH = Path(PROBLEM_PACKAGE), Path(SETTINGS_FILE)
STAGED_PACKAGE = "drafted_problem"


@dataclass(frozen=True)
class NewProblem:
    """A problem that isn't written yet.

    Attributes:
        files: The text of each file of `problem/`, by its name.
        settings: The settings that it asks for, by dotted name.
        batches: The batches of its source that have arrived.
        notes: Sentences about them and where they come from.
        example: The record that stands in the documentation of the API; of today where days are made up.
    """

    files: Mapping[str, str]
    settings: Mapping[str, Any]
    batches: Sequence[SourceBatch]
    notes: Sequence[str]
    example: Mapping[str, Any]

    def list_changes(self) -> list[str]:
        """List what changes in settings.toml.

        Returns:
            Lines such as "training.test_batches = 3".
        """
        return list_changes(SETTINGS_PATH.read_text(encoding="utf-8"), self.settings)


def plan_problem(draft: ProblemDraft, settings: Settings, name: str, now: dt.date) -> NewProblem:
    """Render a draft, load it as a problem, and choose the settings by its batches.

    Args:
        draft: The draft.
        settings: Section [gate] is read.
        name: The name of the registered model; "" for the one that the settings have.
        now: Today by the calendar.

    Returns:
        The problem; nothing is written.

    Raises:
        DraftRefused: The source can't be read or has too few batches, or the rendered files are no problem.
    """
    files = render_problem(draft)
    try:
        with _load_staged(files) as problem:
            batches, example = problem.source.batches(), problem.schema.EXAMPLE
    except (ProblemError, OSError, ValueError) as error:
        raise DraftRefused(f"the drafted problem can't be used: {error}") from error
    chosen = choose_settings(draft, batches, settings.gate.min_days, name, now)
    arrived = list_arrived(draft, batches, now)
    held_out = chosen["training.test_batches"]
    if draft.has_made_up_days:  # while those of requests are real
        example = {**example, draft.source.time: f"{now}T00:00:00"}
    notes = [*note_place(draft.source.location), *list_batch_notes(draft, batches, now, held_out)]
    return NewProblem(files, chosen, arrived, notes, example)


@contextlib.contextmanager
def _load_staged(files: Mapping[str, str]) -> Iterator[Problem]:
    """Load the files from a folder of their own, which is there until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder) / STAGED_PACKAGE, files)
        sys.path.insert(0, folder)
        try:
            yield load_problem(package=STAGED_PACKAGE)
        finally:
            sys.path.remove(folder)
            for module in [name for name in sys.modules if name.partition(".")[0] == STAGED_PACKAGE]:
                del sys.modules[module]


def require_commit(is_forced: bool = False) -> None:
    """Check that git has what a new problem comes in the place of.

    Args:
        is_forced: Whether it may come all the same.

    Raises:
        DraftRefused: Git doesn't have `problem/` or settings.toml as they are.
    """
    changed = [str(path) for path in (PROBLEM_FOLDER, SETTINGS_PATH) if _is_uncommitted(path)]
    if changed and not is_forced:
        raise DraftRefused(
            f"git doesn't have {' and '.join(changed)} as {'they are' if len(changed) > 1 else 'it is'}: commit first, "
            f"or pass --force, which sets {PROBLEM_FOLDER}/ aside all the same"
        )


def install_problem(new: NewProblem, settings: Settings, is_forced: bool = False) -> str:
    """Set aside the present problem with its data, models and logs, and write a new one with its settings.

    A process killed in between leaves a project without a whole `problem/`, which the next call sets aside.

    Args:
        new: The new problem.
        settings: The settings of the present one.
        is_forced: Whether it is done though git doesn't have `problem/` and settings.toml as they are.

    Returns:
        What was set aside, and where it is.

    Raises:
        DraftRefused: Git doesn't have what is there.
        StartOverRefused: A service or a dashboard runs, or somebody is at work.
        OSError: A file can't be written.
    """
    require_commit(is_forced)
    with exclude_work(settings):
        moved = set_aside(settings, [PROBLEM_FOLDER])
        _write_files(PROBLEM_FOLDER, new.files)
        replace_file(SETTINGS_PATH, edit_settings(SETTINGS_PATH.read_text(encoding="utf-8"), new.settings))
    return moved


def _write_files(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _is_uncommitted(path: Path) -> bool:
    try:
        return has_uncommitted_changes(Path.cwd(), path)
    except (subprocess.CalledProcessError, OSError):  # no checkout, or no git
        return False
