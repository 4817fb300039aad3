"""`make demo`: what the README shows of a replay, out of the replay itself: its last words and its picture."""

import re
import shutil
from pathlib import Path

from flows import replay
from flows.replaying import story
from settings import ROOT

TEXT, PICTURE, README = ROOT / "docs" / "replay.txt", ROOT / "docs" / "replay.svg", ROOT / "README.md"
BLOCK = re.compile(r"(?<=make replay\n\.\.\.\n)(.*?)(?=```)", re.DOTALL)


def main() -> None:
    record(*replay.main())


def record(folder: Path, words: str) -> None:
    """Keep the last words and the picture of a replay, and put the words into the README."""
    TEXT.write_text(words.strip() + "\n", encoding="utf-8")
    shutil.copy(folder / story.PICTURE, PICTURE)
    readme = README.read_text(encoding="utf-8")
    begin, end = _block(readme)
    README.write_text(readme[:begin] + TEXT.read_text(encoding="utf-8") + readme[end:], encoding="utf-8")


def shown_in(readme: str) -> str:
    """What a README shows as the last words of `make replay`."""
    begin, end = _block(readme)
    return readme[begin:end]


def _block(readme: str) -> tuple[int, int]:
    if not (found := BLOCK.search(readme)):
        raise SystemExit("README.md has no block with `make replay` and a line of three dots below it")
    return found.span()


if __name__ == "__main__":
    main()
