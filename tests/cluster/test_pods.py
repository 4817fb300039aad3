"""The stand-in for Argo itself, with a workflow as Metaflow writes them whose containers are lines of the shell."""

import json
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.helpers.cluster.pods import Argo, WorkflowFailed, require_pods


def step(name: str, script: str, *outputs: str, limit: int = 1) -> dict[str, Any]:
    return {
        "name": name,
        "retryStrategy": {"limit": limit, "backoff": {"duration": "0.1s", "factor": 2}},
        "outputs": {"parameters": [{"name": each, "valueFrom": {"path": f"/mnt/out/{each}"}} for each in outputs]},
        "container": {
            "image": "image:1",
            "command": ["bash", "-c", script],
            "env": [{"name": "WHICH", "value": "{{inputs.parameters.which}}"}],
            "workingDir": "/mnt/work",
        },
    }


def task(name: str, depends: str = "", which: str = "", **more: Any) -> dict[str, Any]:
    parameters = [{"name": "which", "value": which}]
    return {"name": name, "template": name, "depends": depends, "arguments": {"parameters": parameters}, **more}


def run(folder: Path, tasks: list[Any], steps: list[Any], **kills: str) -> Argo:
    """Run a workflow; half a second after it began something is asked of the object store."""
    require_pods()
    dag = {"name": "main", "dag": {"tasks": tasks}}
    spec = {"entrypoint": "main", "arguments": {}, "templates": [dag, *steps]}
    (folder / "image" / ".venv").mkdir(parents=True)
    with (folder / "flow.yaml").open("w") as file:
        YAML().dump({"kind": "WorkflowTemplate", "metadata": {"name": "flow"}, "spec": spec}, file)
    argo = Argo(folder / "pods", {"image:1": folder / "image"}, {}, kills=kills)
    Timer(0.5, argo.requests.append, ["PUT /bucket/key"]).start()
    argo.run(folder / "flow.yaml")
    return argo


def test_a_pod_finds_its_folders_empty_and_its_image_read_only(tmp_path):
    look = step("look", "ls -A /mnt/work /tmp /mnt/out; touch /srv/x 2>/dev/null || echo closed; touch /tmp/x x")
    argo = run(tmp_path, [task("look"), task("again", "look.Succeeded")], [look, look | {"name": "again"}])
    assert [set(pod.log.split()) for pod in argo.pods] == [{"/mnt/work:", "/tmp:", "/mnt/out:", "closed"}] * 2


@pytest.mark.slow
def test_a_pod_that_is_killed_is_started_again_and_its_processes_are_gone(tmp_path):
    sleep = step("sleep", 'echo {{retries}}; [ "{{retries}}" = 1 ] || sleep 60 | sleep 60')
    argo = run(tmp_path, [task("sleep")], [sleep], sleep="PUT .*key")
    assert [(pod.attempt, pod.code, pod.log) for pod in argo.pods] == [(0, -9, "0\n"), (1, 0, "1\n")]


@pytest.mark.slow
def test_a_workflow_whose_step_fails_too_often_fails_with_its_log(tmp_path):
    with pytest.raises(WorkflowFailed, match="no luck"):
        run(tmp_path, [task("fail")], [step("fail", "echo no luck; exit 1")])


def test_a_pod_that_ends_by_the_code_of_a_refusal_is_not_started_again(tmp_path):
    refused = step("refuse", "echo once; exit 202")
    refused["retryStrategy"]["expression"] = "asInt(lastRetry.exitCode) != 202"
    with pytest.raises(WorkflowFailed, match="once"):
        run(tmp_path, [task("refuse")], [refused])
    assert len(list((tmp_path / "pods").iterdir())) == 1


@pytest.mark.slow
def test_a_foreach_runs_a_pod_for_each_item_and_conditions_leave_tasks_out(tmp_path):
    deal = step("deal", "echo -n '[1,2,3]' > /mnt/out/splits; echo -n left > /mnt/out/way", "splits", "way")
    tasks = [
        task("deal"),
        task("each", "deal.Succeeded", "{{item}}", withParam="{{tasks.deal.outputs.parameters.splits}}"),
        task("right", "deal.Succeeded", when="{{tasks.deal.outputs.parameters.way}}==right"),
        task("join", "right.Succeeded || each.Succeeded", when="({{tasks.right.status}}==Succeeded) || (true)"),
    ]
    steps = [deal, *(step(name, "echo $WHICH") for name in ("each", "right", "join"))]
    argo = run(tmp_path, tasks, steps)
    assert sorted(pod.log.strip() for pod in argo.pods if pod.step == "each") == ["1", "2", "3"]
    assert [pod.step for pod in argo.pods if pod.step != "each"] == ["deal", "join"]
    assert json.loads((argo.pods[0].folder / "out" / "splits").read_text()) == [1, 2, 3]
