"""Writes a tiny data set with exact truth.

`python -m training.data.tiny video --output data/tiny_video`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.arguments import picture_size
from training.data.tiny.writing import KINDS, write_tiny_set


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('kind', choices=sorted(KINDS))
    parser.add_argument('--output', type=Path, required=True, help='new folder')
    parser.add_argument('--frames', type=int, default=40, help='of both videos together (40)')
    parser.add_argument('--seed', type=int, default=1, help='of everything random (1)')
    parser.add_argument('--size', type=picture_size, help='HxW of the pictures, multiples of 32')
    arguments = parser.parse_args()
    try:
        counts = write_tiny_set(
            arguments.kind,
            arguments.output,
            frames=arguments.frames,
            seed=arguments.seed,
            size=arguments.size,
        )
    except (OSError, ValueError) as error:
        print(f'training.data.tiny: {error}', file=sys.stderr)
        return 2
    print(f'{arguments.output}: {counts}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
