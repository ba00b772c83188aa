"""Progress bars for people, few lines for log files."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

TERMINAL_SECONDS = 0.2
LOG_SECONDS = 10.0


def progress_bar(total: int | None, text: str) -> tqdm[Any]:
    """A bar on stderr that counts images."""
    interval = TERMINAL_SECONDS if sys.stderr.isatty() else LOG_SECONDS
    return tqdm(total=total, desc=text, unit='img', mininterval=interval, maxinterval=interval)
