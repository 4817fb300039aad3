"""The script that lists what docstrings lack sees what it says it sees."""

from pathlib import Path

import pytest

from penumbra.core.settings import PROJECT_ROOT
from tests.project.code import docstrings
from tests.project.code.docstrings import ROOMS, list_public_functions

COMPLETE = '''
def sum_losses(losses: np.ndarray, count: int) -> np.ndarray:
    """Sum losses by day.

    Args:
        losses: float64 [n].
        count: Number of days.

    Returns:
        float64 [days].

    Raises:
        ValueError: If there are none.
    """
    if not len(losses):
        raise ValueError("no losses")
    return losses
'''


@pytest.fixture
def check(tmp_path, monkeypatch):
    """The faults of the functions in a module with a given text, by their names."""
    monkeypatch.setattr(docstrings, "PROJECT_ROOT", tmp_path)

    def check(text: str) -> dict[str, list[str]]:
        file = tmp_path / "module.py"
        file.write_text(text)
        return {function.node.name: function.list_faults() for function in list_public_functions([file])}

    return check


def test_a_complete_docstring_lacks_nothing(check):
    assert check(COMPLETE) == {"sum_losses": []}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Sum losses by day.", "What the losses of days add up to.", "first line begins with 'What'"),
        ("Sum losses by day.", "Sum losses by day", "first line is no sentence"),
        ("        count: Number of days.\n", "", "parameters not named: count"),
        ("Returns:", "Then:", "result not described"),
        ("ValueError: If", "If", "raises ValueError, which no Raises names"),
    ],
)
def test_what_a_docstring_lacks_is_named(check, old, new, fault):
    assert fault in check(COMPLETE.replace(old, new, 1))["sum_losses"]


def test_arrays_without_dtypes_are_named(check):
    text = COMPLETE.replace("float64 [n]", "Losses").replace("float64 [days]", "Sums").replace("losses by day", "them")
    assert check(text) == {"sum_losses": ["arrays or frames without dtypes or columns"]}


def test_a_function_without_a_docstring_is_named(check):
    assert check("def sum_losses(losses): ...") == {"sum_losses": ["no docstring"]}


def test_private_functions_and_private_classes_are_left_out(check):
    assert check("def _sum(): ...\nclass _Sum:\n    def add(self): ...\nclass Sum:\n    def add(self): ...\n") == {
        "add": ["no docstring"]
    }


def test_commands_are_left_out_as_their_docstring_is_their_help(check):
    assert check('@click.command()\ndef sing(loudly):\n    """Sing a song."""\n') == {}


@pytest.mark.slow
def test_every_docstring_of_a_public_function_is_complete():
    functions = list_public_functions([PROJECT_ROOT / room for room in ROOMS])
    incomplete = [function.location for function in functions if function.list_faults()]
    assert {Path(function.location).parts[0] for function in functions} == set(ROOMS)
    assert incomplete == []
