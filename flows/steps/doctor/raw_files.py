"""The doctor's look at the raw batches: what was brought back is named, and what can't be is a finding."""

from collections.abc import Callable, Iterator

from flows.steps.ingest.admission import heal_changed_batches
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import SourceFailed
from penumbra.data.versioning.admitted import BatchesChanged
from penumbra.data.versioning.dvc_file import DamagedDvcFile
from penumbra.training.doctor.checks import Finding

RAW_FILE_ERRORS = (BatchesChanged, DamagedDvcFile, SourceFailed, OSError)


def examine_raw_files(store: DataStore) -> list[Finding]:
    """Read every byte of the raw batches; print a line about each file that was brought back.

    Args:
        store: The data store.

    Returns:
        A finding that names the files that can't be brought back, if there are any.
    """
    return run_file_check(lambda: iter(heal_changed_batches(store, thorough=True)), RAW_FILE_ERRORS)


def run_file_check(check: Callable[[], Iterator[str]], errors: tuple[type[Exception], ...]) -> list[Finding]:
    """Check files, and print a line about each that was made again.

    Args:
        check: Gives a sentence for each of these.
        errors: What it raises where one can't be made again.

    Returns:
        A finding with the error's words, if there was one.
    """
    try:
        for sentence in check():
            print(f"  healed   {sentence}", flush=True)
    except errors as error:
        return [make_file_finding(str(error))]
    return []


def make_file_finding(sentence: str) -> Finding:
    """Make a finding of a sentence about a file.

    Args:
        sentence: What is wrong with it.

    Returns:
        The finding.
    """
    return Finding("files", "files", sentence, "bring it back from a backup, or do as it says")
