import importlib.util

import pytest

from flows.steps import RESULT_VARIABLE
from flows.steps.processes.pods import list_exports
from penumbra.cluster import compilation
from penumbra.cluster.metaflow_config import ClusterRefused, require_cluster_settings, require_reachable_cluster
from penumbra.cluster.pod_settings import read_pod_settings
from penumbra.core.settings import SettingsError, load_settings

COMPLETE = {"PENUMBRA_CLUSTER__STATE": "s3://bucket/path", "PENUMBRA_CLUSTER__IMAGE": "registry.example/flows:1"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PENUMBRA_CLUSTER__IMAGE": ""}, 'cluster.image = "": name the image'),
        ({"PENUMBRA_CLUSTER__STATE": ""}, 'expected "s3://bucket/path"'),
        ({"PENUMBRA_CLUSTER__STATE": "/shared/folder"}, "cluster.state = '/shared/folder': pods share no disk"),
    ],
)
def test_a_setting_that_pods_need_is_named(settings, said):
    with pytest.raises(ClusterRefused, match=said):
        require_cluster_settings(load_settings(environ={**COMPLETE, **settings}))


def test_without_the_extra_the_lock_file_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ClusterRefused, match=r"uv pip install .* --require-hashes -r locks/cluster\.lock"):
        require_cluster_settings(load_settings(environ=COMPLETE))


def test_a_machine_that_knows_no_cluster_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(ClusterRefused, match="no cluster is configured on this machine"):
        require_reachable_cluster()
    (tmp_path / "config").touch()
    require_reachable_cluster()


def test_pods_get_what_differs_but_no_secret_and_no_key():
    environ = {
        "PENUMBRA_DATA__COMMIT": "false",  # as in settings.toml
        "PENUMBRA_GATE__MIN_DAYS": "30",
        "PENUMBRA_MONITOR__WEBHOOK": "https://chat.example/services/secret",
        "PENUMBRA_KEYS__ADMIN": "secret",
        "HOME": "/nowhere",
        "AWS_ENDPOINT_URL": "https://store.example",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    pods = read_pod_settings(load_settings(environ=environ), environ)
    expected = {"PENUMBRA_GATE__MIN_DAYS": "30", "AWS_ENDPOINT_URL": "https://store.example"}
    assert pods.passed == {"METAFLOW_RUN_MAX_WORKERS": "8", "METAFLOW_S3_WORKER_COUNT": "4", **expected}
    assert pods.secret == ["PENUMBRA_MONITOR__WEBHOOK"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "http://root:hunter2@minio:9000"),
        ("AWS_ENDPOINT_URL", "https://minio:9000?key=hunter2"),
        ("PENUMBRA_REGISTRY__TRACKING", "postgresql://me:hunter2@database/mlflow"),
        ("PENUMBRA_REGISTRY__MODEL", "of http://root:hunter2@minio"),
        ("PENUMBRA_REVIEW__WEBHOOK", "https://chat.example/services/hunter2"),
        ("PENUMBRA_DATA__REMOTE", "/mnt/data"),
        ("PENUMBRA_REGISTRY__TRACKING", "sqlite:////tmp/mlflow.db"),
        ("PENUMBRA_SERVICE__STATE", "/tmp/laptop/state"),
        ("PENUMBRA_LOG__ARCHIVE", "file:///tmp/archive"),
    ],
)
def test_a_variable_with_a_secret_or_a_place_of_this_machine_is_named_and_in_no_pod(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    pods = read_pod_settings(load_settings(), {name: value})
    assert (name in pods.secret) == ("hunter2" in value)
    assert (name in pods.local) == ("hunter2" not in value)
    assert name not in pods.passed
    assert not [each for each in list_exports(load_settings()) if name in each or value in each]


def test_pods_leave_the_result_to_the_command_that_waits_for_it(monkeypatch):
    silence = f"export {RESULT_VARIABLE}=/dev/null"
    assert silence not in list_exports(load_settings())
    monkeypatch.setenv(RESULT_VARIABLE, "/tmp/of-the-command/result.txt")
    assert silence in list_exports(load_settings())


def test_places_on_this_machines_disk_are_listed():
    environ = {"PENUMBRA_DATA__REMOTE": "s3://bucket/data", "PENUMBRA_MONITOR__FOLDER": "var/other"}
    pods = read_pod_settings(load_settings(environ=environ), environ)
    assert pods.local == ["PENUMBRA_REGISTRY__ARTIFACTS", "PENUMBRA_REGISTRY__TRACKING"]
    assert pods.passed == {"METAFLOW_RUN_MAX_WORKERS": "8", "METAFLOW_S3_WORKER_COUNT": "4", **environ}


@pytest.mark.slow
def test_a_flow_that_isnt_compiled_in_time_is_refused(monkeypatch, tmp_path):
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(compilation, "DEPLOY_SECONDS", 0.01)
    with pytest.raises(ClusterRefused, match=r"doesn't compile flows/train\.py within 0\.01 s: check cluster\.state"):
        compilation.compile_flows(load_settings(), tmp_path / "k8s", {}, ["train"])
    assert not (tmp_path / "k8s").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("IMAGE", "bad image"), ("IMAGE", "-x"), ("IMAGE", "a;b"), ("SECRETS", '["a b"]'), ("SECRETS", "A_B")],
)
def test_what_no_image_or_secret_can_be_called_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"PENUMBRA_CLUSTER__{name}"):
        load_settings(environ={f"PENUMBRA_CLUSTER__{name}": value})


@pytest.mark.parametrize(
    "image",
    [
        "penumbra",
        "localhost:5000/a/b_c:1",
        "registry.example/penumbra@sha256:" + "0a" * 32,
        "a/b:1@sha256:" + "0a" * 32,
    ],
)
def test_names_of_images_are_accepted(image):
    assert load_settings(environ={"PENUMBRA_CLUSTER__IMAGE": image}).cluster.image == image


def test_the_one_address_of_the_store_that_pods_get_is_read_by_mlflow_and_metaflow(monkeypatch):
    from metaflow.plugins.datatools.s3.s3util import get_s3_client
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

    address = "http://127.0.0.1:9"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    assert get_s3_client()[0].meta.endpoint_url == address
    assert S3ArtifactRepository("s3://bucket/models")._get_s3_client().meta.endpoint_url == address
