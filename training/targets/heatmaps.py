"""Heatmaps of classes and of joints; 1 where nothing is to be learnt."""

from __future__ import annotations

import numpy as np

from centertrack_ros.datatypes import FloatArray
from centertrack_ros.rendering import render_peaks
from training.data.labels import ALL_CLASSES
from training.targets.joints import PlacedJoints
from training.targets.objects import (
    PlacedObjects,
    class_channels,
    covered_area,
    ignored_areas,
)


def class_heatmap(objects: PlacedObjects) -> FloatArray:
    """Peaks (C, h, w) in the channels of their classes; ignored regions and classes are 1.

    Objects that are not learnt have their peak too, which makes their surroundings cheap.
    """
    settings, shape = objects.settings, objects.settings.output_shape
    heatmap = np.zeros((settings.class_count, *shape), np.float32)
    for index in np.unique(objects.labels.classes[objects.present]):
        rows = objects.present & (objects.labels.classes == index)
        heatmap[index] = render_peaks(
            objects.cells[rows], objects.radii[rows], np.ones(rows.sum()), shape
        )
    for class_index, _, area in ignored_areas(objects):
        heatmap[(class_channels(class_index), *area)] = 1.0
    heatmap[objects.labels.unlabelled_classes] = 1.0
    return heatmap


def joint_heatmap(objects: PlacedObjects, joints: PlacedJoints) -> FloatArray:
    """Peaks (J, h, w) of the joints on the map, as wide as that of their object.

    A joint that is labelled but hidden has a peak and is no positive. One that is not labelled
    may be anywhere in the box of its object, which is painted 1; one outside the map costs
    nothing. Ignored regions are painted 1 unless they are crowds of another class than the
    first, which is the one that has joints.
    """
    settings, shape = objects.settings, objects.settings.output_shape
    heatmap = np.zeros((settings.joint_count, *shape), np.float32)
    for joint in range(settings.joint_count):
        rows = objects.present & joints.on_map[:, joint]
        heatmap[joint] = render_peaks(
            joints.cells[rows, joint], objects.radii[rows], np.ones(rows.sum()), shape
        )
    for row in np.flatnonzero(objects.present):
        area = covered_area(objects.boxes[row], settings.rules)
        for unknown in np.flatnonzero(~joints.labelled[row]):
            heatmap[(unknown, *area)] = 1.0
    for class_index, crowd, area in ignored_areas(objects):
        if class_index in (ALL_CLASSES, 0) or not crowd:
            heatmap[(slice(None), *area)] = 1.0
    return heatmap
