"""Signals that end the process in order."""

from __future__ import annotations

import signal
from typing import Any


class StopRequest:
    """Remembers that SIGINT or SIGTERM came, however often.

    rclpy's own handlers shut the middleware down at once, and a worker that publishes at that
    moment can bring the process down with a segmentation fault. So the node is closed first.
    """

    def __init__(self) -> None:
        """Take over both signals; to be made in the main thread."""
        self.requested = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def ignore(self) -> None:
        """Let later ones do nothing: Python would die of them while it cleans up after `main`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.requested = True
