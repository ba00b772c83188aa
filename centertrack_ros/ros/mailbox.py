"""Between the subscriptions and the worker: one slot per sender, the newest item wins."""

from __future__ import annotations

import threading
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """Hands the newest item of each sender to another thread; what nobody took is overwritten."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        # In the order in which the senders began to wait: a newer item keeps the place.
        self._items: dict[int, Item] = {}
        self._woken = False

    def put(self, item: Item, sender: int = 0) -> bool:
        """Leave an item. Returns True if it replaced one that nobody had taken."""
        with self._condition:
            replaced = sender in self._items
            self._items[sender] = item
            self._condition.notify()
            return replaced

    def wake(self) -> None:
        """Let `take` return at once, also without an item."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def take(self, limit: int | None = None) -> dict[int, Item]:
        """Wait for an item or for `wake`, and empty the slots.

        Args:
            limit: of how many senders at most; those that wait longest come first.

        Returns:
            The items by sender; none after `wake`.
        """
        with self._condition:
            while not self._items and not self._woken:
                self._condition.wait()
            self._woken = False
            return {sender: self._items.pop(sender) for sender in list(islice(self._items, limit))}

    def clear(self) -> None:
        """Throw away the items that nobody took."""
        with self._condition:
            self._items.clear()
