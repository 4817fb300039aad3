"""A process with one model of the shadow, which scores what it is asked to: the other end of service/shadow/scorer_client.py.

A model that fails on some rows of a batch fails on those only: halves are tried by themselves, down to single rows.
"""

import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np

from penumbra.core.encoding import derive_features
from penumbra.core.task import Task
from penumbra.logs.append_log import BYTES_PER_MEGABYTE
from penumbra.logs.schema import STATUS_ERROR, STATUS_NAN, STATUS_SHAPE, LoggedRecord
from penumbra.registry import bundle
from problem import features, schema
from service.http.record_reader import Contract, RecordDict
from service.http.refusals import RequestRefused
from service.http.responses import make_decision_function
from service.shadow.scorer_client import LoadResult, ScoreRequest, ShadowResult

MAX_REASON_LENGTH = 200


class UnusableOutput(Exception):
    """The model gave no usable answer; carries the status."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Scorer:
    """One model with the contract by which logged records are read."""

    def __init__(self, loaded: bundle.Bundle, contract: Contract, task: Task) -> None:
        self.bundle = loaded
        self.contract = contract
        self._task = task
        self._decide = make_decision_function(task, loaded.threshold)
        self._width = {"binary": [2], "multiclass": [len(task.classes)], "regression": []}[task.kind]
        self._decode = msgspec.json.Decoder(LoggedRecord).decode

    def score(self, lines: Sequence[bytes]) -> list[ShadowResult]:
        """What the model says of each line."""
        read = [self._read(line) for line in lines]
        records = [each for each in read if not isinstance(each, ShadowResult)]
        said = iter(self._said(records) if records else [])
        return [each if isinstance(each, ShadowResult) else next(said) for each in read]

    def _read(self, line: bytes) -> RecordDict | ShadowResult:
        try:
            return self.contract.parse_one(bytes(self._decode(line).record))
        except RequestRefused as refused:
            return ShadowResult(status=STATUS_ERROR, reason=f"the record doesn't keep this contract: {refused}")
        except (msgspec.MsgspecError, ValueError) as error:
            return ShadowResult(status=STATUS_ERROR, reason=f"the line can't be read: {error}")

    def _said(self, records: Sequence[RecordDict]) -> list[ShadowResult]:
        try:
            predictions = self._predict(records)
        except Exception as error:  # whatever the model does, it is recorded and the others' rows are scored
            if len(records) > 1:
                middle = len(records) // 2
                return self._said(records[:middle]) + self._said(records[middle:])
            status = error.status if isinstance(error, UnusableOutput) else STATUS_ERROR
            return [ShadowResult(status=status, reason=f"{type(error).__name__}: {error}"[:MAX_REASON_LENGTH])]
        return [self._one(each) for each in predictions]

    def _predict(self, records: Sequence[RecordDict]) -> np.ndarray:
        inputs = self.bundle.inputs
        outputs = self.bundle.compute_outputs(
            inputs.encode_frame(derive_features(inputs.kinds, self.contract.to_frame(records)))
        )
        expected = (len(records), *self._width)
        if outputs.shape != expected:
            raise UnusableOutput(STATUS_SHAPE, f"the output has shape {outputs.shape}, expected {expected}")
        return outputs[:, 1] if self._task.kind == "binary" else outputs

    def _one(self, prediction: np.ndarray) -> ShadowResult:
        if not np.isfinite(prediction).all():
            return ShadowResult(status=STATUS_NAN, reason="the prediction is not a finite number")
        output = prediction.tolist()
        return ShadowResult(output, self._decide(output))


def main(words: list[str]) -> None:
    """Arguments: a socket's file descriptor, the bundle's folder, the most memory (MB). Ends with the socket."""
    connection = Connection(int(words[0]))
    limit_memory(float(words[2]))
    try:
        scorer = _load_scorer(Path(words[1]))
    except Exception as error:
        connection.send_bytes(msgspec.msgpack.encode(LoadResult(str(error) or repr(error))))
        return
    connection.send_bytes(msgspec.msgpack.encode(LoadResult()))
    with suppress(EOFError):
        while True:
            ask = msgspec.msgpack.decode(connection.recv_bytes(), type=ScoreRequest)
            connection.send_bytes(msgspec.msgpack.encode(scorer.score(read_request_lines(ask))))


def read_request_lines(ask: ScoreRequest) -> list[bytes]:
    with Path(ask.path).open("rb") as file:
        file.seek(ask.start)
        return file.read(ask.end - ask.start).split(b"\n")[:-1]


def limit_memory(megabytes: float) -> None:
    """More than so much memory besides what is in use now can't be had: to ask for it fails, here and nowhere else."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + int(megabytes * BYTES_PER_MEGABYTE)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _load_scorer(folder: Path) -> Scorer:
    task = Task.from_schema(schema)
    loaded = bundle.read_bundle(folder, features.FEATURES, folder.name, task)
    return Scorer(loaded, Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1), task)


if __name__ == "__main__":
    main(sys.argv[1:])
