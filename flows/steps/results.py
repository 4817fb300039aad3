"""The words that a flow ends with: in its log, or below it by the command that started the flow."""

import os
from pathlib import Path

from flows.steps import RESULT_VARIABLE


def say_result(text: str) -> None:
    """Say what a flow ends with, once.

    Args:
        text: Some lines. They go to the file that the environment names, or are printed where it names none, as in pods
            and scheduled runs.
    """
    if file := os.environ.get(RESULT_VARIABLE):
        Path(file).write_text(text)
    else:
        print(text)
