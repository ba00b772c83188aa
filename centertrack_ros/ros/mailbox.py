"""A mailbox with one slot between the subscription and the worker: the newest item wins."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """Hands the newest item from one thread to another; what nobody took is overwritten."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._woken = False

    def put(self, item: Item) -> bool:
        """Leave an item. Returns True if it replaced one that nobody had taken."""
        with self._condition:
            replaced = self._item is not None
            self._item = item
            self._condition.notify()
            return replaced

    def wake(self) -> None:
        """Let `take` return at once, also without an item."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def take(self) -> Item | None:
        """Wait for an item or for `wake`, and empty the slot; None = woken without an item."""
        with self._condition:
            while self._item is None and not self._woken:
                self._condition.wait()
            item, self._item, self._woken = self._item, None, False
            return item

    def clear(self) -> None:
        """Throw away an item that nobody took."""
        with self._condition:
            self._item = None
