"""`make deploy-bento`: the service with its pinned models as one bento, which starts with no registry at hand."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from penumbra.registry.manifest import BrokenBundle
from problem.features import FEATURES
from service.inference.pinned_models import PINNED_FOLDER
from service.processes.deployer import DeployRegistry, deploy_candidate, deploy_live, deploy_previous

BENTO_PACKAGES = ("penumbra", "problem", "service")
BENTO_FILES = (
    "settings.toml",
    "locks/serve.lock",
)
BENTOS_FOLDER = "bentos"  # below the settings' `service.state`: BentoML's home


class BentoNotBuilt(RuntimeError):
    """There is no model to pin, or BentoML refuses; says why."""


def build_bento(settings: Settings, registry: DeployRegistry) -> Path:
    """The folder of a new bento with the registry's live, candidate and previous models. Raises NotBuilt, what the
    registry raises, and BrokenBundle."""
    with tempfile.TemporaryDirectory() as place:
        context = Path(place)
        stage_service_code(context)
        if deploy_live(registry, context / PINNED_FOLDER, FEATURES) is None:
            raise BentoNotBuilt("there is no live model to pin: `make train` makes the first")
        deploy_candidate(registry, context / PINNED_FOLDER)
        deploy_previous(registry, context / PINNED_FOLDER)
        return _run_bentoml_build(settings, context)


def stage_service_code(context: Path) -> None:
    """Copy the code that serves, and nothing else, to an empty folder."""
    for room in BENTO_PACKAGES:
        shutil.copytree(PROJECT_ROOT / room, context / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BENTO_FILES:
        (context / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT_ROOT / name, context / name)
    shutil.copy(PROJECT_ROOT / "deploy" / "bentofile.yaml", context / "bentofile.yaml")


def _run_bentoml_build(settings: Settings, context: Path) -> Path:
    home = (settings.service.state / "bentoml").absolute()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PENUMBRA_")}
    environ |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(context)}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "")])  # it looks for uv
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(context)]
    done = subprocess.run(command, cwd=context, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise BentoNotBuilt(f"bentoml build failed: {done.stderr.strip()[-1000:]}")
    name, _, version = done.stdout.strip().rpartition("__tag__:")[2].partition(":")
    return home / BENTOS_FOLDER / name / version


def main() -> None:
    """Print the bento's folder alone, so that other commands can take it."""
    from mlflow.exceptions import MlflowException

    from penumbra.registry.models import ModelRegistry

    try:
        settings = load_settings()
        print(build_bento(settings, ModelRegistry(settings.registry)))
    except (SettingsError, BentoNotBuilt, BrokenBundle) as error:
        sys.exit(str(error))
    except MlflowException as error:
        sys.exit(f"the registry can't give the model: {error}")


if __name__ == "__main__":
    main()
