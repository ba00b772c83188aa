"""Which frame of a video goes with which: the rules of CenterTrack's `generic_dataset.py`."""

from __future__ import annotations

import numpy as np

from centertrack_ros.datatypes import IntArray


def sample_neighbour(
    frames: IntArray, frame: int, max_frame_distance: int, generator: np.random.Generator
) -> int:
    """Row of a random frame nearer than `max_frame_distance` to `frame`.

    The frame itself and later frames are among them: a network that has only seen time run
    forward learns the usual direction of motion instead of looking.

    Args:
        frames: (F,) numbers of the frames of one video, `frame` among them.
        frame: number of the current frame.
        max_frame_distance: the difference stays below this; 0 and 1 leave the frame itself.
        generator: source of randomness.
    """
    near = np.flatnonzero(np.abs(frames - frame) < max(max_frame_distance, 1))
    return int(near[generator.integers(len(near))])


def evaluation_neighbour(frames: IntArray, frame: int) -> int:
    """Row of exactly the previous frame; of the frame itself where there is none."""
    before = np.flatnonzero(frames == frame - 1)
    return int(before[0]) if len(before) else int(np.flatnonzero(frames == frame)[0])
