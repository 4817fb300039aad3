"""Outcome sums of days whose labels have arrived, kept by model and day so that no row is read again.

<monitor>/settled/<model>/<day>.msgpack
"""

import datetime as dt
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np

from penumbra.core.histograms import OutcomeSums
from penumbra.storage.sealed import read_derived_file, replace_sealed_file

OUTCOME_SUMS_FOLDER = "settled"


@dataclass(frozen=True)
class OutcomeSumStore:
    """The outcome sums of one model.

    Attributes:
        folder: The settings' `monitor.folder`.
        model: The model's version.
    """

    folder: Path
    model: str

    def save(self, day: dt.date, cache_key: str, outcomes: OutcomeSums) -> None:
        """Keep the sums of a day.

        Args:
            day: The day (UTC).
            cache_key: Text that changes with everything that the sums depend on.
            outcomes: The sums.

        Raises:
            OSError: Where they can't be written.
        """
        path = self._path(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"terms": cache_key, **asdict(outcomes)}
        replace_sealed_file(path, msgspec.msgpack.encode(content, enc_hook=np.ndarray.tolist))

    def find(self, day: dt.date, cache_key: str) -> OutcomeSums | None:
        """Read the sums of a day.

        Args:
            day: The day (UTC).
            cache_key: As in `save`.

        Returns:
            The sums; None where none were kept with this key, or their file is damaged, which is logged.
        """
        try:
            found = msgspec.msgpack.decode(read_derived_file(self._path(day)) or b"")
        except msgspec.MsgspecError:
            return None
        if found.pop("terms") != cache_key:
            return None
        found["counts"] = np.array(found["counts"], np.int64)
        found |= {name: np.array(found[name], float) for name in ("losses", "scores")}
        found["groups"] = list(map(tuple, found["groups"]))
        return OutcomeSums(**found)

    def _path(self, day: dt.date) -> Path:
        return self.folder / OUTCOME_SUMS_FOLDER / self.model / f"{day}.msgpack"
