"""`make deploy-bento`: the service with its pinned models as one bento, which starts with no registry at hand."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from problem.features import FEATURES
from service.deploy import Registry, deploy_candidate, deploy_once, deploy_previous
from service.pinned import PINNED
from settings import ROOT, Settings, SettingsError, load
from stores.sealed import BrokenBundle

ROOMS = ("patterns", "problem", "service", "stores")
FILES = (
    *("counts.py", "inputs.py", "kinds.py", "ruling.py"),
    "settings.py",
    "task.py",
    "settings.toml",
    "locks/serve.lock",
)
BENTOS = "bentos"  # below the settings' `service.state`: BentoML's home


class NotBuilt(RuntimeError):
    """There is no model to pin, or BentoML refuses; says why."""


def build(settings: Settings, registry: Registry) -> Path:
    """The folder of a new bento with the registry's live, candidate and previous models. Raises NotBuilt, what the
    registry raises, and BrokenBundle."""
    with tempfile.TemporaryDirectory() as place:
        context = Path(place)
        stage(context)
        if deploy_once(registry, context / PINNED, FEATURES) is None:
            raise NotBuilt("there is no live model to pin: `make train` makes the first")
        deploy_candidate(registry, context / PINNED)
        deploy_previous(registry, context / PINNED)
        return _build(settings, context)


def stage(context: Path) -> None:
    """Copy the code that serves, and nothing else, to an empty folder."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, context / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        (context / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, context / name)
    shutil.copy(ROOT / "deploy" / "bentofile.yaml", context / "bentofile.yaml")


def _build(settings: Settings, context: Path) -> Path:
    home = (settings.service.state / "bentoml").absolute()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PENUMBRA_")}
    environ |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(context)}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "")])  # it looks for uv
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(context)]
    done = subprocess.run(command, cwd=context, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise NotBuilt(f"bentoml build failed: {done.stderr.strip()[-1000:]}")
    name, _, version = done.stdout.strip().rpartition("__tag__:")[2].partition(":")
    return home / BENTOS / name / version


def main() -> None:
    """Print the bento's folder alone, so that other commands can take it."""
    from mlflow.exceptions import MlflowException

    from stores.models import Models

    try:
        settings = load()
        print(build(settings, Models(settings.registry)))
    except (SettingsError, NotBuilt, BrokenBundle) as error:
        sys.exit(str(error))
    except MlflowException as error:
        sys.exit(f"the registry can't give the model: {error}")


if __name__ == "__main__":
    main()
