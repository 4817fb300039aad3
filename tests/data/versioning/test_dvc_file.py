"""The `.dvc` file of the data folder: what is read from it, and what is said of a damaged one."""

import pytest

from penumbra.data.versioning.dvc_file import DamagedDvcFile, format_dvc_file, parse_dvc_file

MD5 = "0123456789abcdef0123456789abcdef.dir"


def write_entry(**values):
    return "outs:\n-" + "".join(f"  {name}: {value}\n" for name, value in values.items()).removeprefix(" ")


@pytest.mark.parametrize(
    "text",
    [
        write_entry(md5=MD5, size=3, hash="md5", path="data"),
        write_entry(path="data", md5=f'"{MD5}"') + "# a comment with md5: x\n",
        f"meta: {{path: elsewhere, md5: other}}\nouts: [{{md5: {MD5}, path: data}}]\n",
        f"outs:\n    -   path: data\n        md5:   {MD5}\n",
    ],
)
def test_the_version_is_read_however_the_yaml_is_laid_out(text):
    assert parse_dvc_file(text, "data.dvc").md5 == MD5


@pytest.mark.parametrize("path", ["data", "1e3", "a: b", "- x", "yes", "données"])
def test_what_was_written_reads_back_as_the_same_for_any_folder_name(path):
    written = parse_dvc_file(format_dvc_file(MD5, 10, 2, path), "data.dvc")
    entry = {"md5": MD5, "size": 10, "nfiles": 2, "hash": "md5", "path": path}
    assert (written.md5, written.document) == (MD5, {"outs": [entry]})


def test_a_copy_for_another_folder_keeps_everything_else():
    text = f"desc: flights\nouts:\n- md5: {MD5}\n  nfiles: 2\n  path: data\n"
    copied = parse_dvc_file(parse_dvc_file(text, "data.dvc").format("old"), "old.dvc").document
    assert copied == {"desc": "flights", "outs": [{"md5": MD5, "nfiles": 2, "path": "old"}]}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "expected `outs` with one entry, found nothing"),
        ("outs:\n<<<<<<< HEAD\n- md5: x\n=======\n", "expected YAML as DVC writes it, found none at line"),
        (b"outs:\n- md5: \xfc\x80\n", "expected YAML as DVC writes it, found none"),
        ("meta:\n  first: 2024-13-45\n", "expected YAML as DVC writes it, found none"),
        ("just words", "expected `outs` with one entry, found 'just words'"),
        ("outs: []\n", "expected `outs` with one entry, found \\[\\]"),
        ("deps:\n- path: data\n", "expected `outs` with one entry, found nothing"),
        (write_entry(path="data"), "expected `md5` with 32 hexadecimal digits and `.dir`, found nothing"),
        (write_entry(md5=MD5[:-9], path="data"), f"expected `md5` with .*, found '{MD5[:-9]}'"),
        (write_entry(md5=12, path="data"), "expected `md5` with .*, found 12"),
        (write_entry(md5=MD5), "expected `path` with the folder's name, found nothing"),
    ],
)
def test_an_error_names_the_damaged_file_what_was_expected_and_what_was_found(text, fault):
    with pytest.raises(DamagedDvcFile, match=f"^data.dvc is damaged: {fault}.*restore it from git"):
        parse_dvc_file(text, "data.dvc")
