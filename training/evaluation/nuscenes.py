"""Result files of the detection and tracking benchmarks of nuScenes.

Boxes go from the camera to the world by `trans_matrix` of their image (4x4, camera to world). As
the benchmark wants them: `translation` is the middle of the box, `size` width, length, height,
`rotation` a quaternion w, x, y, z that turns x forward, y left and z up, `velocity` x and y.
The boxes of the cameras of a sample are put together without looking at each other, as in
CenterTrack, and the best 500 stay.

Two things differ from CenterTrack. It takes the middle of the top for the middle of the box,
which the benchmark hardly notices as it compares on the ground; and its quaternions turn the
forward axis right but lay the box on its side. Ids of its tracks repeat between the cameras of a
scene; here they begin with the number of the camera.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from centertrack_ros.attributes import ATTRIBUTES, ATTRIBUTES_OF
from centertrack_ros.datatypes import Detections
from centertrack_ros.files import write_atomically
from centertrack_ros.lifting import Boxes3D, lift_detections
from training.evaluation.runner import FrameResult
from training.evaluation.sequences import benchmark_classes
from training.evaluation.sets import EvaluationSet

MOST_BOXES = 500
# Metres.
LEAST_SIZE = 0.01
UNTRACKED_CLASSES = ('construction_vehicle', 'traffic_cone', 'barrier')
_META = {
    'use_camera': True, 'use_lidar': False, 'use_radar': False, 'use_map': False,
    'use_external': False,
}  # fmt: skip

Content = dict[str, Any]


def nuscenes_detection_results(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> Content:
    """What the file of the detection benchmark says: all candidates of each sample.

    Args:
        evaluation_set: images have `calib`, `trans_matrix` and `sample_token`.
        results: one per record, of a model with depth, dimensions and rotation. Without
            attributes each box gets the first one of its class, as in CenterTrack, and without
            velocities they are 0.

    Returns:
        `meta` and `results`: sample token -> boxes, best score first; empty where there are none.

    Raises:
        ValueError: an image or the model lacks one of these, or a class is none of nuScenes.
    """
    names = benchmark_classes(evaluation_set, ATTRIBUTES_OF, 'nuScenes')
    samples: dict[str, list[Content]] = {}
    for row, result in enumerate(results):
        camera = _Camera(evaluation_set, row)
        boxes = samples.setdefault(camera.token, [])
        found = result.detections[np.isin(result.detections.classes, list(names))]
        for index, box in enumerate(camera.boxes(found)):
            name = names[int(found.classes[index])]
            boxes.append(
                box
                | {
                    'detection_name': name,
                    'detection_score': float(found.scores[index]),
                    'attribute_name': attribute_name(found, index, name),
                }
            )
    return _content(samples, 'detection_score')


def nuscenes_tracking_results(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> Content:
    """What the file of the tracking benchmark says: the tracks seen in each sample.

    Construction vehicles, cones and barriers are not tracked there and left out; so are tracks
    reported without a detection, which have no box in space. `tracking_id` is unique in a scene:
    the camera's `sensor_id`, a dash and the track. Arguments, returns and errors as those of
    `nuscenes_detection_results`.
    """
    names = benchmark_classes(evaluation_set, ATTRIBUTES_OF, 'nuScenes')
    tracked = [index for index, name in names.items() if name not in UNTRACKED_CLASSES]
    samples: dict[str, list[Content]] = {}
    for row, result in enumerate(results):
        camera = _Camera(evaluation_set, row)
        boxes = samples.setdefault(camera.token, [])
        tracks = result.tracks[np.isin(result.tracks.classes, tracked)]
        tracks = tracks[tracks.detection_indices >= 0]
        found = camera.boxes(result.seen[tracks.detection_indices])
        for index, box in enumerate(found):
            boxes.append(
                box
                | {
                    'tracking_id': f'{camera.sensor}-{tracks.ids[index]}',
                    'tracking_name': names[int(tracks.classes[index])],
                    'tracking_score': float(tracks.scores[index]),
                }
            )
    return _content(samples, 'tracking_score')


def write_nuscenes(path: Path, content: Mapping[str, Any]) -> None:
    """Write a result file whole or not at all."""
    write_atomically(path, json.dumps(content, allow_nan=False))


def attribute_name(detections: Detections, index: int, class_name: str) -> str:
    """The likeliest attribute of those that the class can have; '' for classes without."""
    channels = ATTRIBUTES_OF[class_name]
    names = ATTRIBUTES[channels]
    if not names:
        return ''
    if detections.attributes is None:
        return names[0]
    return names[int(detections.attributes[index, channels].argmax())]


class _Camera:
    """One image of a sample."""

    def __init__(self, evaluation_set: EvaluationSet, row: int) -> None:
        place = evaluation_set.records[row].row
        image = evaluation_set.content['images'][place]
        self._place = f'{evaluation_set.source}: images[{place}]'
        self.token = image.get('sample_token')
        self.sensor = image.get('sensor_id', 1)
        if not isinstance(self.token, str) or not self.token:
            raise ValueError(f'{self._place}: expected a sample_token, received {self.token!r}')
        self._matrix = self._to_world(image.get('trans_matrix'))
        camera_matrix = evaluation_set.records[row].camera_matrix
        if camera_matrix is None:
            raise ValueError(f'{self._place}: expected calib (3x4), which is missing')
        self._camera_matrix = camera_matrix

    def boxes(self, detections: Detections) -> Iterator[Content]:
        """What both benchmarks want to know of each detection."""
        turn, shift = self._matrix[:3, :3], self._matrix[:3, 3]
        space = lift_detections(detections, self._camera_matrix)
        middles = space.middles @ turn.T + shift
        # Width, length, height. The development kit stops at sizes of 0 and less, which an
        # untrained network can say.
        sizes = np.maximum(space.dimensions[:, [1, 2, 0]], LEAST_SIZE)
        rotations = quaternions(space, turn)
        velocities = np.zeros((len(space), 3))
        if detections.velocity is not None:
            velocities = detections.velocity @ turn.T
        for row in range(len(space)):
            yield {
                'sample_token': self.token,
                'translation': middles[row].tolist(),
                'size': sizes[row].tolist(),
                'rotation': rotations[row].tolist(),
                'velocity': velocities[row, :2].tolist(),
            }

    def _to_world(self, value: Any) -> NDArray[np.float64]:
        try:
            matrix = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            matrix = np.zeros(0)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError(
                f'{self._place}: trans_matrix: expected 4x4 numbers (camera to world), received '
                f'{value!r}'
            )
        return matrix


def quaternions(boxes: Boxes3D, turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quaternions (N, 4) w, x, y, z that turn x forward, y left and z up in the world.

    Args:
        boxes: in the frame of the camera.
        turn: (3, 3) from the camera to the world.
    """
    yaw = boxes.yaws.astype(np.float64)
    none = np.zeros_like(yaw)
    forward = np.stack((np.cos(yaw), none, -np.sin(yaw)), axis=1)
    left = np.stack((np.sin(yaw), none, np.cos(yaw)), axis=1)
    up = np.stack((none, none - 1, none), axis=1)
    axes = np.stack((forward, left, up), axis=2)
    if not len(boxes):
        return np.zeros((0, 4))
    # Scipy puts the real part last.
    return np.roll(Rotation.from_matrix(turn @ axes).as_quat(), 1, axis=1)


def _content(samples: Mapping[str, list[Content]], score: str) -> Content:
    best = {
        token: sorted(boxes, key=lambda box: -box[score])[:MOST_BOXES]
        for token, boxes in samples.items()
    }
    return {'meta': dict(_META), 'results': best}
