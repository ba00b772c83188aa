#!/usr/bin/env python3
"""Cut a short excerpt out of a video, as an MPEG-4 file that every OpenCV build can read.

The clips in samples/ were made with

    scripts/make_samples.py vtest.avi --start 100 --frames 200 --output samples/pets09_s2l1.mp4
    scripts/make_samples.py one-by-one-person-detection.mp4 --start 690 --frames 200 \
        --output samples/person_indoor.mp4

Sources and licences: docs/credits.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2


def main() -> int:
    """Parse the command line and write the excerpt."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n\n')[0])
    parser.add_argument('input', type=Path, help='source video')
    parser.add_argument('--start', type=int, default=0, help='first frame, counted from 0')
    parser.add_argument('--frames', type=int, default=200, help='how many frames')
    parser.add_argument('--output', type=Path, required=True, help='the .mp4 to write')
    arguments = parser.parse_args()
    try:
        cut(arguments.input, arguments.start, arguments.frames, arguments.output)
    except (OSError, ValueError) as error:
        print(f'make_samples: {error}', file=sys.stderr)
        return 1
    print(f'{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB')
    return 0


def cut(source: Path, start: int, count: int, output: Path) -> None:
    """Write frames `start` to `start + count - 1` of `source` to `output` at the same rate.

    Raises:
        FileNotFoundError: `source` cannot be opened as a video.
        ValueError: it has fewer frames than that, or no codec is there to write with.
    """
    reader = cv2.VideoCapture(str(source))
    if not reader.isOpened():
        raise FileNotFoundError(f'{source} cannot be opened as a video')
    rate = reader.get(cv2.CAP_PROP_FPS)
    size = (int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    output.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(output), cv2.VideoWriter.fourcc(*'mp4v'), rate, size)
    if not writer.isOpened():
        raise ValueError(f'OpenCV cannot write MPEG-4 to {output}')
    # Frames before the start are decoded, not sought: seeking lands on key frames only.
    for index in range(start + count):
        ok, frame = reader.read()
        if not ok:
            writer.release()
            output.unlink()
            raise ValueError(f'{source} has {index} frames, needed are {start + count}')
        if index >= start:
            writer.write(frame)
    writer.release()


if __name__ == '__main__':
    sys.exit(main())
