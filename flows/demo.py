"""`make demo`: what the README shows of a replay, out of the replay itself: its last words and its picture."""

import re
import shutil

from flows import replay
from settings import ROOT

TEXT, PICTURE, README = ROOT / "docs" / "replay.txt", ROOT / "docs" / "replay.svg", ROOT / "README.md"
BLOCK = re.compile(r"(?<=make replay\n\.\.\.\n)(.*?)(?=```)", re.DOTALL)


def main() -> None:
    folder, words = replay.main()
    TEXT.write_text(words.strip() + "\n", encoding="utf-8")
    shutil.copy(folder / replay.story.PICTURE, PICTURE)
    shown = shown_in(README.read_text(encoding="utf-8"))
    README.write_text(
        README.read_text(encoding="utf-8").replace(shown, TEXT.read_text(encoding="utf-8")), encoding="utf-8"
    )


def shown_in(readme: str) -> str:
    """What a README shows as the last words of `make replay`."""
    found = BLOCK.search(readme)
    if not found:
        raise SystemExit("README.md has no block with `make replay` and a line of three dots below it")
    return found.group()


if __name__ == "__main__":
    main()
