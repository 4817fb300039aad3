"""What a long piece of work has done so far, so that after a kill it goes on where it was: a line of JSON a step."""

import json
from pathlib import Path
from typing import Any

JournalStep = dict[str, Any]


class Journal:
    """A file whose first line says what the work is; work of another kind begins a new one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, work: JournalStep) -> bool:
        """Is this the work that the diary tells of? If not, what it told is forgotten."""
        if self._lines()[:1] == [work]:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(work) + "\n")
        return False

    def steps(self) -> list[JournalStep]:
        return self._lines()[1:]

    def add(self, step: JournalStep) -> None:
        with self.path.open("a") as lines:
            lines.write(json.dumps(step) + "\n")

    def _lines(self) -> list[JournalStep]:
        """The whole lines; what a kill cut off is removed, so that the next one begins a line."""
        if not self.path.exists():
            return []
        text = self.path.read_text()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self.path.write_text(whole)
        return [json.loads(line) for line in whole.splitlines()]
