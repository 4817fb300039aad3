"""Numbered objects behind a URL, each created once: of many writers of a number one succeeds.

To replace the latest object if nobody else has done so is to create the next number.
"""

from collections.abc import Iterable

from penumbra.storage.shared.object_store import ObjectStore

NUMBER_DIGITS = 12


class ObjectSequence:
    """The numbered objects below a URL."""

    def __init__(self, url: str, patience: float | None = None) -> None:
        """Open a sequence; no request is made yet.

        Args:
            url: A folder, or a URL that fsspec knows; the first `create` makes it.
            patience: Seconds for which a store that is away is tried again; None for the usual time.

        Raises:
            StoreError: The package for such URLs isn't installed, or nothing is known about them.
        """
        self.store = ObjectStore(url, patience)

    def create(self, number: int, content: bytes) -> bool:
        """Create an object, if there is none of this number.

        Args:
            number: Its number, 1 or more.
            content: All of its content.

        Returns:
            False where somebody else has created it.

        Raises:
            StoreError: The store refuses, or is away.
        """
        return self.store.create(_format_number(number), content)

    def list_numbers(self) -> list[int]:
        """List the numbers of the objects that exist.

        Returns:
            The numbers in ascending order.

        Raises:
            StoreError: The store refuses, or is away.
        """
        names = [name for name in self.store.list_versions() if len(name) == NUMBER_DIGITS and name.isdigit()]
        return sorted(map(int, names))

    def read(self, number: int) -> bytes:
        """Read an object.

        Args:
            number: Its number.

        Returns:
            Its content.

        Raises:
            FileNotFoundError: There is none of this number.
            StoreError: The store refuses, or is away.
        """
        return self.store.read(_format_number(number))

    def read_present(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """Read several objects at a time.

        Args:
            numbers: Their numbers.

        Returns:
            The content of each that exists, by number.

        Raises:
            StoreError: The store refuses, or is away.
        """
        found = self.store.read_present(map(_format_number, numbers))
        return {int(name): content for name, content in found.items()}

    def delete_before(self, number: int) -> None:
        """Delete the objects of smaller numbers.

        A writer that has slept since may create one of them again, so where objects are deleted only the greatest
        number counts: who has created one makes sure that it is.

        Args:
            number: The smallest number to keep.

        Raises:
            StoreError: The store refuses, or is away.
        """
        self.store.delete(_format_number(old) for old in self.list_numbers() if old < number)


def _format_number(number: int) -> str:
    return f"{number:0{NUMBER_DIGITS}}"
