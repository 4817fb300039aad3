"""How many connections each worker has, in memory that all workers share: who has fewest takes the next one."""

import mmap
from collections.abc import Callable

COUNT_BYTES = 4
ABSENT = 2**32 - 1  # of a worker that takes no connections
SLACK = 8  # a worker may have an eighth more than another before it waits for it, as it must where many come at once
SURPLUS_SLACK = 4  # and a quarter more before it lets some go


class ConnectionShare:
    """The part that one worker has of all connections.

    Until `join`, and from `leave` on, it counts for nobody, so that nobody waits for this worker.
    """

    def __init__(self, counts: memoryview, index: int) -> None:
        """Take the place `index` among the `counts` of all workers, which are 32 bits each."""
        self._counts = counts
        self._index = index
        self._notify: Callable[[], None] | None = None
        self.leave()

    def join(self, notify: Callable[[], None]) -> None:
        """Begin to take connections; `notify` is called when one has ended."""
        self._notify = notify
        self._counts[self._index] = 0

    def leave(self) -> None:
        """Take no more connections."""
        self._notify = None
        self._counts[self._index] = ABSENT

    def publish(self, count: int) -> None:
        """Tell the other workers the `count` of this one's connections."""
        if self._notify:
            before, self._counts[self._index] = self._counts[self._index], count
            if count < before:
                self._notify()

    def may_take(self, joining: int) -> bool:
        """Check whether this worker may take one more connection.

        Args:
            joining: How many it has taken that aren't in its count yet.

        Returns:
            Whether no other worker has fewer; where this one has eight or more, fewer by more than an eighth.
        """
        others = self._counts.tolist()
        own = others.pop(self._index) + joining
        return bool(own - own // SLACK <= min(others, default=ABSENT))

    def compute_surplus(self) -> int:
        """Compute how many connections this worker should let go.

        Returns:
            What it has beyond an equal part of all; 0 where no other worker has far fewer, by more than one and by
            more than a quarter.
        """
        counts = [count for count in self._counts if count != ABSENT]
        own = self._counts[self._index]
        if not self._notify or own - min(counts) <= max(1, own // SURPLUS_SLACK):
            return 0
        equal = -(-sum(counts) // len(counts))
        return max(own - equal, 1)


def share_connections(workers: int) -> list[ConnectionShare]:
    """Share memory among workers that are about to be forked.

    Args:
        workers: How many there are.

    Returns:
        The share of each.
    """
    counts = memoryview(mmap.mmap(-1, COUNT_BYTES * workers)).cast("I")
    return [ConnectionShare(counts, index) for index in range(workers)]
