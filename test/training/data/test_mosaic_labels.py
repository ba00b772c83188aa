"""Mosaics keep joints and outlines, cut at the seams; what needs a camera becomes unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.data.labels import FrameLabels, LabelledFrame
from training.data.mosaic import MosaicSource, clip_outline, fill_tile, join_labels
from training.targets.masks import fill_outline


def labelled_photo() -> LabelledFrame:
    """A bright square of 40 pixels in a dark picture, with everything that labels may have."""
    image = np.zeros((100, 100, 3), np.uint8)
    image[30:70, 30:70] = 200
    labels = FrameLabels.from_rows([[30, 30, 70, 70]], [1], [5])
    square = np.array([[30, 30], [70, 30], [70, 70], [30, 70]], np.float32)
    return LabelledFrame(
        image,
        replace(
            labels,
            joints=np.array([[[32, 32, 2], [68, 32, 1], [0, 0, 0]]], np.float32),
            joint_pairs=((1, 2),),
            outlines=((square,),),
            depth=np.array([10.0], np.float32),
            alpha=np.array([0.5]),
        ),
    )


class Photos:
    """The photo, twice."""

    def __len__(self) -> int:
        return 2

    def frame(self, index: int) -> LabelledFrame:
        return labelled_photo()


def test_outlines_cover_what_is_bright() -> None:
    generator = np.random.default_rng(3)
    for _ in range(10):
        frame = MosaicSource(Photos(), 64, 96).sample_pair(generator).current
        labels = frame.labels
        assert labels.outlines is not None
        covered = sum(fill_outline(outline, (64, 96)) for outline in labels.outlines)
        bright = frame.image[..., 0] > 100
        # Interpolation at the rims.
        assert (covered.astype(bool) != bright).mean() < 0.03
        assert bright.any()
        assert covered.max() == 1


def test_joints_stay_in_their_tile() -> None:
    generator = np.random.default_rng(3)
    cut = 0
    for _ in range(20):
        frame = fill_tile(labelled_photo(), 30, 60, generator)
        joints, boxes = frame.labels.joints, frame.labels.boxes
        assert joints is not None
        for place, box in zip(joints, boxes, strict=True):
            known = place[place[:, 2] > 0]
            assert (known[:, :2] >= 0).all()
            assert (known[:, :2] < (30, 60)).all()
            assert (known[:, 0] >= box[0] - 1e-3).all()
            cut += 2 - len(known)
            assert not place[place[:, 2] == 0].any()
    assert cut > 3


def test_joined_labels_know_what_all_parts_know() -> None:
    labels = labelled_photo().labels
    joined = join_labels([labels, labels])
    assert joined.joint_pairs == ((1, 2),)
    assert joined.joints is not None
    assert joined.outlines is not None
    assert joined.joints.shape == (2, 3, 3)
    assert len(joined.outlines) == 2
    assert joined.track_ids.tolist() == [1, 2]
    assert joined.depth is None
    assert joined.alpha is None
    partly = join_labels([labels, replace(labels, joints=None, outlines=None)])
    assert partly.joints is None
    assert partly.outlines is None


@pytest.mark.parametrize(
    ('polygon', 'expected'),
    [
        ([[2, 2], [8, 2], [8, 8], [2, 8]], 36),  # inside
        ([[-5, 2], [5, 2], [5, 8], [-5, 8]], 30),  # over the left edge
        ([[-9, -9], [99, -9], [99, 99], [-9, 99]], 100),  # around everything
        ([[5, -5], [15, 5], [5, 15], [-5, 5]], 100),  # only its corners outside
        ([[11, 2], [15, 2], [15, 8]], 0),  # outside
        ([[-4, 1], [14, 1], [14, 3], [4, 3], [4, 7], [14, 7], [14, 9], [-4, 9]], 56),  # a C
    ],
)
def test_clipped_area(polygon: list[list[float]], expected: int) -> None:
    outline = clip_outline((np.array(polygon, np.float32),), 10, 10)
    for part in outline:
        assert part.min() >= 0
        assert part.max() <= 10
    area = fill_outline(outline, (10, 10)).sum() if outline else 0
    assert area == expected
