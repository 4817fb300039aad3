"""What becomes of one part of a table: answers, rejected rows, and the segments of the logs, all in one folder."""

import contextlib
import datetime as dt
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from flows.steps.score.outputs.answer_details import compute_details
from flows.steps.score.outputs.entry_tables import make_entry_tables
from flows.steps.score.outputs.score_columns import list_keys, list_other_scores, list_plain_scores
from flows.steps.score.parts.input_tables import RowPart
from flows.steps.score.parts.part_facts import PartFacts
from flows.steps.score.parts.record_check import CheckedRecords, RecordCheck
from flows.steps.score.replaced_processes import Attempt, CallTimer, PartTimer
from penumbra.core.columns import BROKEN_RULES_COLUMN, ROW_NUMBER_COLUMN
from penumbra.core.contract.value_readers import list_records
from penumbra.core.loading.problem_loading import SERVED_PARTS
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.logs.append_log import SEGMENT_SUFFIX, encode_json, encode_lines
from penumbra.logs.bulk_lines import can_write_columns, write_segment
from penumbra.logs.labels import LabelSpec
from penumbra.logs.schema import BrokenCountEntry, PredictionEntry, RefusalEntry
from penumbra.rules import Rule
from penumbra.sources.row_reading import find_row_reading
from service.http.requests.record_reader import Contract
from service.inference.models.canary_share import make_canary_share
from service.inference.models.live_model import LiveModels
from service.inference.pipeline import InferencePipeline
from service.inference.rules.rule_engine import make_problem_rule_engines
from service.inference.rules.rule_marks import fill_default
from service.inference.runs.batch_run import ScoredRecord
from service.inference.runs.frame_scoring import FrameScorer, ScoredFrame
from service.inference.scoring_marks import CallMarks

SCORES_FILE, REJECTED_FILE, FACTS_FILE = "scores.arrow", "rejected.arrow", "facts.json"
SCORED_PARTS = (*SERVED_PARTS, "source")  # of a problem
PREDICTIONS, REFUSED, BROKEN = "predictions", "refused", "broken"  # the logs, as SharedLogs names them


class PartScorer:
    """Scores parts of tables with the live model that is deployed in the service's state folder.

    What is scored isn't marked, so that a run that is killed blocks no record of the service's; but for parts that
    have ended a process before.
    """

    def __init__(
        self, settings: Settings, problem: Problem, options: Collection[str] = (), attempt: Attempt | None = None
    ) -> None:
        """Load the models.

        Args:
            settings: Sections [service], [rules], [registry] and [promotion] are read.
            problem: The problem, with schema, features and rules; with its source rows are read as that reads them.
            options: What is added to answers, see `flows.steps.score.outputs.answer_details`.
            attempt: Whether this process is ended where a part takes too long; it isn't where that isn't given.
        """
        self._options = options
        self.attempt = attempt or Attempt()
        self._timer = PartTimer(settings.service.hang_seconds)
        schema, service = problem.schema, settings.service
        self._spec, self._task = LabelSpec.from_schema(schema), Task.from_schema(schema)
        self._contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, service.max_records)
        share = make_canary_share(settings.promotion.canary_share, self._spec)
        make_rules = make_problem_rule_engines(settings.rules, problem, self._spec)
        live = LiveModels(service.state, problem, make_rules, share is not None, settings.registry.signed_by)
        live.refresh()
        self.live, self._pipeline = live, InferencePipeline(live, self._contract, share, CallMarks())
        self._share, self._hang_seconds = share, settings.service.hang_seconds
        self._scorer = FrameScorer(live, self._pipeline, self._task)
        self._check = RecordCheck(schema, find_row_reading(problem))
        self._is_plain = can_write_columns(self._contract.dtypes)

    def score_part(
        self, part: RowPart, name: str, job: str, segment: str, folder: Path, is_doubtful: bool = False
    ) -> PartFacts:
        """Score a part with the versions that answer now, and write what becomes of it.

        Args:
            part: The part.
            name: What errors call the table.
            job: The name of the scoring job, for the log.
            segment: The name of the segments of the logs.
            folder: The folder to fill, which exists and is empty: `SCORES_FILE`, `REJECTED_FILE` where rows are
                rejected, `FACTS_FILE`, and in a folder for each log with entries the segment.
            is_doubtful: Whether it has ended a process: then it is scored in calls of a few records, with marks.

        Returns:
            What is in `FACTS_FILE`.

        Raises:
            RowsRefused: A column is missing, or a rule of the contract fails.
            NoLiveModel: No model is live.
            DetailsMissing: The live version can't say what is to be added to answers.
            OSError: A file can't be written.
        """
        began, now = time.perf_counter(), dt.datetime.now(dt.UTC)
        self._follow_state()
        with self._timer.limit() if self.attempt.may_end else contextlib.nullcontext():
            checked = self._check.check(part.rows, part.first, name, now)
            with self._open_careful_scorer() if is_doubtful else contextlib.nullcontext(self._scorer) as scorer:
                scored = scorer.score(checked.good)
        others = dict(sorted(scored.others.items()))
        micros = round((time.perf_counter() - began) * 1e6 / max(part.rows.height, 1))
        ids = self._write_predictions(checked.good, scored, others, now, micros, job, segment, folder)
        self._write_side_logs(checked, scored, now, segment, folder)
        self._list_scores(checked, scored, others, ids).write_ipc(folder / SCORES_FILE)
        rejected = self._list_rejected(part, checked, scored)
        if rejected.height:
            rejected.write_ipc(folder / REJECTED_FILE)
        facts = self._make_facts(part, checked, rejected, scored)
        (folder / FACTS_FILE).write_bytes(msgspec.json.encode(facts))
        return facts

    def _follow_state(self) -> None:
        """Load what has become live or the canary since the last part, and learn which records were blocked."""
        self._pipeline.blocked.refresh()
        if self.live.has_changed():
            self.live.refresh()

    @contextlib.contextmanager
    def _open_careful_scorer(self) -> Iterator[FrameScorer]:
        """Score by records whose calls are marked as those of the service's workers, and limited."""
        with contextlib.closing(CallTimer(self.live.state, self._hang_seconds)) as marks:
            pipeline = InferencePipeline(self.live, self._contract, self._share, marks)
            yield FrameScorer(self.live, pipeline, self._task, in_columns=False)

    def _write_predictions(
        self,
        rows: pl.DataFrame,
        scored: ScoredFrame,
        others: dict[int, ScoredRecord],
        now: dt.datetime,
        micros: int,
        job: str,
        segment: str,
        folder: Path,
    ) -> pl.Series:
        """Write the segment of the prediction log; returns the ids, of plain rows first."""
        version, plain = self._contract.version, scored.plain
        answered = rows if not others and not scored.refused else rows[plain.numbers]
        made = [
            PredictionEntry(now, version, line, inputs, output, decision, model, micros, **marks, job=job)
            for line, model, inputs, output, decision, marks in others.values()
        ]
        tables, order = list[pl.DataFrame](), np.arange(answered.height)
        if self._is_plain and answered.height:
            tables = make_entry_tables(answered, scored, now, version, micros, job)
            order = np.argsort(plain.codes, kind="stable")
        elif answered.height:
            inputs, outputs = plain.inputs.tolist(), plain.outputs.tolist()
            answers = zip(list_records(answered), inputs, outputs, plain.decisions, strict=True)
            entries = [
                PredictionEntry(now, version, *each, scored.version, micros, **fill_default(marks, each[-1]), job=job)
                for marks, each in zip(map(plain.marks.__getitem__, plain.codes), answers, strict=True)
            ]
            made = [*entries, *made]
        if not tables and not made:
            return pl.Series(dtype=pl.String)
        ids = write_segment(_place_segment(folder, PREDICTIONS, segment), tables, encode_lines(made) if made else ())
        return pl.concat([ids.head(len(order))[np.argsort(order)], ids.slice(len(order))])

    def _write_side_logs(
        self, checked: CheckedRecords, scored: ScoredFrame, now: dt.datetime, segment: str, folder: Path
    ) -> None:
        """Write what HTTP logs of refused records: those that a rule refuses, and how many broke the contract."""
        ruled = {number: rule for number, rule in scored.refused.items() if isinstance(rule, Rule)}
        if ruled:
            records, version = list_records(checked.good[list(ruled)]), self._contract.version
            entries = [
                RefusalEntry(now, version, record, rule.name, scored.version)
                for record, rule in zip(records, ruled.values(), strict=True)
            ]
            write_segment(_place_segment(folder, REFUSED, segment), [], encode_lines(entries))
        if checked.rejected.height:
            count = BrokenCountEntry(now, checked.rejected.height, checked.broken)
            write_segment(_place_segment(folder, BROKEN, segment), [], [encode_json(count)])

    def _list_scores(
        self, checked: CheckedRecords, scored: ScoredFrame, others: dict[int, ScoredRecord], ids: pl.Series
    ) -> pl.DataFrame:
        """The answers, a row each, in the order of the table."""
        keys = list_keys(self._task, checked.good, checked.numbers, self._spec.key)
        scores = list_plain_scores(self._task, keys[scored.plain.numbers], ids.head(len(scored.plain.numbers)), scored)
        if others:
            special = list_other_scores(self._task, keys[list(others)], ids.tail(len(others)), list(others.values()))
            scores = pl.concat([scores, special]).sort(ROW_NUMBER_COLUMN)
        return self._add_details(scores, checked.good, scored, others) if self._options else scores

    def _add_details(
        self, scores: pl.DataFrame, rows: pl.DataFrame, scored: ScoredFrame, others: dict[int, ScoredRecord]
    ) -> pl.DataFrame:
        classes = (len(self._task.classes),) if self._task.kind == "multiclass" else ()
        predictions = np.full((rows.height, *classes), np.nan)
        if len(scored.plain.numbers):
            predictions[scored.plain.numbers] = scored.plain.outputs
        for number, answer in others.items():
            if answer.inputs:
                predictions[number] = answer.output
        answered, versions = sorted([*scored.plain.numbers.tolist(), *others]), scores["model_version"]
        models = self.live.get_loaded()
        details = compute_details(models, rows[answered], predictions[answered], versions, self._options)
        return pl.concat([scores, details], how="horizontal")

    def _list_rejected(self, part: RowPart, checked: CheckedRecords, scored: ScoredFrame) -> pl.DataFrame:
        """The rows without an answer, with the reasons, and their values as they arrived."""
        if not scored.refused:
            return checked.rejected
        reasons = [[why.name if isinstance(why, Rule) else why] for why in scored.refused.values()]
        numbers = checked.numbers[list(scored.refused)]
        named = pl.DataFrame([numbers, pl.Series(BROKEN_RULES_COLUMN, reasons, pl.List(pl.String))])
        refused = pl.concat([named, part.rows[numbers - part.first]], how="horizontal")
        return pl.concat([checked.rejected, refused]).sort(ROW_NUMBER_COLUMN)

    def _make_facts(
        self, part: RowPart, checked: CheckedRecords, rejected: pl.DataFrame, scored: ScoredFrame
    ) -> PartFacts:
        fired = Counter(name for each in scored.others.values() for name in each.marks.get("rules", ()))
        plain = scored.plain
        for marks, count in zip(plain.marks, np.bincount(plain.codes, minlength=len(plain.marks)), strict=True):
            fired.update(dict.fromkeys(marks.get("rules", ()), int(count)))
        versions = Counter(each.model for each in scored.others.values())
        versions[scored.version] += len(plain.numbers)
        return PartFacts(
            part.rows.height,
            part.rows.height - rejected.height,
            rejected.height,
            dict(Counter(rejected[BROKEN_RULES_COLUMN].explode().to_list())),
            dict(+fired),
            dict(+versions),
            list(checked.missing),
            list(checked.unread),
        )


def _place_segment(folder: Path, log: str, segment: str) -> Path:
    (folder / log).mkdir()
    return folder / log / (segment + SEGMENT_SUFFIX)
