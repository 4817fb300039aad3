"""A journal of the steps of a long piece of work, so that it continues after a kill: one line of JSON a step."""

import json
from pathlib import Path
from typing import Any

JournalStep = dict[str, Any]


class Journal:
    """A file whose first line describes the work and whose other lines are its steps."""

    def __init__(self, path: Path) -> None:
        """`path` is the journal's file, created by `begin`."""
        self.path = path

    def begin(self, work: JournalStep) -> bool:
        """Begin or continue a piece of work; a journal of another work is emptied.

        Args:
            work: The description of the work, anything that JSON can hold.

        Returns:
            True where the journal is of this work already, and `steps` says how far it came.
        """
        if self._lines()[:1] == [work]:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(work) + "\n")
        return False

    def steps(self) -> list[JournalStep]:
        """Return the steps that were added, the first one first."""
        return self._lines()[1:]

    def add(self, step: JournalStep) -> None:
        """Append `step`, anything that JSON can hold, once it is done."""
        with self.path.open("a") as lines:
            lines.write(json.dumps(step) + "\n")

    def _lines(self) -> list[JournalStep]:
        """The whole lines; one that a kill cut off is removed, so that the next step begins a line."""
        if not self.path.exists():
            return []
        text = self.path.read_text()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self.path.write_text(whole)
        return [json.loads(line) for line in whole.splitlines()]
