"""Types of command line arguments that several programs share."""

from __future__ import annotations

import argparse


def picture_size(text: str) -> tuple[int, int]:
    """Height and width of `HEIGHTxWIDTH`, for `argparse`.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    height, _, width = text.partition('x')
    if not (height.isdecimal() and width.isdecimal()):
        raise argparse.ArgumentTypeError(
            f'expected HEIGHTxWIDTH such as 240x400, received {text!r}'
        )
    return int(height), int(width)
