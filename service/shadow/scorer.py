"""The scorer process: runs one model of the shadow on logged records. The other end is service/shadow/scorer_client.py.

Each row gets a status: a prediction that is NaN or infinite is recorded as `nan`, an output of the wrong shape as
`shape`, an exception as `error`. Where a model fails on a batch, its halves are scored separately, down to single rows,
so a failure is recorded on the rows that cause it only.
"""

import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np

from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.system.process_tree import adopt_orphans
from penumbra.logs.append_log import BYTES_PER_MEGABYTE, is_line_whole
from penumbra.logs.schema import STATUS_ERROR, STATUS_NAN, STATUS_SHAPE, STATUS_SKIPPED, LoggedRecord
from penumbra.registry.bundles import bundle
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import Contract, RecordDict
from service.http.requests.responses import make_decision_function
from service.shadow.scorer_client import LoadResult, ScoreRequest, ShadowResult

MAX_REASON_LENGTH = 200
UNKNOWN_OUTPUT = ShadowResult(status=STATUS_NAN, reason="the prediction is not a finite number")


class UnusableOutput(Exception):
    """The model's output can't be used; carries the status to record."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Scorer:
    """One model with the contract that logged records are read by."""

    def __init__(self, loaded: bundle.Bundle, contract: Contract) -> None:
        self.bundle = loaded
        self.contract = contract
        self._task = task = loaded.task
        self._decide = make_decision_function(task, loaded.threshold)
        self._row_shape = {"binary": [2], "multiclass": [len(task.classes)], "regression": []}[task.kind]
        self._decode = msgspec.json.Decoder(LoggedRecord).decode

    def score(self, lines: Sequence[bytes]) -> list[ShadowResult]:
        """Score lines of the prediction log.

        Args:
            lines: The lines as JSON, without their line ends.

        Returns:
            For each line the output and decision, or the status and the reason of the failure; for a line that this
            version has answered itself, or that kept an earlier contract and doesn't keep this one, "skipped".
        """
        parsed = [self._read(line) for line in lines]
        records = [record for record in parsed if not isinstance(record, ShadowResult)]
        results = iter(self._score_records(records) if records else [])
        return [item if isinstance(item, ShadowResult) else next(results) for item in parsed]

    def _read(self, line: bytes) -> RecordDict | ShadowResult:
        try:
            if not is_line_whole(line):
                return ShadowResult(status=STATUS_ERROR, reason="the line can't be read: a byte of it has changed")
            logged = self._decode(line)
            if logged.model and logged.model == self.bundle.version:
                return ShadowResult(status=STATUS_SKIPPED, reason="this version has answered it itself")
        except (msgspec.MsgspecError, ValueError) as error:
            return ShadowResult(status=STATUS_ERROR, reason=f"the line can't be read: {error}")
        try:
            return self.contract.parse_one(bytes(logged.record))
        except RequestRefused as refused:
            is_earlier = logged.contract not in ("", self.contract.version)  # which is no fault of the version's
            status, kind = (
                (STATUS_SKIPPED, "the contract as it is now") if is_earlier else (STATUS_ERROR, "this contract")
            )
            return ShadowResult(status=status, reason=f"the record doesn't keep {kind}: {refused}")

    def _score_records(self, records: Sequence[RecordDict]) -> list[ShadowResult]:
        try:
            predictions = self._predict(records)
        except Exception as error:  # whatever the model does is recorded, and the other rows are scored
            if len(records) > 1:
                middle = len(records) // 2
                return self._score_records(records[:middle]) + self._score_records(records[middle:])
            status = error.status if isinstance(error, UnusableOutput) else STATUS_ERROR
            return [ShadowResult(status=status, reason=f"{type(error).__name__}: {error}"[:MAX_REASON_LENGTH])]
        are_known = np.isfinite(predictions.reshape(len(records), -1)).all(axis=1).tolist()
        return [
            ShadowResult(output, self._decide(output)) if is_known else UNKNOWN_OUTPUT
            for output, is_known in zip(predictions.tolist(), are_known, strict=True)
        ]

    def _predict(self, records: Sequence[RecordDict]) -> np.ndarray:
        outputs = self.bundle.compute_outputs(self.bundle.inputs.encode_rows(self.contract.to_frame(records)))
        expected = (len(records), *self._row_shape)
        if outputs.shape != expected:
            raise UnusableOutput(STATUS_SHAPE, f"the output has shape {outputs.shape}, expected {expected}")
        return outputs[:, 1] if self._task.kind == "binary" else outputs


def main(arguments: list[str]) -> None:
    """Load a bundle and answer scoring requests until the socket ends.

    Args:
        arguments: A socket's file descriptor, the bundle's folder, the memory limit in MB, and any public keys, one of
            which must have signed the bundle.
    """
    adopt_orphans()  # so that the client finds whatever the model starts
    connection = Connection(int(arguments[0]))
    limit_memory(float(arguments[2]))
    try:
        scorer = _load_scorer(Path(arguments[1]), arguments[3:])
    except Exception as error:
        connection.send_bytes(msgspec.msgpack.encode(LoadResult(str(error) or repr(error))))
        return
    connection.send_bytes(msgspec.msgpack.encode(LoadResult()))
    with suppress(EOFError):
        while True:
            request = msgspec.msgpack.decode(connection.recv_bytes(), type=ScoreRequest)
            connection.send_bytes(msgspec.msgpack.encode(scorer.score(read_request_lines(request))))


def read_request_lines(request: ScoreRequest) -> list[bytes]:
    """Return the lines that a `request` names, without their line ends."""
    with Path(request.path).open("rb") as file:
        file.seek(request.start)
        return file.read(request.end - request.start).split(b"\n")[:-1]


def limit_memory(megabytes: float) -> None:
    """Limit the memory that this process can have besides what it uses now. Only on Linux.

    Args:
        megabytes: The limit; an allocation beyond it fails, in this process only.
    """
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + int(megabytes * BYTES_PER_MEGABYTE)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _load_scorer(folder: Path, signers: Sequence[str]) -> Scorer:
    problem = load_problem(SERVED_PARTS)
    schema, loaded = problem.schema, bundle.read_bundle(folder, problem, folder.name, signers)
    return Scorer(loaded, Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1))


if __name__ == "__main__":
    main(sys.argv[1:])
