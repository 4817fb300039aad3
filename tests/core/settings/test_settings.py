import datetime as dt
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penumbra.core.project_root import find_project_root
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from tests.helpers.planted_secrets import PLANTED

SHIPPED = (PROJECT_ROOT / "settings.toml").read_text()


def load_text(tmp_path: Path, text: str, **environ: str) -> Settings:
    (tmp_path / "settings.toml").write_text(text)
    return load_settings(tmp_path / "settings.toml", environ)


def changed(line: str, by: str) -> str:
    """The shipped file with the one line that begins so replaced."""
    lines = SHIPPED.splitlines()
    (found,) = [i for i, text in enumerate(lines) if text.startswith(line)]
    return "\n".join([*lines[:found], by, *lines[found + 1 :]])


def test_the_shipped_file_holds_every_setting_and_no_other():
    assert load_settings(environ={}).model_dump(mode="json").keys() == Settings.model_fields.keys()


def test_the_environment_overrides_the_file(tmp_path):
    settings = load_text(tmp_path, SHIPPED, PENUMBRA_SERVICE__PORT="3999", PENUMBRA_DATA__TODAY="2013-07-01")
    assert (settings.service.port, settings.data.today.isoformat()) == (3999, "2013-07-01")


def test_what_the_environment_does_not_name_stays_as_in_the_file(tmp_path):
    settings = load_text(tmp_path, SHIPPED, PENUMBRA_SERVICE__PORT="3999", OTHER_SERVICE__PORT="1")
    assert settings.service.model_copy(update={"port": 3000}) == load_text(tmp_path, SHIPPED).service


@pytest.mark.slow
@given(st.integers(1, 65535))
def test_every_port_there_is_can_be_set(port):
    assert load_settings(environ={"PENUMBRA_SERVICE__PORT": str(port)}).service.port == port


@given(st.floats(allow_nan=True).filter(lambda share: not 0 <= share <= 1))
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(SettingsError, match=r"data\.bad_row_share"):
        load_settings(environ={"PENUMBRA_DATA__BAD_ROW_SHARE": repr(share)})


@pytest.mark.parametrize(
    ("line", "by", "words"),
    [
        ("port =", "port = 0", ["settings.toml", "service.port", "0", "greater than or equal to 1"]),
        ("workers =", 'workers = "many"', ["settings.toml", "service.workers", "'many'", "valid integer"]),
        ("today =", "today = 2013-04-31", ["settings.toml", "not valid TOML"]),
        ("today =", 'today = "April"', ["settings.toml", "data.today", "'April'", "valid date"]),
        ("model =", "model = 3", ["settings.toml", "registry.model", "3", "valid string"]),
        ("port =", "prot = 3000", ["settings.toml", "service.prot", "unknown"]),
        ("port =", "", ["settings.toml", "service.port", "missing"]),
        ("[service]", "[servers]", ["settings.toml", "servers", "unknown", "service is missing"]),
    ],
)
def test_an_error_in_the_file_names_file_setting_value_and_expectation(tmp_path, line, by, words):
    with pytest.raises(SettingsError) as error:
        load_text(tmp_path, changed(line, by))
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PENUMBRA_SERVICE__PORT", "http", ["service.port", "'http'", "valid integer"]),
        ("PENUMBRA_TRAINING__THRESHOLD", "1.5", ["training.threshold", "'1.5'", "less than 1"]),
        ("PENUMBRA_SERVICE__PROT", "3000", ["service.prot", "unknown"]),
        ("PENUMBRA_SERVERS__PORT", "3000", ["servers", "unknown"]),
        ("PENUMBRA_PORT", "3000", ["PENUMBRA_SECTION__KEY"]),
        ("PENUMBRA_SERVICE__TLS__PORT", "3000", ["PENUMBRA_SECTION__KEY"]),
        ("penumbra_data__today", "2013-07-01", ["expected capitals, PENUMBRA_DATA__TODAY"]),
        ("PENUMBRA_monitor__webhook", "", ["expected capitals, PENUMBRA_MONITOR__WEBHOOK"]),
        ("penumbra_keys__predict", "k", ["expected capitals, PENUMBRA_KEYS__PREDICT"]),
    ],
)
def test_an_error_in_the_environment_names_variable_setting_value_and_expectation(tmp_path, name, value, words):
    with pytest.raises(SettingsError) as error:
        load_text(tmp_path, SHIPPED, **{name: value})
    assert [word for word in [f"environment variable {name}", *words] if word not in str(error.value)] == []


SERVICE_LINKS = {  # what a pod gets of a Service called "penumbra", and of one called "penumbra-shadow"
    "PENUMBRA_SERVICE_HOST": "10.0.0.11",
    "PENUMBRA_SERVICE_PORT": "3000",
    "PENUMBRA_SERVICE_PORT_HTTP": "3000",
    "PENUMBRA_PORT": "tcp://10.0.0.11:3000",
    "PENUMBRA_PORT_3000_TCP": "tcp://10.0.0.11:3000",
    "PENUMBRA_PORT_3000_TCP_PROTO": "tcp",
    "PENUMBRA_PORT_3000_TCP_PORT": "3000",
    "PENUMBRA_PORT_3000_TCP_ADDR": "10.0.0.11",
    "PENUMBRA_SHADOW_SERVICE_HOST": "10.0.0.12",
    "PENUMBRA_SHADOW_SERVICE_PORT": "3000",
    "PENUMBRA_SHADOW_PORT": "tcp://10.0.0.12:3000",
    "PENUMBRA_SHADOW_PORT_3000_TCP_ADDR": "10.0.0.12",
}


def test_what_kubernetes_says_of_services_with_our_name_is_no_setting(tmp_path):
    settings = load_text(tmp_path, SHIPPED, **SERVICE_LINKS, PENUMBRA_SERVICE__PORT="3001")
    assert settings.service.port == 3001
    assert settings.shadow == load_text(tmp_path, SHIPPED).shadow


@pytest.mark.parametrize(
    "typo", ["PENUMBRA_SERVICE_WORKERS", "PENUMBRA_PORT_X", "PENUMBRA_SHADOW_TIMEOUT", "PENUMBRA_OTHER_PORT"]
)
def test_beside_them_a_typo_is_refused(tmp_path, typo):
    with pytest.raises(SettingsError, match=f"environment variable {typo}: expected PENUMBRA_SECTION__KEY"):
        load_text(tmp_path, SHIPPED, **SERVICE_LINKS, **{typo: "1"})


@pytest.mark.parametrize("typo", [*SERVICE_LINKS, "PENUMBRA_DASHBOARD_HOST"])
def test_a_typo_that_only_looks_like_one_of_them_is_refused(tmp_path, typo):
    with pytest.raises(SettingsError, match=f"environment variable {typo}: expected PENUMBRA_SECTION__KEY"):
        load_text(tmp_path, SHIPPED, **{typo: "1"})


def test_all_errors_are_told_at_once(tmp_path):
    with pytest.raises(SettingsError, match=r"service.port.*; .*service.workers"):
        load_text(tmp_path, SHIPPED, PENUMBRA_SERVICE__PORT="0", PENUMBRA_SERVICE__WORKERS="0")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml is missing"):
        load_settings(tmp_path / "nowhere.toml", {})


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[data", b"data = 3", b"\x00"])
def test_a_file_that_holds_no_settings_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "settings.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        load_settings(tmp_path / "settings.toml", {})


def test_a_section_that_is_no_table_is_refused_with_an_override_in_it_too(tmp_path):
    with pytest.raises(SettingsError, match="data"):
        load_text(tmp_path, "data = 3", PENUMBRA_DATA__TODAY="2013-04-01")


def test_settings_are_frozen():
    settings = load_settings(environ={})
    with pytest.raises(ValidationError, match="frozen"):
        settings.service.port = 1


def test_what_is_known_and_no_fault_is_listed_with_commas_in_the_environment():
    settings = load_settings(environ={"PENUMBRA_MONITOR__ACCEPT": "2013-07-08 temp, dest"})
    assert settings.monitor.accept == ["2013-07-08 temp", "dest"]


@pytest.mark.parametrize(
    "value", ["boosting,linear", "boosting linear", '["boosting", "linear"]', ' ["boosting","linear"] ']
)
def test_a_list_is_given_in_the_environment_as_words_or_as_in_the_file(value):
    assert load_settings(environ={"PENUMBRA_TRAINING__CANDIDATES": value}).training.candidates == ["boosting", "linear"]


def test_a_list_of_phrases_is_given_in_the_environment_as_in_the_file():
    settings = load_settings(environ={"PENUMBRA_MONITOR__ACCEPT": '["2013-07-08 temp", "dest"]'})
    assert settings.monitor.accept == ["2013-07-08 temp", "dest"]
    assert load_settings(environ={"PENUMBRA_MONITOR__ACCEPT": "[]"}).monitor.accept == []


@pytest.mark.parametrize(("value", "words"), [("[boosting]", 'a list such as ["a", "b"]'), ("[1]", "valid string")])
def test_a_list_in_the_environment_that_is_none_is_refused_with_the_form(value, words):
    with pytest.raises(SettingsError, match="PENUMBRA_TRAINING__CANDIDATES") as refused:
        load_settings(environ={"PENUMBRA_TRAINING__CANDIDATES": value})
    assert words in str(refused.value)


def test_the_flows_clock_can_be_the_real_one():
    assert load_settings(environ={"PENUMBRA_DATA__TODAY": "now"}).data.today == dt.datetime.now(dt.UTC).date()
    assert load_settings(environ={"PENUMBRA_DATA__TODAY": "2013-05-01"}).data.today == dt.date(2013, 5, 1)


def test_a_checkout_is_the_projects_folder_wherever_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_project_root(PROJECT_ROOT) == PROJECT_ROOT


def test_installed_code_takes_the_nearest_folder_with_settings_at_or_above_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    (tmp_path / "project" / "settings.toml").touch()
    monkeypatch.chdir(tmp_path / "project" / "notebooks")
    assert find_project_root(tmp_path / "site-packages") == tmp_path / "project"


@pytest.mark.slow
def test_installed_code_can_be_imported_outside_of_a_project_and_says_so_when_settings_are_loaded(tmp_path):
    shutil.copytree(PROJECT_ROOT / "penumbra", tmp_path / "installed" / "penumbra")
    (tmp_path / "elsewhere").mkdir()
    code = "from penumbra.core.settings import load_settings\ntry: load_settings()\nexcept ValueError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "elsewhere",
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{tmp_path}/elsewhere/settings.toml is missing" in done.stdout
    assert "run this in the project's folder or below it" in done.stdout
    assert list((tmp_path / "elsewhere").iterdir()) == []


ADDRESSES = [
    ("registry", "tracking", "postgres://me:Planted5ecret@host/base?token=Planted5ecret#Planted5ecret"),
    ("data", "remote", "ssh://me:Planted5ecret@host/data"),
    ("monitor", "webhook", "https://hooks.example.org/services/T0/B0/Planted5ecret"),
    ("review", "webhook", "https://hooks.example.org/services/T0/B0/Planted5ecret"),
]


def copy_by_pickle(settings):
    return pickle.loads(pickle.dumps(settings))  # noqa: S301


@pytest.mark.parametrize(("section", "key", "address"), ADDRESSES)
def test_no_description_copy_or_card_of_the_settings_has_their_secrets(section, key, address, monkeypatch):
    variable = f"PENUMBRA_{section}__{key}".upper()
    monkeypatch.setenv(variable, address)
    settings = load_settings()
    for copied in (settings, getattr(settings, section)):
        assert PLANTED not in repr(copied) + str(copied)
        assert PLANTED.encode() not in pickle.dumps(copied)
        assert copy_by_pickle(copied) == copied
    assert PLANTED not in str(settings.describe_sections())
    assert set(settings.describe_sections(section)) == {section}
    monkeypatch.setenv(variable, address.replace(PLANTED, "changed"))
    assert PLANTED not in str(getattr(copy_by_pickle(settings), section).model_dump())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "PENUMBRA_REGISTRY__ARTIFACTS",
            "ftp://me:Planted5ecret@host",
            ["ftp://me:***@host", "can't carry"],
        ),
        ("PENUMBRA_LOG__ARCHIVE", "s3://key:Planted5ecret@bucket", ["s3://key:***@bucket", "AWS_ACCESS_KEY_ID"]),
        ("PENUMBRA_MONITOR__WEBHOOK", "hooks.example.org/Planted5ecret", ["'***'", "https://"]),
        ("PENUMBRA_MONITOR__WEBHOOK", "https://host/a b/Planted5ecret", ["'https://host/***'", "without blanks"]),
        ("PENUMBRA_REGISTRY__SIGNED_BY", "MCowBQYDK2VwAyEA", ["Ed25519", "-pubout"]),
    ],
)
def test_an_address_that_is_recorded_elsewhere_carries_no_secret_and_the_refusal_shows_none(name, value, words):
    with pytest.raises(SettingsError) as error:
        load_settings(environ={name: value})
    assert PLANTED not in str(error.value)
    assert [word for word in [name, *words] if word not in str(error.value)] == []


def test_only_the_settings_themselves_turn_settings_into_records():
    """Whatever else dumps them would write their secrets."""
    found = [
        str(path.relative_to(PROJECT_ROOT))
        for room in ("penumbra", "flows", "service", "monitoring", "deploy")
        for path in (PROJECT_ROOT / room).rglob("*.py")
        if 'model_dump(mode="json"' in path.read_text()
    ]
    assert found == ["penumbra/core/settings/project_settings.py"]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", ""),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket//a///b/", "s3://bucket/a/b"),
        ("gs://bucket/a", "gs://bucket/a"),
        ("/mnt//state/", "/mnt/state"),
        ("file:///mnt/state", "file:///mnt/state"),
    ],
)
def test_a_shared_state_is_an_absolute_folder_or_a_store_with_a_bucket(given: str, taken: str) -> None:
    assert load_settings(environ={"PENUMBRA_CLUSTER__STATE": given}).cluster.state == taken


@pytest.mark.parametrize(
    "given",
    [
        "b/x",
        "s3:/b/x",
        "s3://",
        "s3:///b",
        "S3://b/x",
        " s3://b/x",
        "s3://b/x ",
        "s3://b/[x]",
        "/mnt/a*",
        "/mnt/a?",
        "/",
    ]
    + ["memory://b/x", "http://host/x", "file://folder"],
)
def test_what_machines_could_not_share_is_no_state(given: str) -> None:
    with pytest.raises(SettingsError, match=r"cluster\.state = .*expected an absolute folder, or a store"):
        load_settings(environ={"PENUMBRA_CLUSTER__STATE": given})


def test_labels_may_be_due_at_once():
    assert load_settings(environ={"PENUMBRA_LABELS__DELAY_HOURS": "0"}).labels.delay_hours == 0
