"""Draws sequences with exact boxes in space.

`python -m training.data.world data/world/train --seed 1 --sequences 160 --frames 18`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from centertrack_ros.replay.progress import progress_bar
from training.arguments import picture_size
from training.data.world.camera import FOCAL
from training.data.world.writing import write_world


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog='python -m training.data.world',
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('output', type=Path, help='new folder')
    parser.add_argument('--seed', type=int, default=1, help='of everything random (1)')
    parser.add_argument('--sequences', type=int, default=2, help='how many (2)')
    parser.add_argument('--frames', type=int, default=40, help='of each, ten a second (40)')
    parser.add_argument('--size', type=picture_size, default=(240, 400), help='HxW (240x400)')
    parser.add_argument(
        '--focal', type=float, default=FOCAL, help=f'focal length in widths ({FOCAL})'
    )
    arguments = parser.parse_args()
    try:
        with progress_bar(arguments.sequences * arguments.frames, 'drawing') as bar:
            counts = write_world(
                arguments.output,
                sequences=arguments.sequences,
                frames=arguments.frames,
                seed=arguments.seed,
                size=arguments.size,
                focal=arguments.focal,
                progress=bar.update,
            )
    except (OSError, ValueError) as error:
        print(f'training.data.world: {error}', file=sys.stderr)
        return 2
    print(f'{arguments.output}: {counts}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
