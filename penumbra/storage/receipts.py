"""What came of earlier runs, by a fingerprint of what they began with: a second run has nothing to do."""

import json
from pathlib import Path
from typing import Any


class RunReceipts:
    def __init__(self, folder: Path):
        self.folder = folder / "receipts"

    def has_receipt(self, fingerprint: str) -> bool:
        return (self.folder / f"{fingerprint}.txt").exists()

    def save(self, fingerprint: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{fingerprint}.txt").write_text(text)
        self.write_latest(text)

    def write_latest(self, text: str) -> None:
        """Leave the last word of a run where `make train` prints it from."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "latest.txt").write_text(text)

    def save_facts(self, fingerprint: str, facts: Any) -> None:
        """Keep anything that JSON can hold."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{fingerprint}.json").write_text(json.dumps(facts))

    def facts(self, fingerprint: str) -> Any:
        """What was kept, or None."""
        path = self.folder / f"{fingerprint}.json"
        return json.loads(path.read_text()) if path.exists() else None
