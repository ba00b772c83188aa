"""Writes the articulated sequences: `python -m training.data.articulated --output DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.data.articulated.scenarios import SCENARIOS
from training.data.articulated.writing import ANNOTATIONS, write_sequences


def main(arguments: Sequence[str] | None = None) -> None:
    """Write them."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, default=Path('../shared/data'), help='data folder')
    parser.add_argument('--output', type=Path, required=True, help='new folder')
    parser.add_argument(
        '--only', nargs='+', choices=names, default=names, metavar='NAME',
        help='names of the sequences, all by default: ' + ', '.join(names),
    )  # fmt: skip
    parser.add_argument('--draw', type=int, default=0, help='other people in the same scenes')
    parser.add_argument('--frames', type=int, help='most frames of a sequence')
    options = parser.parse_args(arguments)
    chosen = [scenario for scenario in SCENARIOS if scenario.name in options.only]
    counts = write_sequences(
        options.output, chosen, options.data, draw=options.draw, most_frames=options.frames
    )
    print(f'{options.output / ANNOTATIONS}: {counts}')


if __name__ == '__main__':
    main()
