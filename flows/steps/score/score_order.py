"""What is to be scored, and the tables that are found by it."""

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from flows.steps.score.outputs.answer_details import EXPLAIN, UNCERTAINTY
from flows.steps.score.outputs.output_places import (
    keep_from_inputs,
    keep_from_query,
    locate_output,
    name_output,
    name_outputs,
)
from flows.steps.score.parts.input_tables import is_query
from flows.steps.score.spooled_query import RESULT_FILE
from flows.steps.score.table_job import BegunTable, TableJob, begin_table
from penumbra.core.problem import Problem
from penumbra.core.settings import ScoreSettings, Settings
from penumbra.core.text.errors import LastingRefusal
from penumbra.sources.row_reading import find_row_reading
from penumbra.sources.tables.csv_tables import CsvLayout
from penumbra.sources.tables.locations import find_table_files
from penumbra.sources.tables.plain_files import is_text_encoding
from penumbra.storage.work_lock import WorkInProgress

FILES_ONLY = "duckdb://"  # a database for queries over files alone
DIGEST_DIGITS = 16
LINE_ENDS = ("\n", "\r")
TOKENS = 1 << 24


class ScoreRefused(LastingRefusal):
    """What is asked for can't be scored as it is asked for; says why, and what was expected."""


@dataclass(frozen=True)
class ScoreOrder:
    """What is to be scored.

    Attributes:
        source: A file, a folder, a pattern or a URL of CSV or Parquet files, or a query.
        output: A file that ends in .csv or .parquet, or a folder; a path or a URL.
        database: The address of the database of a query.
        layout: How CSV files are written.
        encoding: Their encoding.
        conversions: How values are converted, in words.
        again: Whether to score tables anew that are done.
        options: What is added to answers, see `flows.steps.score.outputs.answer_details`.
    """

    source: str
    output: str
    database: str = FILES_ONLY
    layout: CsvLayout = field(default_factory=CsvLayout)
    encoding: str = "utf-8"
    conversions: str = ""
    again: bool = False
    options: Sequence[str] = ()

    @property
    def job(self) -> str:
        """The name of the scoring job: the same for the same output. Raises OutputRefused for a wrong name of it."""
        return _hash_text(locate_output(self.output))

    def identify(self, content: str) -> str:
        """Return what is another when the `content` of a table has changed, or how it is read and answered."""
        return _hash_text(repr((content, self.layout, self.encoding, self.conversions, sorted(self.options))))


def make_order(
    score: ScoreSettings,
    source: str,
    output: str,
    database: str,
    problem: Problem,
    separator: str | None = None,
    quote: str | None = None,
    encoding: str | None = None,
    null_words: Sequence[str] = (),
    again: bool = False,
    explain: bool = False,
    uncertainty: bool = False,
) -> ScoreOrder:
    """Make the order of a command line, of the settings what it leaves out.

    Args:
        score: Section [score] of the settings.
        source: What is to be scored; "" for `score.input`.
        output: Where the answers go; "" for `score.output`.
        database: The database of a query; "" for `score.database`.
        problem: The problem, loaded with its source, as which tables are read.
        separator: The character between the values of CSV files; None for that of the source.
        quote: The character around values, "" for none; None for that of the source.
        encoding: Their encoding; None for that of the source.
        null_words: Texts that stand for a missing value, beside those of the source.
        again: Whether to score tables anew that are done.
        explain: Whether to add why answers are so.
        uncertainty: Whether to add how sure they are.

    Returns:
        The order.

    Raises:
        ScoreRefused: There is nothing to score, or no place for the answers; or a CSV file can't be written like that.
    """
    if not (source := source or score.input):
        raise ScoreRefused("there is nothing to score: name a file, a folder, a URL or a query, or set score.input")
    if not (output := output or score.output):
        raise ScoreRefused("there is no place for the answers: name it with --out, or set score.output")
    _require_readable(separator, quote, encoding)
    reading = find_row_reading(problem)
    written = reading.layout
    words = tuple(dict.fromkeys(("", *written.null_words, *null_words)))
    quote, separator = written.quote if quote is None else quote, separator or written.separator
    layout = replace(written, separator=separator, quote=quote, null_words=words)
    conversions = repr(
        (reading.time, reading.has_dated_names, reading.has_made_up_days, [*map(str, reading.conversions)])
    )
    options = [name for name, is_asked in ((EXPLAIN, explain), (UNCERTAINTY, uncertainty)) if is_asked]
    place = database or score.database or FILES_ONLY
    return ScoreOrder(source, output, place, layout, encoding or reading.encoding, conversions, again, options)


def _require_readable(separator: str | None, quote: str | None, encoding: str | None) -> None:
    for option, text in (("--separator", separator), ("--quote", quote or None)):
        if text is not None and (len(text.encode()) != 1 or text in LINE_ENDS):
            raise ScoreRefused(f"{option} is {text!r}: expected one ASCII character")
    if encoding is not None and not is_text_encoding(encoding):
        raise ScoreRefused(f"--encoding is {encoding!r}: expected one of Python's, such as cp1252")


def begin_tables(settings: Settings, order: ScoreOrder, refused: list[str] | None = None) -> list[TableJob]:
    """Find the tables to score, and begin with those that are new; what was begun before goes on.

    Args:
        settings: Section [score] is read.
        order: What is to be scored.
        refused: Gets a sentence for each table that another process scores, while the others are begun; None where the
            first such table refuses all.

    Returns:
        The tables, those that are done, too; at least one.

    Raises:
        OutputRefused: Several tables would have one output, or an output would be an input or is called wrongly.
        FileNotFoundError: There is no table.
        ConnectionError: The files can't be reached.
        ValueError: Two tables have the same name.
        WorkInProgress: Another process scores one of them, or all of them.
        OSError: The folder can't be written.
    """
    output, folder = locate_output(order.output), settings.score.folder / order.job
    now, rows, token = dt.datetime.now(dt.UTC), settings.score.part_rows, secrets.randbelow(TOKENS)

    def make_table(name: str, content: str, number: int = 0) -> BegunTable:
        unique = f"{(token + number) % TOKENS:06x}"
        return BegunTable(name, order.identify(content), rows, now, unique, _hash_text(content), [*order.options])

    if is_query(order.source):
        table = make_table(RESULT_FILE, f"{order.database}\n{order.source}")
        place = name_output(output, RESULT_FILE)
        keep_from_query(place, order.source)
        return [begin_table(order.job, table, folder / table.fingerprint, place, again=True)]
    files = find_table_files([order.source])
    outputs = name_outputs(output, [file.name for file in files])
    keep_from_inputs(outputs, order.source, files)
    tables = [make_table(file.name, file.fingerprint, number) for number, file in enumerate(files)]
    begun = list[TableJob]()
    for table, file, place in zip(tables, files, outputs, strict=True):
        try:
            begun.append(begin_table(order.job, table, folder / _hash_text(table.name), place, file, order.again))
        except WorkInProgress as error:
            if refused is None:
                raise
            refused.append(describe_refusal(table.name, error))
    if refused and not begun:
        raise WorkInProgress("; ".join(refused))
    return begun


def describe_refusal(title: str, error: Exception) -> str:
    """Return a sentence that says why a table can't be scored, by its `title` and an `error`, which needn't name it."""
    said = str(error)
    return said if title in said else f"{title}: {said}"


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]
