import os

import pytest

from penumbra.core.text.addresses import get_scheme, make_absolute


@pytest.mark.parametrize(
    ("address", "scheme"),
    [
        ("s3://bucket/x", "s3"),
        ("mlflow-artifacts:/x", "mlflow-artifacts"),
        ("postgresql+psycopg://host/x", "postgresql+psycopg"),
        ("file:/x", "file"),
        ("simplecache::s3://x", "simplecache"),
        ("var/artifacts", ""),
        ("/var/a:/b", ""),
        ("./s3://x", ""),
        ("C:/data", ""),
        ("data:2024", ""),
        ("", ""),
    ],
)
def test_a_url_is_told_from_a_path_by_its_scheme(address, scheme):
    assert get_scheme(address) == scheme


def test_only_paths_are_made_absolute():
    assert make_absolute("mlflow-artifacts:/x") == "mlflow-artifacts:/x"
    assert make_absolute("~/x") == os.path.expanduser("~/x")
    assert make_absolute("var/x") == os.path.join(os.getcwd(), "var/x")
