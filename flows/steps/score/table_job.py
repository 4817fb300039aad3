"""The scoring of one table: which parts are done, what makes one count, and what is left once all are.

<score.folder>/<job>/<table>/begun.json            when the scoring of this content of the table was begun
<score.folder>/<job>/<table>/<key>/parts/000007/   what a part became, renamed into place as a whole: then it is done
<score.folder>/<job>/<table>/<key>/done.json       the receipt: all parts are done, and the output is in place

What is done belongs to one beginning, by its key: where the content has changed since, or is scored anew, nothing of an
earlier one counts, even if it comes back from where machines share it.

A part's folder has the segments of the logs. They are moved into the logs once the folder is in place, one rename each:
whoever is killed before that has logged nothing of the part, and whoever is killed after it has what remains to be
moved. So every row is logged once, and is in the output with the id of that entry. A segment is called after the key
and the number of the part. Where machines share their state, segments wait until others have the parts, too: a machine
that is lost after it has shipped its logs has left what it shipped, and the same is shipped again.
"""

import contextlib
import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from flows.steps.score.parts.part_facts import PartFacts, sum_facts
from flows.steps.score.parts.part_scoring import FACTS_FILE
from penumbra.sources.tables.locations import TableFile
from penumbra.storage.atomic import replace_file
from penumbra.storage.work_lock import WorkInProgress, hold_work_lock

BEGUN_FILE, DONE_FILE, PARTS_FOLDER = "begun.json", "done.json", "parts"
PART_DIGITS = 6
Found = TypeVar("Found")


class BegunTable(msgspec.Struct):
    """A table as its scoring was begun.

    Attributes:
        name: The table's name, by which it is Parquet or CSV.
        fingerprint: What is another when its content has changed, or how it is read and answered.
        part_rows: The number of rows of a part.
        time: When its scoring was begun (UTC).
        token: Six hexadecimal digits that no other table has which is begun at the time.
        content: What is another when its content has changed.
        options: What is added to answers.
        reason: Why it was begun anew, as a sentence says it; "" where nothing of it was logged before.
    """

    name: str
    fingerprint: str
    part_rows: int
    time: dt.datetime
    token: str
    content: str = ""
    options: list[str] = []
    reason: str = ""

    @property
    def key(self) -> str:
        """The key of this beginning: no other one has it."""
        return self.name_segment(0)

    def name_segment(self, number: int) -> str:
        """Return the name of the segments of the part that has a `number`; no other part of any table has it."""
        return f"{int(self.time.timestamp() * 1000) + number:011x}{self.token}"


class TableReceipt(msgspec.Struct):
    """That a table is scored: its content, what became of the rows, and where the answers and the others are.

    Attributes:
        table: The content of the table.
        facts: What became of its rows.
        output: The address of the answers.
        rejected: The address of the rows without an answer; "" where all have one.
        time: When the last part was done (UTC).
        is_queried: Whether it is the result of a query, which was run when the table was begun.
    """

    table: BegunTable
    facts: PartFacts
    output: str
    rejected: str
    time: dt.datetime
    is_queried: bool = False


def name_title(name: str, is_queried: bool) -> str:
    """Return what sentences call a table: its `name`, or "the query" where it `is_queried`, a result of one."""
    return "the query" if is_queried else name


@dataclass(frozen=True)
class TableJob:
    """A table to score.

    Attributes:
        job: The name of the scoring job, of which this is one table.
        begun: What it is, and since when it is scored.
        folder: The folder of what is done of it since it was begun.
        output: The address of the answers.
        file: Where the table is; None for the result of a query, which is in the folder.
        is_done: Whether it was scored before this run.
    """

    job: str
    begun: BegunTable
    folder: Path
    output: str
    file: TableFile | None
    is_done: bool = False

    @property
    def name(self) -> str:
        """The table's name."""
        return self.begun.name

    @property
    def title(self) -> str:
        """The table as sentences call it."""
        return name_title(self.name, self.file is None)

    @property
    def parts(self) -> Path:
        """The folder of the parts that are done."""
        return self.folder / PARTS_FOLDER

    def list_done(self) -> list[int]:
        """Return the numbers of the parts that are done, ascending."""
        return sorted(int(path.parent.name) for path in self.parts.glob(f"[0-9]*/{FACTS_FILE}"))

    def read_facts(self) -> PartFacts:
        """Return what became of the rows of all parts that are done."""
        paths = [self.locate_part(number) / FACTS_FILE for number in self.list_done()]
        return sum_facts([msgspec.json.decode(path.read_bytes(), type=PartFacts) for path in paths])

    def locate_part(self, number: int) -> Path:
        """Return the folder of the part that has a `number`."""
        return self.parts / f"{number:0{PART_DIGITS}}"

    def find_receipt(self) -> TableReceipt | None:
        """Return the receipt of this content of the table; None where it isn't scored."""
        return _read_struct(self.folder / DONE_FILE, TableReceipt)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let nobody else on this machine score the table, or begin it anew, for the block, as a context manager.

        Yields:
            Nothing.

        Raises:
            WorkInProgress: Another process scores it, or has begun it anew since this one did.
            OSError: The lock can't be written.
        """
        with _hold_table(self.folder.parent, self.name):
            self.require_begun()
            self.folder.mkdir(exist_ok=True)  # begun on another machine
            yield

    def require_begun(self) -> None:
        """Require that nobody has begun the table anew since. Raises WorkInProgress where somebody has."""
        if _read_struct(self.folder.parent / BEGUN_FILE, BegunTable) != self.begun:
            raise WorkInProgress(f"another score has begun {self.title} anew")

    def forget(self) -> None:
        """Remove all that is done of the table here; a query is run anew the next time."""
        _remove_folders(self.folder.parent)


def begin_table(
    job: str, table: BegunTable, folder: Path, output: str, file: TableFile | None = None, again: bool = False
) -> TableJob:
    """Begin to score a table, or go on with one that was begun and hasn't changed since.

    Args:
        job: As in `TableJob`, like the others.
        table: The table as it would be begun now.
        folder: The folder of the table; created. What is done of another beginning doesn't stay in it.
        output: The address of the answers.
        file: Where the table is.
        again: Whether to score a table anew that is done.

    Returns:
        The table, as it was begun where that goes on.

    Raises:
        WorkInProgress: Another process scores it.
        OSError: The folder can't be written.
    """
    with _hold_table(folder, table.name):
        begun = _read_struct(folder / BEGUN_FILE, BegunTable)
        is_done = begun is not None and (folder / begun.key / DONE_FILE).exists()
        is_lost = file is None and begun and not (folder / begun.key / begun.name).exists()  # the result of the query
        if begun is None or is_lost or begun.fingerprint != table.fingerprint or (is_done and again):
            if begun and file and (is_done or any((folder / begun.key / PARTS_FOLDER).glob(f"*/{FACTS_FILE}"))):
                table.reason = _describe_change(begun, table)
            begun, is_done = table, False
            (folder / begun.key).mkdir(parents=True)
            replace_file(folder / BEGUN_FILE, msgspec.json.encode(begun))
        (folder / begun.key).mkdir(exist_ok=True)
        _remove_folders(folder, begun.key)
    return TableJob(job, begun, folder / begun.key, output, file, is_done)


def complete_table(table: TableJob, rejected: str) -> TableReceipt:
    """Write the receipt of a table whose output is in place, and remove its parts.

    Args:
        table: The table.
        rejected: The address of the rows without an answer; "" where there are none.

    Returns:
        The receipt.

    Raises:
        OSError: It can't be written.
    """
    now, is_queried = dt.datetime.now(dt.UTC), table.file is None
    receipt = TableReceipt(table.begun, table.read_facts(), table.output, rejected, now, is_queried)
    replace_file(table.folder / DONE_FILE, msgspec.json.encode(receipt))
    remove_parts(table)
    return receipt


def remove_parts(table: TableJob) -> None:
    """Remove all of a table's folder but what says that it is done."""
    _remove_folders(table.folder)
    for path in table.folder.iterdir():
        if path.is_file() and path.name != DONE_FILE:
            path.unlink(missing_ok=True)


def _describe_change(before: BegunTable, table: BegunTable) -> str:
    """Why a table is begun anew that was begun before."""
    if before.content != table.content:
        return "it has changed"
    if before.options != table.options:
        options = " and ".join(f"--{name}" for name in before.options)
        return f"the last time was with {options}" if options else "the last time was without such options"
    return "it is read in another way" if before.fingerprint != table.fingerprint else "--again says so"


def _hold_table(folder: Path, name: str) -> contextlib.AbstractContextManager[bool]:
    return hold_work_lock(folder.with_suffix(".lock"), f"score of {name}", wait=False)


def _remove_folders(folder: Path, kept: str = "") -> None:
    """Remove the folders in a folder but for one."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != kept:
            shutil.rmtree(path, ignore_errors=True)


def _read_struct(path: Path, kind: type[Found]) -> Found | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
