"""`boxes_3d.json`: the boxes in space of a replay, image by image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from centertrack_ros.attributes import attribute_name
from centertrack_ros.replay.records import FrameRecord

# What the numbers mean, in the file itself.
UNITS: Mapping[str, str] = {
    'frame': 'optical frame of the camera: x right, y down, z forward, metres',
    'middle': 'x, y, z of the centre of the box',
    'dimensions': 'height, width, length, metres',
    'yaw': 'radians about y, from -pi to pi; 0 = the front points along x, pi/2 = at the camera',
    'velocity': 'x, y, z in metres per second, relative to the camera; 0 in a live replay, as '
    'the messages do not hold it',
    'covariance': 'x, y, z, yaw: 4x4, metres and radians, squared',
    'seen': 'false where the box is predicted through a miss; true in a live replay',
    'attribute': 'of nuScenes, for models that say it',
}
DIGITS = 4


def write_boxes_3d(path: Path, records: Sequence[FrameRecord], class_names: Sequence[str]) -> None:
    """Write the file: `units` and `images`, one per record, with their `boxes`.

    Args:
        path: .json file.
        records: one per image; those without boxes in space have none in the file.
        class_names: `ModelSpec.classes`.
    """
    images = [
        {'image': number, 'stamp_ns': record.stamp_ns, 'boxes': _boxes(record, class_names)}
        for number, record in enumerate(records, start=1)
    ]
    # One image a line: people look for one, and indented covariances fill pages.
    lines = ',\n'.join(json.dumps(image, ensure_ascii=False, allow_nan=False) for image in images)
    units = json.dumps(UNITS, indent=1)
    path.write_text(f'{{"units": {units},\n"images": [\n{lines}\n]}}\n', encoding='utf-8')


def _boxes(record: FrameRecord, class_names: Sequence[str]) -> list[dict[str, Any]]:
    boxes_3d, tracks = record.boxes_3d, record.tracks
    if boxes_3d is None:
        return []
    boxes = []
    for row in boxes_3d.known.nonzero()[0].tolist():
        box = {
            'id': int(tracks.ids[row]),
            'class': class_names[int(tracks.classes[row])],
            'score': _rounded(tracks.scores[row]),
            'seen': bool(tracks.misses[row] == 0),
            'middle': _rounded(boxes_3d.middles[row]),
            'dimensions': _rounded(boxes_3d.dimensions[row]),
            'yaw': _rounded(boxes_3d.yaws[row]),
            'velocity': _rounded(boxes_3d.velocities[row]),
            'covariance': _rounded(boxes_3d.covariances[row], DIGITS + 2),
        }
        if boxes_3d.attributes is not None:
            box['attribute'] = attribute_name(int(boxes_3d.attributes[row]))
        boxes.append(box)
    return boxes


def _rounded(values: Any, digits: int = DIGITS) -> Any:
    # As float64, in which a rounded number has few digits.
    return values.astype(float).round(digits).tolist()
