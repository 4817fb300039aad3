"""Pods whose `python` is a fork of one process that has the libraries: each step of a flow calls it six times."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML

from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
from tests.helpers.cluster.pods import POD_VARIABLES, Argo, list_pod_words, make_pod_environment
from tests.helpers.programs.forking import LIBRARIES, SCRIPT, open_listener

FORKS = "/srv/forks"
SHIM = f"""#!/bin/sh
exec /srv/.venv/bin/python -IS {FORKS}/{SCRIPT.name} {{address}} "$@"
"""


@contextlib.contextmanager
def fork_pythons(argo: Argo, image: str, manifests: Path) -> Iterator[None]:
    """Have pods fork what they run of Python during the block.

    Args:
        argo: The cluster; its variables are set.
        image: The name of the flows' image.
        manifests: The file of a flow that was compiled. The libraries are imported with the variables of its pods, as
            Metaflow reads its own then; they are the same in all pods, but for names of runs and tasks.
    """
    folder, (address, listener) = argo.images[image] / Path(FORKS).name, open_listener()
    folder.mkdir()
    shutil.copy(SCRIPT, folder)
    (folder / "python").write_text(SHIM.format(address=address))
    (folder / "python").chmod(0o755)
    with listener, (argo.folder.parent / "forks.log").open("wb") as log:
        number = listener.fileno()
        command = ["python", "-W", "ignore", f"{FORKS}/{SCRIPT.name}", str(number), *LIBRARIES]
        server = subprocess.Popen(
            ["unshare", "--mount", *list_pod_words(argo.images[image], argo.folder.parent / "forks"), *command],
            env=make_pod_environment({**_read_variables(manifests), **argo.variables, **SINGLE_THREAD_ENVIRONMENT}),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[number],
        )
    argo.variables = {**argo.variables, "PATH": f"{FORKS}:{POD_VARIABLES['PATH']}"}
    try:
        yield
    finally:
        server.communicate()


def _read_variables(manifests: Path) -> dict[str, str]:
    """The variables of a flow's pods that have a value in the manifest itself."""
    documents = YAML(typ="safe").load_all(manifests.read_text())
    templates = next(each for each in documents if each["kind"] == "WorkflowTemplate")["spec"]["templates"]
    given = next(each["container"]["env"] for each in templates if "container" in each)
    return {each["name"]: each["value"] for each in given if "{{" not in each.get("value", "{{")}
