"""Sources of which a model has only some classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.data.chosen_classes import choose_classes
from training.data.labels import ALL_CLASSES, FrameLabels, FramePair, ImageSource, LabelledFrame

GIVEN = ('car', 'person', 'dog')
LABELS = FrameLabels.from_rows(
    boxes=[[0, 0, 1, 1], [1, 1, 2, 2], [2, 2, 3, 3], [3, 3, 4, 4]],
    classes=[1, 0, 2, 1],
    track_ids=[1, 2, 3, 4],
    ignore_boxes=[[0, 0, 9, 9], [1, 0, 9, 9], [2, 0, 9, 9]],
    ignore_classes=[0, ALL_CLASSES, 1],
    unlabelled_classes=[0, 1],
)


class Pairs:
    """Always the same pair."""

    def sample_pair(self, generator):
        frame = LabelledFrame(np.zeros((8, 8, 3), np.uint8), LABELS)
        still = replace(frame, labels=replace(LABELS, ignore_track_ids=np.array([7, 8, 9])))
        return FramePair(frame, still, framed=True)


class Images(Pairs):
    """The same, with numbers."""

    def __len__(self):
        return 3

    def pair(self, index, generator):
        return self.sample_pair(generator)

    def name(self, index):
        return f'{index}.png'


def test_objects_and_regions_of_other_classes_are_left_out():
    pair = choose_classes(Pairs(), GIVEN, ('dog', 'person')).sample_pair(None)
    assert pair.framed
    for frame in (pair.current, pair.previous):
        labels = frame.labels
        assert labels.classes.tolist() == [1, 0, 1]
        assert labels.track_ids.tolist() == [1, 3, 4]
        assert labels.boxes[:, 0].tolist() == [0, 2, 3]
        assert labels.ignore_classes.tolist() == [ALL_CLASSES, 1]
        assert labels.ignore_boxes[:, 0].tolist() == [1, 2]
        assert labels.unlabelled_classes.tolist() == [1]
    assert pair.previous.labels.ignore_track_ids.tolist() == [8, 9]
    assert LABELS.classes.tolist() == [1, 0, 2, 1]


def test_frames_keep_their_numbers():
    chosen = choose_classes(Images(), GIVEN, ('person',))
    assert isinstance(chosen, ImageSource)
    assert len(chosen) == 3
    assert chosen.name(2) == '2.png'
    assert chosen.pair(1, None).current.labels.track_ids.tolist() == [1, 4]
    assert not isinstance(choose_classes(Pairs(), GIVEN, ('person',)), ImageSource)


def test_nothing_changes_where_the_classes_are_the_same():
    source = Pairs()
    assert choose_classes(source, GIVEN, GIVEN) is source
    with pytest.raises(ValueError, match=r"received \['cat'\]"):
        choose_classes(source, GIVEN, ('cat',))


def test_frames_without_objects():
    empty = FrameLabels.from_rows()
    source = Pairs()
    frame = LabelledFrame(np.zeros((8, 8, 3), np.uint8), empty)
    source.sample_pair = lambda generator: FramePair(frame, frame)
    labels = choose_classes(source, GIVEN, ('person',)).sample_pair(None).current.labels
    assert len(labels) == 0
    assert labels.ignore_boxes.shape == (0, 4)
