"""A stand-in for Argo Workflows that runs compiled flows in pods of this machine, each a mount namespace of its own.

A pod has an empty work folder, an empty /tmp, and its image, read-only, as /srv. It shares nothing else with other pods
but what listens on 127.0.0.1. Of Argo's language this knows what Metaflow writes: tasks that depend on others, foreach,
conditions, retries, and the templates of parameters.
"""

import base64
import compileall
import datetime as dt
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
from ruamel.yaml import YAML

from penumbra.core.settings import PROJECT_ROOT

SUCCEEDED, OMITTED = "Succeeded", "Omitted"
START_POD = """set -e
mount -t tmpfs pod /mnt && mkdir /mnt/out /mnt/work
mount --bind "$1" /srv && mount --bind "$2" /srv/.venv && mount -o remount,bind,ro /srv
mount --bind "$3/out" /mnt/out && mount --bind "$3/work" /mnt/work
mount -t tmpfs pod /tmp
cd /mnt/work && shift 3
exec "$@"
"""
POD_VARIABLES = {"PATH": "/srv/.venv/bin:/usr/bin:/bin", "PYTHONPATH": "/srv", "HOME": "/tmp", "LANG": "C.UTF-8"}
MACHINE_VARIABLES = ("OPENBLAS_CORETYPE",)  # of the processor, not of a pod
MAX_POD_SECONDS = 300
Scope = dict[str, Any]
Process = subprocess.Popen[bytes]


class WorkflowFailed(AssertionError):
    """A pod failed as often as it may; has the end of its log."""


def require_pods() -> None:
    """Skip the test where no mount namespace can be made, as it takes root; or fail where REQUIRE_PODS is set."""
    probe = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"], capture_output=True)
    if probe.returncode:
        (pytest.fail if os.environ.get("REQUIRE_PODS") else pytest.skip)(
            f"no mount namespaces: {probe.stderr.decode()}"
        )


def build_image(folder: Path, problem: Path, revision: str) -> Path:
    """Make what the cluster's image has in /srv: the code without git, another problem, and a revision.

    Args:
        folder: The image's folder, which is made.
        problem: What stands for `problem/` in it, with settings.toml.
        revision: The revision.

    Returns:
        The folder.
    """
    for name in ("penumbra", "flows", "service", "monitoring", "locks"):  # with the bytecode that there is
        half_written = shutil.ignore_patterns("*.pyc.*")
        shutil.copytree((PROJECT_ROOT / name).resolve(), folder / name, ignore=half_written)
    shutil.copytree(problem, folder / "problem", ignore=shutil.ignore_patterns("__pycache__", "settings.toml"))
    shutil.copy(problem / "settings.toml", folder)
    (folder / "REVISION").write_text(f"{revision}\n")
    (folder / ".venv").mkdir()
    compileall.compile_dir(folder, quiet=2)
    return folder


@dataclass
class Pod:
    """One attempt at a step."""

    step: str
    attempt: int
    folder: Path
    code: int | None = None

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "log").read_text(errors="replace")


@dataclass
class Argo:
    """A cluster with Argo Workflows.

    Attributes:
        folder: Where the pods' logs and outputs are.
        images: The folder of each image, by the name that the manifests have.
        variables: The entries of the Secrets, and addresses of this machine where the manifests have a cluster's names.
        requests: What the pods ask of the object store, in the order in which it comes.
        kills: By the name of a step: its first pod is killed as soon as a request has this pattern.
        at_once: How many pods of a step run at once.
        pods: The pods that have been started.
    """

    folder: Path
    images: Mapping[str, Path]
    variables: Mapping[str, str]
    requests: list[str] = field(default_factory=list)
    kills: dict[str, str] = field(default_factory=dict)
    at_once: int = 2
    pods: list[Pod] = field(default_factory=list)

    def run(self, manifests: Path, **parameters: object) -> list[Pod]:
        """Run the workflow of a file that was compiled.

        Args:
            manifests: The file.
            parameters: The flow's parameters.

        Returns:
            The pods that it took.

        Raises:
            WorkflowFailed: A step failed.
        """
        documents = YAML(typ="safe").load_all(manifests.read_text())
        template = next(each for each in documents if each["kind"] == "WorkflowTemplate")
        return _Workflow(self, template, parameters).run()


def start_pod(image: Path, folder: Path, command: list[str], variables: Mapping[str, str], log: IO[bytes]) -> Process:
    """Start a process in a mount namespace and a process namespace of its own.

    Args:
        image: The image's folder.
        folder: Has "work", which is the working folder /mnt/work in the pod, and "out", which is /mnt/out.
        command: The command.
        variables: The environment variables beside those of the image.
        log: Where its output goes.

    Returns:
        The process; all that the pod runs ends with it.
    """
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    words, environment = [*namespaces, *list_pod_words(image, folder), *command], make_pod_environment(variables)
    return subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)


def make_pod_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Add the environment variables of a pod to those of its image and of this machine's processor."""
    own = {name: os.environ[name] for name in MACHINE_VARIABLES if name in os.environ}
    return POD_VARIABLES | own | variables


def list_pod_words(image: Path, folder: Path) -> list[str]:
    """List the words before a command by which it finds a pod's folders, in a mount namespace of its own.

    Args:
        image: The image's folder.
        folder: The pod's; "work" and "out" are made in it.

    Returns:
        The words.
    """
    for name in ("work", "out"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return ["bash", "-c", START_POD, "pod", str(image), str((PROJECT_ROOT / ".venv").resolve()), str(folder)]


class _Workflow:
    """One run of a template."""

    def __init__(self, argo: Argo, template: Scope, parameters: Mapping[str, object]) -> None:
        self.argo, self.spec, self.pods = argo, template["spec"], list[Pod]()
        self.templates = {each["name"]: each for each in self.spec["templates"]}
        self.name = f"{template['metadata']['name']}-{time.time_ns() // 1000}"
        self.scope: Scope = {"workflow.name": self.name}
        self.scope["workflow.creationTimestamp"] = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        defaults = {each["name"]: each["value"] for each in self.spec["arguments"].get("parameters", [])}
        given = {name: json.dumps(value) for name, value in parameters.items()}
        self.scope |= {f"workflow.parameters.{name}": value for name, value in {**defaults, **given}.items()}

    def run(self) -> list[Pod]:
        self._run_template(self.spec["entrypoint"], {})
        return self.pods

    def _run_template(self, name: str, inputs: Scope) -> Scope:
        """Run a template with its inputs; returns its outputs."""
        template = self.templates[name]
        scope = self.scope | {f"inputs.parameters.{key}": value for key, value in inputs.items()}
        return self._run_tasks(template, scope) if "dag" in template else self._run_step(template, scope)

    def _run_tasks(self, template: Scope, scope: Scope) -> Scope:
        waiting = list(template["dag"]["tasks"])
        while waiting:
            ready = next(task for task in waiting if all(f"tasks.{name}.status" in scope for name in _list_needs(task)))
            waiting.remove(ready)
            is_due = _is_true(
                re.sub(r"([\w-]+)\.Succeeded", r"{{tasks.\1.status}}==Succeeded", ready.get("depends", "")), scope
            )
            status = SUCCEEDED if is_due and _is_true(ready.get("when", ""), scope) else OMITTED
            outputs = self._run_task(ready, scope) if status == SUCCEEDED else {}
            scope |= {f"tasks.{ready['name']}.outputs.parameters.{key}": value for key, value in outputs.items()}
            scope[f"tasks.{ready['name']}.status"] = status
        outputs = template.get("outputs", {}).get("parameters", [])
        return {each["name"]: _fill(each["valueFrom"]["parameter"], scope) for each in outputs}

    def _run_task(self, task: Scope, scope: Scope) -> Scope:
        """Run a task, for each of its items where it has some. Returns the outputs of the last one."""
        arguments = task.get("arguments", {}).get("parameters", [])
        items = json.loads(_fill(task["withParam"], scope)) if "withParam" in task else [None]
        inputs = [{each["name"]: _fill(each["value"], scope | {"item": item}) for each in arguments} for item in items]
        with ThreadPoolExecutor(self.argo.at_once) as pool:
            return list(pool.map(lambda each: self._run_template(task["template"], each), inputs))[-1]

    def _run_step(self, template: Scope, scope: Scope) -> Scope:
        """Run the pod of a step until one succeeds, with growing pauses."""
        strategy = template["retryStrategy"]
        pause = float(strategy["backoff"]["duration"].removesuffix("s"))
        for attempt in range(strategy["limit"] + 1):
            pod = self._run_pod(template, scope | {"retries": attempt}, attempt)
            if pod.code == 0:
                outputs = template.get("outputs", {}).get("parameters", [])
                return {
                    each["name"]: (pod.folder / "out" / Path(each["valueFrom"]["path"]).name).read_text()
                    for each in outputs
                }
            if "expression" in strategy and strategy["expression"] == f"asInt(lastRetry.exitCode) != {pod.code}":
                break
            time.sleep(pause * strategy["backoff"]["factor"] ** attempt)
        raise WorkflowFailed(
            f"{self.name}, {pod.step}: {pod.folder}/log ends with\n" + "\n".join(pod.log.splitlines()[-40:])
        )

    def _run_pod(self, template: Scope, scope: Scope, attempt: int) -> Pod:
        container, argo = template["container"], self.argo
        pod = Pod(template["name"], attempt, argo.folder / f"{self.name}-{template['name']}-{len(argo.pods)}")
        for pods in (argo.pods, self.pods):
            pods.append(pod)
        pod.folder.mkdir(parents=True)
        command = [_fill(word, scope) for word in container["command"]]
        given = {each["name"]: _fill(each.get("value", pod.folder.name), scope) for each in container["env"]}
        image = argo.images[container["image"]]
        with (pod.folder / "log").open("wb") as log:
            process = start_pod(image, pod.folder, command, {**given, **argo.variables}, log)
            pattern = argo.kills.pop(pod.step, None)
            if pattern:
                _kill_at_request(process, argo.requests, pattern)
            pod.code = process.wait(MAX_POD_SECONDS)
        return pod


def _kill_at_request(process: Process, requests: list[str], pattern: str) -> None:
    """Kill a process as soon as a request has a pattern, unless it ends before."""
    seen = len(requests)
    while process.poll() is None:
        if any(re.search(pattern, request) for request in requests[seen:]):
            process.kill()
        time.sleep(0.01)


def _list_needs(task: Scope) -> list[str]:
    return re.findall(r"([\w-]+)\.Succeeded", task.get("depends", ""))


def _is_true(condition: str, scope: Scope) -> bool:
    """Say whether a condition holds, such as "({{tasks.a.status}}==Succeeded) || (false)"; an empty one does."""
    compared = re.sub(r"([\w.-]+)==([\w.-]+)", lambda found: str(found[1] == found[2]), _fill(condition, scope))
    words = re.findall(r"True|False|true|false|\|\||&&|[()]", compared)
    return bool(eval(" ".join({"||": "or", "&&": "and"}.get(word, word.capitalize()) for word in words) or "True"))


def _fill(text: str, scope: Scope) -> str:
    """Fill in the templates of a text; one whose value isn't there stays, as in Argo."""
    return re.sub(r"{{(=?)(.*?)}}", lambda found: _evaluate(found[1], found[2], scope, found[0]), text)


def _evaluate(is_expression: str, name: str, scope: Scope, unresolved: str) -> str:
    plain = re.sub(r"\['([^']+)'\]", r".\1", name)
    if not is_expression:
        return str(scope.get(plain, unresolved))
    if encoded := re.fullmatch(r"toBase64\((.*)\)", plain):
        return base64.b64encode(str(scope[encoded[1]]).encode()).decode()
    task, output, wanted = re.fullmatch(r"\((\S+)\.status == 'Succeeded' \? (\S+) : nil\) == '(\w+)'", plain).groups()  # type: ignore[union-attr]
    return str(scope.get(f"{task}.status") == SUCCEEDED and scope.get(output) == wanted).lower()
