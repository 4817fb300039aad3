"""Every flow as Argo's manifests, compiled by the real Metaflow while neither a cluster nor a store is there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from penumbra.cli.processes import NO_CALLS_HOME
from penumbra.cluster.compilation import COMPILED_FLOWS, compile_flows
from penumbra.cluster.deployment_recorder import record_deployments
from penumbra.cluster.manifests import DROPPED_VARIABLES
from penumbra.cluster.metaflow_config import ClusterRefused
from penumbra.core.settings import load_settings
from tests.helpers.command_line import run_command_line

SETTINGS = {
    "PENUMBRA_CLUSTER__STATE": "s3://bucket/penumbra",
    "PENUMBRA_CLUSTER__IMAGE": "registry.example/flows:1",
    "PENUMBRA_CLUSTER__SECRETS": "penumbra,penumbra-database",
    "PENUMBRA_CLUSTER__FIT_CPU": "3",
    "PENUMBRA_CLUSTER__FIT_MEMORY_MB": "9000",
    "PENUMBRA_CLUSTER__FIT_GPU": "1",
    "PENUMBRA_SCHEDULE__MONITOR": "04:40",
    "PENUMBRA_REGISTRY__TRACKING": "postgresql://me:Planted5ecret@database/mlflow",
    "PENUMBRA_KEYS__ADMIN": "Planted5ecretPlanted5ecret",
    "AWS_SECRET_ACCESS_KEY": "Planted5ecret",
    "AWS_ENDPOINT_URL": "http://root:Planted5ecret@minio:9000",
    "PENUMBRA_SERVICE__STATE": "/tmp/laptop/state",
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder with the files, and what the command said."""
    folder = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        result = run_command_line("cluster", "compile", "--out", str(folder / "k8s"))
        assert result.exit_code == 0, result.output
        yield folder / "k8s", result.output


def manifest(compiled: tuple[Path, str], flow: str, kind: str) -> Any:
    documents = YAML(typ="safe").load_all((compiled[0] / f"{flow}.yaml").read_text())
    return next(each for each in documents if each["kind"] == kind)


def pods(compiled: tuple[Path, str], flow: str) -> dict[str, Any]:
    templates = manifest(compiled, flow, "WorkflowTemplate")["spec"]["templates"]
    return {each["name"]: each for each in templates if "container" in each}


def environment(pod: Any) -> dict[str, str]:
    return {each["name"]: each.get("value") for each in pod["container"]["env"]}


def test_there_is_a_file_for_each_flow_and_one_for_events(compiled):
    assert {file.stem for file in compiled[0].iterdir()} == {*COMPILED_FLOWS, "events"}


def test_the_same_input_gives_the_same_bytes(compiled, tmp_path):
    compile_flows(load_settings(), tmp_path, NO_CALLS_HOME, ["train"])
    assert (tmp_path / "train.yaml").read_text() == (compiled[0] / "train.yaml").read_text()


def test_no_secret_is_in_any_file_and_the_command_says_which_setting_was_left_out(compiled):
    assert [file.name for file in compiled[0].iterdir() if "Planted5ecret" in file.read_text()] == []
    assert "cluster.secrets has to have them: AWS_ENDPOINT_URL, PENUMBRA_REGISTRY__TRACKING." in compiled[1]


def test_no_place_of_this_machine_is_in_any_file_and_the_command_says_so(compiled):
    assert [file.name for file in compiled[0].iterdir() if "/tmp/laptop" in file.read_text()] == []
    said = next(line for line in compiled[1].splitlines() if "name this machine's disk" in line)
    assert {"PENUMBRA_SERVICE__STATE", "PENUMBRA_DATA__REMOTE"} <= set(said.rpartition(": ")[2].strip(".").split(", "))


def test_pods_get_settings_that_differ_and_secrets_by_reference(compiled):
    for flow in COMPILED_FLOWS:
        for pod in pods(compiled, flow).values():
            given = {name for name in environment(pod) if name.startswith("PENUMBRA_")}
            assert given == {name for name in SETTINGS if "__" in name} - {
                "PENUMBRA_REGISTRY__TRACKING",
                "PENUMBRA_KEYS__ADMIN",
                "PENUMBRA_SERVICE__STATE",
            }
            secrets = [each["secretRef"]["name"] for each in pod["container"]["envFrom"]]
            assert secrets == ["penumbra", "penumbra-database"]


def test_every_pod_runs_the_code_of_its_image_and_needs_no_package(compiled):
    for flow in COMPILED_FLOWS:
        for pod in pods(compiled, flow).values():
            assert pod["container"]["image"] == "registry.example/flows:1"
            assert f"/{flow}.py . && mflog 'Task is starting.'" in pod["container"]["command"][2]
            assert set(environment(pod)) & set(DROPPED_VARIABLES) == set()


def test_fits_have_resources_of_their_own_and_a_thread_for_each_core(compiled):
    fit, select = pods(compiled, "train")["fit"], pods(compiled, "train")["select"]
    assert fit["container"]["resources"]["requests"] | fit["container"]["resources"]["limits"] == {
        "cpu": "3.0",
        "memory": "9000.0M",
        "ephemeral-storage": "10240.0M",
        "nvidia.com/gpu": "1",
    }
    assert select["container"]["resources"]["requests"]["cpu"] == "1"
    assert environment(fit)["OMP_NUM_THREADS"] == "3"
    assert environment(fit)["OMP_WAIT_POLICY"] == "passive"


def test_every_pod_has_a_limit_of_memory_which_is_what_it_asks_for(compiled):
    for flow in COMPILED_FLOWS:
        for pod in pods(compiled, flow).values():
            resources = pod["container"]["resources"]
            assert resources["limits"]["memory"] == resources["requests"]["memory"]


def test_every_pod_is_tried_again_with_growing_pauses_unless_it_was_refused(compiled):
    strategies = [pod["retryStrategy"] for flow in COMPILED_FLOWS for pod in pods(compiled, flow).values()]
    assert all(each["limit"] >= 1 for each in strategies)
    assert [each for each in strategies if each["backoff"] != {"duration": "30s", "factor": 2}] == []
    assert {each["expression"] for each in strategies} == {"asInt(lastRetry.exitCode) != 202"}
    commands = [pod["container"]["command"][-1] for flow in COMPILED_FLOWS for pod in pods(compiled, flow).values()]
    assert [each for each in commands if not each.endswith("exit $c")] == []


def test_a_pod_needs_no_rights_and_writes_only_into_folders_of_its_own(compiled):
    pod = pods(compiled, "monitor")["start"]
    spec = manifest(compiled, "monitor", "WorkflowTemplate")["spec"]
    assert pod["container"]["securityContext"]["readOnlyRootFilesystem"]
    assert {each["mountPath"] for each in pod["container"]["volumeMounts"]} == {"/mnt/out", "/mnt/work", "/tmp"}
    assert pod["container"]["workingDir"] == "/mnt/work"
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["podSpecPatch"] == "enableServiceLinks: false"


def test_flows_run_at_the_times_of_the_settings_one_run_at_a_time(compiled):
    cron = manifest(compiled, "monitor", "CronWorkflow")["spec"]
    assert (cron["schedules"], cron["timezone"]) == (["40 4 * * *"], "Etc/UTC")
    assert cron["concurrencyPolicy"] == "Forbid"
    assert cron["workflowSpec"] == {"workflowTemplateRef": {"name": "penumbra-monitor"}}


def test_the_retrain_event_reaches_the_training_with_its_reason(compiled):
    sensor = manifest(compiled, "train", "Sensor")["spec"]
    source, bus = manifest(compiled, "events", "EventSource"), manifest(compiled, "events", "EventBus")
    (dependency,) = sensor["dependencies"]
    assert dependency["eventSourceName"] == source["metadata"]["name"]
    assert dependency["eventName"] in source["spec"]["webhook"]
    assert sensor["eventBusName"] == source["spec"]["eventBusName"] == bus["metadata"]["name"]
    assert dependency["filters"]["exprs"][0]["expr"] == "name == 'penumbra-retrain'"
    address = environment(pods(compiled, "monitor")["respond"])["METAFLOW_ARGO_EVENTS_WEBHOOK_URL"]
    assert address == "http://penumbra-eventsource-svc.penumbra:12000/penumbra"
    parameters = sensor["triggers"][0]["template"]["k8s"]["parameters"]
    assert "spec.arguments.parameters.#(name=reason).value" in [each["dest"] for each in parameters]


def test_the_event_that_a_monitor_pod_sends_makes_a_training_of_its_reason(compiled):
    """What Argo Events does with it: it keeps to the filter, and fills in the workflow's parameters."""
    reason = 'entry 7: drift of "temp"'
    with record_deployments() as source:
        ask = f"from flows.steps.monitor import retraining; print(retraining.make_deployed_runners()[1]({reason!r}))"
        own = {**os.environ, "METAFLOW_ARGO_EVENTS_WEBHOOK_URL": f"{source.address}/penumbra"}
        asked = subprocess.run([sys.executable, "-c", ask], env=own, capture_output=True, text=True, check=True)
    (body,) = source.manifests
    sensor = manifest(compiled, "train", "Sensor")["spec"]
    (shape,) = sensor["dependencies"][0]["filters"]["exprs"]
    assert (asked.stdout, shape["fields"][0]["path"]) == ("True\n", "body.payload.name")
    assert shape["expr"] == f"name == '{body['payload']['name']}'"
    trigger = sensor["triggers"][0]["template"]["k8s"]
    workflow = trigger["source"]["resource"]
    for each in trigger["parameters"]:
        if key := re.search(
            r'\(get \$\.Input\.body\.payload "(\w+)" \| toRawJson\)', each["src"].get("dataTemplate", "")
        ):
            name = re.fullmatch(r"spec\.arguments\.parameters\.#\(name=(\w+)\)\.value", each["dest"])[1]
            given = next(one for one in workflow["spec"]["arguments"]["parameters"] if one["name"] == name)
            given["value"] = json.dumps(body["payload"][key[1]])
    values = {each["name"]: each.get("value") for each in workflow["spec"]["arguments"]["parameters"]}
    assert json.loads(values["reason"]) == reason
    assert workflow["spec"]["workflowTemplateRef"] == {
        "name": manifest(compiled, "train", "WorkflowTemplate")["metadata"]["name"]
    }


def test_what_metaflow_refuses_is_said(compiled, tmp_path, monkeypatch):
    with pytest.raises(ClusterRefused, match=r"doesn't compile flows/steps\.py"):
        compile_flows(load_settings(), tmp_path, {}, ["steps"])
