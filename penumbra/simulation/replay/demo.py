"""`make demo`: what the README shows of a replay, out of the replay itself: its last words and its picture."""

import re
import shutil
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT
from penumbra.simulation.replay import report, run

REPLAY_TEXT, REPLAY_PICTURE, README_FILE = (
    PROJECT_ROOT / "docs" / "replay.txt",
    PROJECT_ROOT / "docs" / "replay.svg",
    PROJECT_ROOT / "README.md",
)
README_BLOCK = re.compile(r"(?<=replay --days 14\n\.\.\.\n)(.*?)(?=```)", re.DOTALL)


def main() -> None:
    record_demo(*run.main())


def record_demo(folder: Path, words: str) -> None:
    """Keep the last words and the picture of a replay, and put the words into the README."""
    REPLAY_TEXT.write_text(words.strip() + "\n", encoding="utf-8")
    shutil.copy(folder / report.PICTURE_FILE, REPLAY_PICTURE)
    readme = README_FILE.read_text(encoding="utf-8")
    begin, end = _find_block(readme)
    README_FILE.write_text(readme[:begin] + REPLAY_TEXT.read_text(encoding="utf-8") + readme[end:], encoding="utf-8")


def extract_replay_output(readme: str) -> str:
    """What a README shows as the last words of `replay --days 14`."""
    begin, end = _find_block(readme)
    return readme[begin:end]


def _find_block(readme: str) -> tuple[int, int]:
    if not (found := README_BLOCK.search(readme)):
        raise SystemExit("README.md has no block with `replay --days 14` and a line of three dots below it")
    return found.span()


if __name__ == "__main__":
    main()
