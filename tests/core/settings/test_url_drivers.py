"""The libraries that URLs in the settings take are looked for before any work."""

import sys

import pytest

from penumbra.core.loading.project_loading import load_project
from penumbra.core.settings import SettingsError, load_settings
from penumbra.core.settings.url_drivers import require_drivers

ADDRESSES = {
    "registry.tracking": ("postgresql://me:Planted5ecret@host/base", "psycopg", 'the extra "cluster"'),
    "registry.artifacts": ("s3://bucket/models", "boto3", 'the extra "train"'),
    "data.remote": ("s3://bucket/data", "dvc_s3", 'the extra "s3"'),
    "log.archive": ("s3://bucket/logs", "s3fs", 'the extra "s3"'),
    "cluster.state": ("s3://bucket/state", "s3fs", 'the extra "s3"'),
}


def make_environment(name: str, address: str) -> dict[str, str]:
    return {f"PENUMBRA_{name.replace('.', '__')}".upper(): address}


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_library_that_is_missing_is_named_with_the_setting_and_what_to_install(monkeypatch, name):
    address, module, remedy = ADDRESSES[name]
    environment = make_environment(name, address)
    require_drivers(load_settings(environ=environment))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingsError) as refused:
        require_drivers(load_settings(environ=environment))
    words = [name, address.replace("Planted5ecret", "***"), f"takes {module}, which isn't installed", remedy]
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("name", "address", "words"),
    [
        ("registry.artifacts", "gs://bucket/models", "takes google.cloud.storage, which isn't installed"),
        ("registry.tracking", "mysql+pymysql://host/base", "takes pymysql, which isn't installed"),
        ("data.remote", "gs://bucket/data", "takes dvc_gs, which isn't installed"),
        ("log.archive", "gs://bucket/logs", "takes gcsfs, which isn't installed"),
        ("log.archive", "s4://bucket/logs", "has a scheme that is not known: s4"),
    ],
)
def test_any_store_is_looked_for_where_a_project_is_loaded(monkeypatch, name, address, words):
    ((variable, _),) = make_environment(name, address).items()
    monkeypatch.setenv(variable, address)
    with pytest.raises(SettingsError, match=f"environment variable {variable}: {name} = .* {words}"):
        load_project(["schema"])


def test_a_driver_without_the_library_that_it_takes_itself_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg.pq", None)
    monkeypatch.delitem(sys.modules, "psycopg", raising=False)
    with pytest.raises(SettingsError, match=r"registry\.tracking = .*psycopg"):
        require_drivers(load_settings(environ=make_environment("registry.tracking", "postgresql://host/base")))


def test_folders_and_servers_take_no_library(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", None)
    require_drivers(load_settings(environ={}))
    require_drivers(load_settings(environ=make_environment("registry.tracking", "https://host")), ["registry.tracking"])
