"""Pinned models: those that a bento carries along, in the folder `pinned` beside the code.

The folder has the layout of the service's state (see live_model.py). It is copied there where there is no state yet, or
where no registry is set.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from penumbra.core.settings import ENV_PREFIX, PROJECT_ROOT, Settings
from penumbra.storage.atomic import write_aside

PINNED_FOLDER = "pinned"


def prepare_bento_start(settings: Settings) -> None:
    """Install the pinned models and make relative paths absolute, before the workers start.

    BentoML starts the workers of a bento in the folder of its code, so absolute paths are passed on by the environment.

    Args:
        settings: All paths in them are written to the environment.
    """
    os.environ.update(_absolute_paths(settings))
    install_pinned_models(settings.service.state, settings.registry.tracking)


def install_pinned_models(state: Path, registry: str, pinned: Path = PROJECT_ROOT / PINNED_FOLDER) -> None:
    """Copy the pinned models to the service's state. With a registry only at the first start: then its aliases count.

    Args:
        state: The service's state folder.
        registry: The registry's address, or "" where there is none.
        pinned: The folder of the pinned models; nothing happens where it doesn't exist.
    """
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
