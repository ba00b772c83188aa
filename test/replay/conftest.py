"""What the replay tests share: a few images of a real clip, and recordings of every kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from replay_helpers import FPS, FRAME_COUNT

from centertrack_ros.replay.sources import open_source

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def clip_path():
    """The shipped clip with several people, 768x576 at 10 images per second."""
    return ROOT / 'samples' / 'pets09_s2l1.mp4'


@pytest.fixture(scope='session')
def frames(clip_path):
    """The first images of the clip, (H, W, 3) uint8 BGR."""
    images = []
    for frame in open_source(clip_path):
        images.append(frame.image)
        if len(images) == FRAME_COUNT:
            break
    return images


@pytest.fixture(scope='session')
def video_path(frames, tmp_path_factory):
    """A short video of them, without loss."""
    path = tmp_path_factory.mktemp('video') / 'short.avi'
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'FFV1'), FPS, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path
