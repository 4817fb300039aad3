"""`penumbra bento`: the service with its pinned models as one bento, which starts without a registry."""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import penumbra
import service
from deploy.sbom import write_sbom
from penumbra.core.loading.problem_loading import PROBLEM_PACKAGE, SERVED_PARTS
from penumbra.core.problem import Problem
from penumbra.core.project_root import SETTINGS_FILE
from penumbra.core.settings import ENV_PREFIX, PROJECT_ROOT, Settings
from penumbra.core.text.masking import mask_settings
from penumbra.registry.bundles.skops_model import TRUSTED_TYPES
from penumbra.storage.fingerprints import list_imported_modules, list_module_files
from service.inference.models.pinned_models import PINNED_FOLDER
from service.processes.deployment.version_deployment import (
    DeployRegistry,
    deploy_candidate,
    deploy_live,
    deploy_previous,
)

BENTO_FILES = ("settings.toml", "locks/serve.lock")
BENTOS_FOLDER = "bentos"  # below the settings' `service.state`: BentoML's home


class BentoNotBuilt(RuntimeError):
    """There is no model to pin, or BentoML fails; the message tells which."""


def build_bento(settings: Settings, registry: DeployRegistry, problem: Problem) -> Path:
    """Build a bento with the registry's live, candidate and previous models.

    Args:
        settings: `service.state` is where BentoML keeps its bentos.
        registry: The model registry.
        problem: The problem, with schema and features.

    Returns:
        The folder of the new bento.

    Raises:
        BentoNotBuilt: There is no live model, settings.toml has a secret, or BentoML fails.
        BrokenBundle: A bundle is damaged or can't be served. Whatever the registry raises is raised too.
    """
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        stage_service_code(context)
        if deploy_live(registry, context / PINNED_FOLDER, problem) is None:
            raise BentoNotBuilt("there is no live model to pin: `make train` makes the first")
        deploy_candidate(registry, context / PINNED_FOLDER)
        deploy_previous(registry, context / PINNED_FOLDER)
        write_sbom(context, settings.registry.model, context / PINNED_FOLDER)
        return _run_bentoml_build(settings.service.state, context)


def list_service_files() -> list[str]:
    """List the code that serves: service, served parts of the problem, their imports, and types that a bundle may load.

    Imports inside of functions count. The types are those of this project that penumbra.registry.bundles.skops_model
    trusts. Files of the project's own packages that aren't Python, such as lookup tables, are among them.

    Returns:
        Paths relative to the project's root, with slashes.
    """
    pattern_modules = [name.rpartition(".")[0] for name in TRUSTED_TYPES if name.startswith(f"{penumbra.__name__}.")]
    problem_folder = PROJECT_ROOT / PROBLEM_PACKAGE
    problem_parts = [part for part in SERVED_PARTS if (problem_folder / f"{part}.py").exists()]
    entry_modules = [service.__name__, *(f"{PROBLEM_PACKAGE}.{part}" for part in problem_parts), *pattern_modules]
    packages = {name.partition(".")[0] for name in list_imported_modules(PROJECT_ROOT, entry_modules)}
    return list_module_files(PROJECT_ROOT, entry_modules, packages)


def stage_service_code(context: Path) -> None:
    """Copy the code that serves, its settings and its lock file to an empty folder.

    Args:
        context: The folder, from which BentoML builds a bento.

    Raises:
        BentoNotBuilt: settings.toml has a secret.
    """
    if secrets := describe_carried_secrets(PROJECT_ROOT / SETTINGS_FILE, "bento"):
        raise BentoNotBuilt(secrets)
    for name in (*list_service_files(), *BENTO_FILES):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT_ROOT / name, context / name)
    shutil.copy(PROJECT_ROOT / "deploy" / "bentofile.yaml", context / "bentofile.yaml")


def describe_carried_secrets(file: Path, product: str) -> str:
    """Describe the secrets of a settings file, which whatever is built with it would carry to wherever it goes.

    Args:
        file: The settings file.
        product: What is built, such as "bento".

    Returns:
        A sentence that names the settings, without their values, and what to do; "" where there is no secret.
    """
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    masked = mask_settings(values)
    names = [f"{name}.{key}" for name in values for key in values[name] if values[name][key] != masked[name][key]]
    variables = ", ".join(f"{ENV_PREFIX}{name.upper()}".replace(".", "__") for name in names)
    if not names:
        return ""
    return (
        f"{file} has a secret in {', '.join(names)}, which the {product} would carry along: give it in the environment "
        f"({variables})"
    )


def _run_bentoml_build(state: Path, context: Path) -> Path:
    home = (state / "bentoml").absolute()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PENUMBRA_")}
    environ |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(context)}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "")])  # it looks for uv
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(context)]
    done = subprocess.run(command, cwd=context, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise BentoNotBuilt(f"bentoml build failed: {done.stderr.strip()[-1000:]}")
    name, _, version = done.stdout.strip().rpartition("__tag__:")[2].partition(":")
    return home / BENTOS_FOLDER / name / version
