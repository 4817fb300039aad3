import importlib.util

import pytest

from penumbra.cluster.metaflow_config import ClusterRefused, require_cluster_settings, require_reachable_cluster
from penumbra.cluster.pod_settings import list_local_places, list_pod_settings
from penumbra.core.settings import load_settings

COMPLETE = {"PENUMBRA_CLUSTER__STATE": "s3://bucket/path", "PENUMBRA_CLUSTER__IMAGE": "registry.example/flows:1"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PENUMBRA_CLUSTER__IMAGE": ""}, 'cluster.image = "": name the image'),
        ({"PENUMBRA_CLUSTER__STATE": ""}, 'expected "s3://bucket/path"'),
        ({"PENUMBRA_CLUSTER__STATE": "shared/folder"}, "cluster.state = 'shared/folder': pods share no disk"),
    ],
)
def test_a_setting_that_pods_need_is_named(settings, said):
    with pytest.raises(ClusterRefused, match=said):
        require_cluster_settings(load_settings(environ={**COMPLETE, **settings}))


def test_without_the_extra_the_lock_file_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ClusterRefused, match=r"locks/cluster\.lock"):
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
    passed, secret = list_pod_settings(load_settings(environ=environ), environ)
    assert passed == {"PENUMBRA_GATE__MIN_DAYS": "30", "AWS_ENDPOINT_URL": "https://store.example"}
    assert secret == ["PENUMBRA_MONITOR__WEBHOOK"]


def test_places_on_this_machines_disk_are_listed():
    assert list_local_places(load_settings(environ={"PENUMBRA_DATA__REMOTE": "s3://bucket/data"})) == [
        "registry.tracking",
        "registry.artifacts",
    ]
