"""Which folder is a project's, and which is in a git checkout."""

from penumbra.core.project_root import is_git_checkout


def test_a_folder_of_a_checkout_is_in_it(tmp_path):
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    (tmp_path / "checkout" / "project").mkdir()
    assert is_git_checkout(tmp_path / "checkout" / "project")
    assert not is_git_checkout(tmp_path)
