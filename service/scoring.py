"""A process with one model of the shadow, which scores what it is asked to: the other end of service/runner.py.

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

from inputs import derive
from problem import features, schema
from service.answers import deciding
from service.messages import Contract, Record
from service.refusals import Refused
from service.runner import Ask, Loaded, Said
from stores import bundle
from stores.log import MEGABYTE
from stores.shadow import ERROR, NAN, SHAPE
from task import Task

LONGEST_REASON = 200


class Line(msgspec.Struct):
    """What is read of a line of the prediction log."""

    record: msgspec.Raw


class Fault(Exception):
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
        self._decide = deciding(task, loaded.threshold)
        self._width = {"binary": [2], "multiclass": [len(task.classes)], "regression": []}[task.kind]
        self._decode = msgspec.json.Decoder(Line).decode

    def score(self, lines: Sequence[bytes]) -> list[Said]:
        """What the model says of each line."""
        read = [self._read(line) for line in lines]
        records = [each for each in read if not isinstance(each, Said)]
        said = iter(self._said(records) if records else [])
        return [each if isinstance(each, Said) else next(said) for each in read]

    def _read(self, line: bytes) -> Record | Said:
        try:
            return self.contract.one(bytes(self._decode(line).record))
        except Refused as refused:
            return Said(status=ERROR, reason=f"the record doesn't keep this contract: {refused}")
        except (msgspec.MsgspecError, ValueError) as error:
            return Said(status=ERROR, reason=f"the line can't be read: {error}")

    def _said(self, records: Sequence[Record]) -> list[Said]:
        try:
            predictions = self._predict(records)
        except Exception as error:  # whatever the model does, it is recorded and the others' rows are scored
            if len(records) > 1:
                middle = len(records) // 2
                return self._said(records[:middle]) + self._said(records[middle:])
            status = error.status if isinstance(error, Fault) else ERROR
            return [Said(status=status, reason=f"{type(error).__name__}: {error}"[:LONGEST_REASON])]
        return [self._one(each) for each in predictions]

    def _predict(self, records: Sequence[Record]) -> np.ndarray:
        inputs = self.bundle.inputs
        outputs = self.bundle.outputs(inputs.matrix(derive(inputs.kinds, self.contract.frame(records))))
        expected = (len(records), *self._width)
        if outputs.shape != expected:
            raise Fault(SHAPE, f"the output has shape {outputs.shape}, expected {expected}")
        return outputs[:, 1] if self._task.kind == "binary" else outputs

    def _one(self, prediction: np.ndarray) -> Said:
        if not np.isfinite(prediction).all():
            return Said(status=NAN, reason="the prediction is not a finite number")
        output = prediction.tolist()
        return Said(output, self._decide(output))


def main(words: list[str]) -> None:
    """Arguments: a socket's file descriptor, the bundle's folder, the most memory (MB). Ends with the socket."""
    connection = Connection(int(words[0]))
    limit_memory(float(words[2]))
    try:
        scorer = _scorer(Path(words[1]))
    except Exception as error:
        connection.send_bytes(msgspec.msgpack.encode(Loaded(str(error) or repr(error))))
        return
    connection.send_bytes(msgspec.msgpack.encode(Loaded()))
    with suppress(EOFError):
        while True:
            ask = msgspec.msgpack.decode(connection.recv_bytes(), type=Ask)
            connection.send_bytes(msgspec.msgpack.encode(scorer.score(lines_of(ask))))


def lines_of(ask: Ask) -> list[bytes]:
    with Path(ask.path).open("rb") as file:
        file.seek(ask.start)
        return file.read(ask.end - ask.start).split(b"\n")[:-1]


def limit_memory(megabytes: float) -> None:
    """More than so much memory besides what is in use now can't be had: to ask for it fails, here and nowhere else."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + int(megabytes * MEGABYTE)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _scorer(folder: Path) -> Scorer:
    task = Task.of(schema)
    loaded = bundle.read(folder, features.FEATURES, folder.name, task)
    return Scorer(loaded, Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1), task)


if __name__ == "__main__":
    main(sys.argv[1:])
