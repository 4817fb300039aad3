"""What came of the days whose labels are there: kept once for each model and day, so that no row is read again.

<monitor>/settled/<model>/<day>.msgpack
"""

import datetime as dt
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np

from penumbra.core.histograms import OutcomeSums
from penumbra.storage.atomic import replace_file

OUTCOME_SUMS_FOLDER = "settled"


@dataclass(frozen=True)
class OutcomeSumStore:
    """`folder` is the settings' `monitor.folder`. `terms` tell all that the sums depend on: what was kept on other
    terms isn't there."""

    folder: Path
    model: str

    def save(self, day: dt.date, terms: str, outcomes: OutcomeSums) -> None:
        path = self._path(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, msgspec.msgpack.encode({"terms": terms, **asdict(outcomes)}, enc_hook=np.ndarray.tolist))

    def find(self, day: dt.date, terms: str) -> OutcomeSums | None:
        """A file that can't be read is as good as none: the day is read again."""
        try:
            found = msgspec.msgpack.decode(self._path(day).read_bytes())
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        if found.pop("terms") != terms:
            return None
        found["counts"] = np.array(found["counts"], np.int64)
        found |= {name: np.array(found[name], float) for name in ("losses", "scores")}
        return OutcomeSums(**found)

    def _path(self, day: dt.date) -> Path:
        return self.folder / OUTCOME_SUMS_FOLDER / self.model / f"{day}.msgpack"
