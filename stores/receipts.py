"""What was trained from what, in words: tells a second `make train` at once that there is nothing to do."""

from pathlib import Path


class Receipts:
    def __init__(self, folder: Path):
        self.folder = folder / "receipts"

    def known(self, fingerprint: str) -> bool:
        return (self.folder / f"{fingerprint}.txt").exists()

    def keep(self, fingerprint: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{fingerprint}.txt").write_text(text)
        self.say(text)

    def say(self, text: str) -> None:
        """Leave the last word of a run where `make train` prints it from."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "latest.txt").write_text(text)
