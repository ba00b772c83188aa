from __future__ import annotations

import numpy as np

from centertrack_ros.attributes import (
    ATTRIBUTES,
    ATTRIBUTES_OF,
    allowed_attributes,
    attribute_name,
    likeliest_attributes,
)
from training.classes import NUSCENES_CLASSES


def test_every_class_of_nuscenes_has_its_group():
    assert set(ATTRIBUTES_OF) == set(NUSCENES_CLASSES)
    allowed = allowed_attributes(NUSCENES_CLASSES)
    for name, row in zip(NUSCENES_CLASSES, allowed, strict=True):
        groups = {ATTRIBUTES[index].split('.')[0] for index in np.flatnonzero(row)}
        assert len(groups) == (name not in ('traffic_cone', 'barrier'))
    assert allowed[NUSCENES_CLASSES.index('bicycle')].tolist() == [True] * 2 + [False] * 6


def test_the_likeliest_of_those_that_a_class_can_have():
    allowed = allowed_attributes(('bicycle', 'pedestrian', 'barrier', 'kiosk'))
    logits = np.tile(np.float32([-3, -2, 1, 4, 2, 9, 9, 9]), (4, 1))
    found = likeliest_attributes(logits, allowed)
    assert [attribute_name(index) for index in found] == [
        'cycle.without_rider', 'pedestrian.standing', '', '',
    ]  # fmt: skip
    assert likeliest_attributes(logits[:0], allowed[:0]).shape == (0,)
