"""A bento brings its models along: the folder `pinned` beside the code is laid out as the service's state is (see
service/live.py), and becomes it where there is none yet, or where no registry says otherwise."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from settings import PREFIX, ROOT, Settings

PINNED = "pinned"


def prepare(settings: Settings) -> None:
    """To be called once, before the workers start: BentoML starts those of a bento in the folder of its code, so they
    are told by the environment where relative paths begin."""
    os.environ.update(_absolute_paths(settings))
    bring(settings.service.state, settings.registry.tracking)


def bring(state: Path, registry: str, pinned: Path = ROOT / PINNED) -> None:
    """Put the pinned models in place. With a registry only at the first start: from then on its aliases count."""
    if not pinned.exists() or (registry and (state / "live").exists()):
        return
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pinned-", dir=state) as aside:
        whole = Path(shutil.copytree(pinned, Path(aside) / PINNED))
        for path in sorted((path for path in whole.rglob("*") if path.is_file()), key=_pointers_last):
            place = state / path.relative_to(whole)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)


def _pointers_last(path: Path) -> int:
    return -len(path.parts)


def _absolute_paths(settings: Settings) -> Iterator[tuple[str, str]]:
    for section, values in settings:
        for key, value in values:
            if isinstance(value, Path):
                yield f"{PREFIX}{section}__{key}".upper(), str(value.absolute())
