"""A bento brings its models along: the folder `pinned` beside the code is laid out as the service's state is (see
service/inference/live_model.py), and becomes it where there is none yet, or where no registry says otherwise."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from penumbra.core.settings import ENV_PREFIX, PROJECT_ROOT, Settings
from penumbra.storage.atomic import write_aside

PINNED_FOLDER = "pinned"


def prepare_bento_start(settings: Settings) -> None:
    """To be called once, before the workers start: BentoML starts those of a bento in the folder of its code, so they
    are told by the environment where relative paths begin."""
    os.environ.update(_absolute_paths(settings))
    install_pinned_models(settings.service.state, settings.registry.tracking)


def install_pinned_models(state: Path, registry: str, pinned: Path = PROJECT_ROOT / PINNED_FOLDER) -> None:
    """Put the pinned models in place. With a registry only at the first start: from then on its aliases count."""
    if not pinned.exists() or (registry and (state / "live").exists()):
        return
    state.mkdir(parents=True, exist_ok=True)
    for path in sorted((path for path in pinned.rglob("*") if path.is_file()), key=_pointers_last):
        target = state / path.relative_to(pinned)
        target.parent.mkdir(parents=True, exist_ok=True)
        with write_aside(target) as aside:
            shutil.copy2(path, aside)


def _pointers_last(path: Path) -> int:
    return -len(path.parts)


def _absolute_paths(settings: Settings) -> Iterator[tuple[str, str]]:
    for section, values in settings:
        for key, value in values:
            if isinstance(value, Path):
                yield f"{ENV_PREFIX}{section}__{key}".upper(), str(value.absolute())
