"""fsspec."""

from fsspec.implementations.http import HTTPFileSystem


def test_fsspec_takes_files_on_the_web_for_unchanging():
    """Nothing serves the address: the key is made without asking."""
    assert HTTPFileSystem().ukey("http://127.0.0.1:9/a.csv") == HTTPFileSystem().ukey("http://127.0.0.1:9/a.csv")
