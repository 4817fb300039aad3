"""Runs of lists through a version: in columns, and record by record where that may say something else."""

import time
from collections.abc import Sequence

from penumbra.core.text.errors import USER_ERRORS, ensure_exception
from service.http.requests.record_batch import RecordDict
from service.http.requests.record_reader import Contract
from service.inference.models.live_model import LoadedModel, ScoredInputs
from service.inference.runs.batch_run import BatchScorer, PartSizes, PendingRecords, ScoredRecord, run_batch
from service.inference.runs.frame_run import PlainRows, list_answers, run_frame


class ListRunner:
    """Runs records of lists through any version, and notes how long its calls take."""

    def __init__(self, contract: Contract, parts: PartSizes) -> None:
        """Read records by the `contract`; `parts` are told of the calls."""
        self._contract = contract
        self._parts = parts

    def run(self, model: LoadedModel, pending: PendingRecords) -> list[ScoredRecord | Exception]:
        """Predict for records; for those that are apart record by record, as their rows have been in columns before.

        Args:
            model: The version.
            pending: The records.

        Returns:
            As of `run_batch`.

        Raises:
            RefusedByRules: As of `run_batch`.
        """
        plain = None if pending.apart else self._run_frame(model, pending)
        if plain is None:
            return run_batch(model, pending, self._make_batch_scorer(model))
        answers = list_answers(model.version, pending.lines, plain)
        if len(answers) == len(pending.lines):
            return [*answers]
        numbers = plain.numbers.tolist()
        rest = sorted({*range(len(pending.lines))}.difference(numbers))
        others = run_batch(model, pending.select(rest), self._make_batch_scorer(model))
        outcomes = dict(zip(numbers, answers, strict=True)) | dict(zip(rest, others, strict=True))
        return [outcomes[index] for index in range(len(pending.lines))]

    def _run_frame(self, model: LoadedModel, pending: PendingRecords) -> PlainRows | None:
        began = time.monotonic()
        try:
            rows = self._contract.to_frame(pending.records)
        except USER_ERRORS:
            return None
        if plain := run_frame(model, rows, pending.records, apart=False):
            self._parts.note_call(model.version, len(plain.numbers), time.monotonic() - began)
        return plain

    def _make_batch_scorer(self, model: LoadedModel) -> BatchScorer:
        def score(records: Sequence[RecordDict]) -> list[ScoredInputs | Exception]:
            """Score records in one call, and in halves where that fails, down to the records that fail alone."""
            try:
                began = time.monotonic()
                inputs, outputs = model.score_batch(self._contract.to_frame(records))
                self._parts.note_call(model.version, len(records), time.monotonic() - began)
                return list(zip(inputs.tolist(), outputs.tolist(), strict=True))
            except USER_ERRORS as error:
                middle = len(records) // 2
                return [*score(records[:middle]), *score(records[middle:])] if middle else [ensure_exception(error)]

        return score
