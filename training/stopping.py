"""Ctrl-C and SIGTERM, so that a training ends between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopNow(BaseException):
    """A signal has come where nothing is lost by leaving at once."""


class StopRequest:
    """Whether somebody wants the training to end.

    The first signal is a request, which is noticed after the step; inside of `at_once` it raises
    `StopNow`. The second one is a KeyboardInterrupt wherever it comes.

    Attributes:
        requested: whether a signal has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals; to be called in the main thread."""
        before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._receive) for number in _SIGNALS
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Where a signal does not have to wait.

        Raises:
            StopNow: one came, or has come before.
        """
        if self.requested:
            raise StopNow
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        if self._at_once:
            raise StopNow
