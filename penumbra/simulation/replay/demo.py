"""`penumbra replay --update-readme`: puts the printed end of a replay and its picture into the README."""

import re
import shutil
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT
from penumbra.simulation.replay import report

REPLAY_TEXT, REPLAY_PICTURE, README_FILE = (
    PROJECT_ROOT / "docs" / "replay.txt",
    PROJECT_ROOT / "docs" / "replay.svg",
    PROJECT_ROOT / "README.md",
)
README_BLOCK = re.compile(r"(?<=replay --days 14\n\.\.\.\n)(.*?)(?=```)", re.DOTALL)


def record_demo(folder: Path, words: str) -> None:
    """Keep the printed end and the picture of a replay, and put the words into the README.

    Args:
        folder: The folder of the replay's report.
        words: What the replay printed at its end.

    Raises:
        SystemExit: The README has no block for the words.
    """
    REPLAY_TEXT.write_text(words.strip() + "\n", encoding="utf-8")
    shutil.copy(folder / report.PICTURE_FILE, REPLAY_PICTURE)
    readme = README_FILE.read_text(encoding="utf-8")
    begin, end = _find_block(readme)
    README_FILE.write_text(readme[:begin] + REPLAY_TEXT.read_text(encoding="utf-8") + readme[end:], encoding="utf-8")


def extract_replay_output(readme: str) -> str:
    """Extract what a README shows as the printed end of `replay --days 14`.

    Args:
        readme: The README's text.

    Returns:
        The text of the block.

    Raises:
        SystemExit: There is no such block.
    """
    begin, end = _find_block(readme)
    return readme[begin:end]


def _find_block(readme: str) -> tuple[int, int]:
    if not (found := README_BLOCK.search(readme)):
        raise SystemExit("README.md has no block with `replay --days 14` and a line of three dots below it")
    return found.span()
