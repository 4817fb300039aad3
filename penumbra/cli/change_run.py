"""The report on a change, whatever comes of it: a trial, or the reason why there is none."""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.steps.change.change_trial import try_change
from flows.steps.train.plan import PLAN_ERRORS, require_known_candidates
from penumbra.cli.reports.decisions.change_report import format_change_report, format_failure_report
from penumbra.core.loading.project_loading import load_project
from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_text
from penumbra.data.source_reader import BatchRefused, SourceFailed, is_out_of_reach
from penumbra.data.versioning.dvc_file import DamagedDvcFile
from penumbra.registry import REGISTRY_ENVIRONMENT
from penumbra.registry.models import REGISTRY_ERRORS
from penumbra.training.rejection import TrainingRefused


@dataclass(frozen=True)
class ChangeReport:
    """The report.

    Args:
        text: Markdown.
        reason: Why nothing could be trained, where that is a fault; else "".
        has_findings: Whether the doctor has found something.
    """

    text: str
    reason: str = ""
    has_findings: bool = False


def run_change_report(rows: int, candidates: Sequence[str]) -> ChangeReport:
    """Try the project as it is here, in a temporary folder, and report.

    Args:
        rows: How many rows a candidate learns from at most.
        candidates: The candidates to try; those of the settings where there are none.

    Returns:
        The report. What is wrong with the project, or out of reach, is in it.
    """
    os.environ.update({**REGISTRY_ENVIRONMENT, **os.environ})
    model = ""
    try:
        settings, problem = load_project()
        model = settings.registry.model
        names, setting = (
            (candidates, "--candidate") if candidates else (settings.training.candidates, "training.candidates")
        )
        require_known_candidates(setting, names, problem.candidates.CANDIDATES)
        with tempfile.TemporaryDirectory() as folder:
            trial = try_change(settings, problem, names, rows, Path(folder))
            text = format_change_report(trial, model, settings.gate)
        return ChangeReport(text, has_findings=bool(trial.findings))
    except (*PLAN_ERRORS, *REGISTRY_ERRORS, TrainingRefused, DamagedDvcFile) as error:
        reason = mask_text(str(error))
        is_away = isinstance(error, (SourceFailed, BatchRefused)) and is_out_of_reach(error)
        return ChangeReport(format_failure_report(model, reason, is_away), "" if is_away else reason)
    except Exception as error:  # whatever it is: the report of the push before mustn't stay for this one
        print(mask_text(traceback.format_exc()), file=sys.stderr)
        reason = f"{mask_text(describe_error(error))} (the traceback is in the output of the command)"
        return ChangeReport(format_failure_report(model, reason, is_expected=False), reason)
