import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_address, mask_settings, mask_text, mask_webhook, strip_secrets

SECRET = "hunter2x"


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("postgresql://me:secret@host:5432/base", "postgresql://me:***@host:5432/base"),
        ("postgresql://me:p@ss/w?r#d@host/base", "postgresql://me:***@host/base"),
        ("postgresql+psycopg://me@host/base", "postgresql+psycopg://me@host/base"),
        ("postgresql://:secret@host/base", "postgresql://:***@host/base"),
        ("https://token@host/base", "https://***@host/base"),
        ("https://host/base?token=secret&x&page=1", "https://host/base?token=***&***&page=***"),
        ("https://host/base#secret", "https://host/base#***"),
        ("s3://key:secret@bucket/logs", "s3://key:***@bucket/logs"),
        ("s3://bucket/logs", "s3://bucket/logs"),
        ("sqlite:///var/mlflow.db", "sqlite:///var/mlflow.db"),
        ("sqlite:///file:var/mlflow.db?uri=true&key=secret", "sqlite:///file:var/mlflow.db?uri=***&key=***"),
        ("var/remote", "var/remote"),
        ("", ""),
    ],
)
def test_passwords_tokens_queries_and_fragments_are_masked_and_the_rest_stays(address: str, masked: str) -> None:
    assert mask_address(address) == masked


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("https://hooks.example.org/services/T0/B0/secret", "https://hooks.example.org/***"),
        ("https://me:secret@host:81?token=secret", "https://host:81/***"),
        ("hooks.example.org/services/secret", "***"),
        ("", ""),
    ],
)
def test_of_a_webhook_nothing_is_left_but_its_host(address: str, masked: str) -> None:
    assert mask_webhook(address) == masked


marks = st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), max_size=8)


@given(st.sampled_from(["db", "https", "postgresql+psycopg"]), marks, marks)
def test_whatever_surrounds_a_password_it_is_masked_once_and_for_all(scheme: str, before: str, after: str) -> None:
    masked = mask_address(f"{scheme}://me:{before}{SECRET}{after}@host/base")
    assert SECRET not in masked
    assert mask_address(masked) == masked


def test_settings_are_masked_at_any_depth_and_other_values_stay() -> None:
    facts = {
        "registry": {"tracking": "db://me:secret@host"},
        "monitor": {"webhook": "https://host/secret", "one_in": 9},
    }
    assert mask_settings(facts) == {
        "registry": {"tracking": "db://me:***@host"},
        "monitor": {"webhook": "https://host/***", "one_in": 9},
    }


def test_a_librarys_error_shows_no_password_of_an_address_in_it() -> None:
    error = ValueError("unsupported URI 'postgres://me:secret@host/base' for model registry\nsee https://me:x@host")
    assert describe_error(error) == "ValueError: unsupported URI 'postgres://me:***@host/base' for model registry"
    assert mask_text("see https://me:secret@host/x?y=z now") == "see https://me:***@host/x?y=*** now"


def test_an_address_to_link_to_has_neither_name_nor_token() -> None:
    assert strip_secrets("https://me:secret@host:5000/path?token=secret#x") == "https://host:5000/path"
