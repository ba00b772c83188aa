"""Writes labelled sequences in the layout of MOTChallenge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from centertrack_ros.datatypes import BoolArray
from training.data.labels import FrameLabels, LabelledFrame, clip_boxes

_JPEG_QUALITY = 95
_DISTRACTOR = 8


class Sequence(Protocol):
    """Frames by number; `SyntheticSequence` is one."""

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        ...

    def __len__(self) -> int: ...

    def render(self, index: int) -> LabelledFrame:
        """One frame."""
        ...


def write_mot_sequence(
    folder: Path,
    sequence: Sequence,
    class_index: int,
    *,
    least_visible: float = 0.0,
    least_inside: float = 0.0,
) -> int:
    """Write `img1/`, `gt/gt.txt` and `seqinfo.ini`.

    Ground truth has the objects of one class in MOT16 format: frame and id from 1, left, top,
    width, height in pixels, clipped to the image, 1, class 1, visibility. Objects that nobody
    can be asked to find have 0 and class 8, `distractor`, instead: to miss them is no error, and
    benchmarks by MOTChallenge's rules drop the tracks that lie on them.

    Args:
        folder: folder of the sequence; must not exist.
        sequence: what to write.
        class_index: the class that goes into the ground truth.
        least_visible: objects of which others leave less than this share are distractors.
        least_inside: boxes of which the image holds less than this share are distractors.

    Returns:
        Number of boxes written.

    Raises:
        FileExistsError: the folder exists.
        OSError: a picture could not be written.
    """
    images, truth = folder / 'img1', folder / 'gt'
    folder.mkdir(parents=True)
    images.mkdir()
    truth.mkdir()
    rows: list[str] = []
    height = width = 0
    for index in range(len(sequence)):
        frame = sequence.render(index)
        height, width = frame.image.shape[:2]
        path = images / f'{index + 1:06d}.jpg'
        if not cv2.imwrite(str(path), frame.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
            raise OSError(f'{path} could not be written')
        chosen = frame.labels.select(frame.labels.classes == class_index)
        counted = is_counted(chosen, width, height, least_visible, least_inside)
        rows.extend(mot_rows(chosen, index + 1, width, height, counted))
    (truth / 'gt.txt').write_text(''.join(rows), encoding='utf-8')
    (folder / 'seqinfo.ini').write_text(
        f'[Sequence]\nname={folder.name}\nimDir=img1\nframeRate={sequence.frame_rate:g}\n'
        f'seqLength={len(sequence)}\nimWidth={width}\nimHeight={height}\nimExt=.jpg\n',
        encoding='utf-8',
    )
    return len(rows)


def is_counted(
    labels: FrameLabels, width: int, height: int, least_visible: float, least_inside: float
) -> BoolArray:
    """Which objects (N,) a tracker has to find; see `write_mot_sequence`."""
    whole = (labels.boxes[:, 2:] - labels.boxes[:, :2]).prod(axis=1)
    clipped = clip_boxes(labels.boxes, width, height)
    inside = (clipped[:, 2:] - clipped[:, :2]).prod(axis=1)
    counted: BoolArray = (labels.visibilities >= least_visible) & (inside >= least_inside * whole)
    return counted


def mot_rows(
    labels: FrameLabels, frame: int, width: int, height: int, counted: BoolArray
) -> Iterator[str]:
    """Lines of `gt.txt` for one frame; boxes with nothing inside the image are left out."""
    boxes = clip_boxes(labels.boxes, width, height)
    sizes = boxes[:, 2:] - boxes[:, :2]
    for row in np.flatnonzero((sizes > 0).all(axis=1)):
        left, top = boxes[row, :2]
        wide, high = sizes[row]
        mark = '1,1' if counted[row] else f'0,{_DISTRACTOR}'
        yield (
            f'{frame},{labels.track_ids[row]},{left:.2f},{top:.2f},{wide:.2f},{high:.2f},'
            f'{mark},{labels.visibilities[row]:.3f}\n'
        )
