"""The tables of nuScenes: JSON files whose rows name each other by tokens.

Read without nuScenes' own package; what is computed here agrees with its `nuscenes.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.attributes import ATTRIBUTES
from training.convert.nuscenes_rows import Floats, Row, Table

# CenterTrack's order; the number of a camera (`sensor_id`) counts from 1.
CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_RIGHT', 'CAM_BACK', 'CAM_BACK_LEFT',
           'CAM_FRONT_LEFT')  # fmt: skip
_MICROSECONDS = 1e-6
# Further apart, two frames say nothing of the velocity between them; seconds.
_LARGEST_STEP = 1.5
_TABLES = ('scene', 'sample', 'sample_data', 'sample_annotation', 'ego_pose', 'calibrated_sensor',
           'sensor', 'instance', 'category', 'attribute', 'visibility')  # fmt: skip


@dataclass(frozen=True)
class CameraImage:
    """A picture of one camera.

    Attributes:
        file_name: inside the folder of the data set.
        size: (height, width) in pixels.
        seconds: when it was taken.
        camera_matrix: (3, 3).
        global_from_camera: (4, 4), metres.
    """

    file_name: str
    size: tuple[int, int]
    seconds: float
    camera_matrix: Floats
    global_from_camera: Floats


@dataclass(frozen=True)
class GlobalBox:
    """A labelled box in the frame of the map.

    Attributes:
        token: of its row in `sample_annotation`.
        instance: token of the thing, which stays the same through a scene.
        category: such as `vehicle.car`.
        attribute: 1 to 8, the place in `ATTRIBUTES`; 0 without.
        visibility: upper end of its level, a share from 0 to 1; 1 where the label does not say.
        middle: (3,), metres.
        size: width, length, height, metres.
        rotation: (3, 3), its front points along x.
        velocity: (3,), metres per second; not-a-number where unknown.
    """

    token: str
    instance: str
    category: str
    attribute: int
    visibility: float
    middle: Floats
    size: Floats
    rotation: Floats
    velocity: Floats


@dataclass(frozen=True)
class Keyframe:
    """One moment: pictures by the place of their camera in `CAMERAS`, and all boxes around."""

    token: str
    images: Mapping[int, CameraImage]
    boxes: tuple[GlobalBox, ...]


class NuScenesTables:
    """All tables of one version of the data set.

    Args:
        folder: such as `v1.0-trainval`.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table is malformed; the text has the file and the token.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder} does not exist: expected the tables of nuScenes')
        self._tables = {name: Table(folder / f'{name}.json') for name in _TABLES}
        self._samples = self._grouped('sample', 'scene', self._tables['sample'].rows.values())
        self._boxes = self._grouped(
            'sample_annotation', 'sample', self._tables['sample_annotation'].rows.values()
        )
        self._pictures = self._grouped('sample_data', 'sample', self._camera_rows())
        self._scenes: dict[str, Row] = {}
        for row in self._tables['scene'].rows.values():
            name = self._tables['scene'].text(row, 'name')
            if name in self._scenes:
                raise self._tables['scene'].error(row, f'name: {name!r} is there twice')
            self._scenes[name] = row

    @property
    def scene_names(self) -> tuple[str, ...]:
        """In the order of the table."""
        return tuple(self._scenes)

    def keyframes(self, scene: str) -> list[Keyframe]:
        """The labelled moments of a scene in the order of time.

        Raises:
            ValueError: a row is malformed; the text has the file and the token.
        """
        table = self._tables['sample']
        rows = self._samples.get(self._scenes[scene]['token'], [])
        rows = sorted(rows, key=lambda row: table.whole(row, 'timestamp'))
        for earlier, later in pairwise(rows):
            if earlier['timestamp'] == later['timestamp']:
                raise table.error(later, f'timestamp: the same as that of {earlier["token"]}')
        return [
            Keyframe(
                token=row['token'],
                images=self._images(row['token']),
                boxes=tuple(self._box(box) for box in self._boxes.get(row['token'], [])),
            )
            for row in rows
        ]

    def _images(self, sample: str) -> dict[int, CameraImage]:
        table = self._tables['sample_data']
        images: dict[int, CameraImage] = {}
        for row in self._pictures.get(sample, []):
            sensor = self._linked('sample_data', row, 'calibrated_sensor')
            camera = CAMERAS.index(self._channel(sensor))
            if camera in images:
                raise table.error(row, f'sample {sample} has two pictures of {CAMERAS[camera]}')
            ego = self._linked('sample_data', row, 'ego_pose')
            calibrated = self._tables['calibrated_sensor']
            images[camera] = CameraImage(
                file_name=table.text(row, 'filename'),
                size=(table.whole(row, 'height'), table.whole(row, 'width')),
                seconds=table.whole(row, 'timestamp') * _MICROSECONDS,
                camera_matrix=calibrated.numbers(sensor, 'camera_intrinsic', (3, 3)),
                global_from_camera=self._tables['ego_pose'].pose(ego) @ calibrated.pose(sensor),
            )
        return images

    def _box(self, row: Row) -> GlobalBox:
        table = self._tables['sample_annotation']
        instance = self._linked('sample_annotation', row, 'instance')
        category = self._linked('instance', instance, 'category')
        size = table.numbers(row, 'size', (3,))
        if size.min() <= 0:
            raise table.error(row, f'size: expected numbers above 0, received {size.tolist()}')
        return GlobalBox(
            token=row['token'],
            instance=instance['token'],
            category=self._tables['category'].text(category, 'name'),
            attribute=self._attribute(row),
            visibility=self._visibility(row),
            middle=table.numbers(row, 'translation', (3,)),
            size=size,
            rotation=table.rotation(row),
            velocity=self._velocity(row),
        )

    def _attribute(self, row: Row) -> int:
        table = self._tables['sample_annotation']
        tokens = row.get('attribute_tokens')
        if not isinstance(tokens, list) or len(tokens) > 1:
            raise table.error(row, f'attribute_tokens: expected one or none, received {tokens!r}')
        if not tokens:
            return 0
        attribute = self._referred('sample_annotation', row, 'attribute', tokens[0])
        name = self._tables['attribute'].text(attribute, 'name')
        if name not in ATTRIBUTES:
            raise self._tables['attribute'].error(
                attribute, f'name: expected one of {ATTRIBUTES}, received {name!r}'
            )
        return ATTRIBUTES.index(name) + 1

    def _visibility(self, row: Row) -> float:
        """The levels are `v0-40`, `v40-60`, `v60-80` and `v80-100`.

        Their upper ends, because nuScenes' evaluation expects detections of the lowest too.
        """
        if not row.get('visibility_token'):
            return 1.0
        level = self._linked('sample_annotation', row, 'visibility')
        text = self._tables['visibility'].text(level, 'level')
        end = text.rpartition('-')[2]
        if not end.isdecimal() or not 0 < int(end) <= 100:
            raise self._tables['visibility'].error(
                level, f'level: expected a text such as v40-60, received {text!r}'
            )
        return int(end) / 100

    def _velocity(self, row: Row) -> Floats:
        """From the labels before and after, as `box_velocity` of nuScenes' package."""
        table = self._tables['sample_annotation']
        ends, steps = [row, row], 0
        for place, key in enumerate(('prev', 'next')):
            token = table.text(row, key)
            if token:
                ends[place] = self._referred('sample_annotation', row, 'sample_annotation', token)
                steps += 1
        if steps == 0:
            return np.full(3, np.nan)
        times, places = [], []
        for end in ends:
            sample = self._linked('sample_annotation', end, 'sample')
            times.append(self._tables['sample'].whole(sample, 'timestamp') * _MICROSECONDS)
            places.append(table.numbers(end, 'translation', (3,)))
        duration = times[1] - times[0]
        if duration <= 0:
            raise table.error(row, 'prev, next: expected labels before and after it in time')
        if duration > steps * _LARGEST_STEP:
            return np.full(3, np.nan)
        velocity: Floats = (places[1] - places[0]) / duration
        return velocity

    def _camera_rows(self) -> list[Row]:
        """Rows of `sample_data` that are pictures of key frames."""
        cameras = {
            token
            for token, row in self._tables['calibrated_sensor'].rows.items()
            if self._channel(row) in CAMERAS
        }
        return [
            row
            for row in self._tables['sample_data'].rows.values()
            if row.get('is_key_frame') and row.get('calibrated_sensor_token') in cameras
        ]

    def _channel(self, calibrated_sensor: Row) -> str:
        sensor = self._linked('calibrated_sensor', calibrated_sensor, 'sensor')
        return self._tables['sensor'].text(sensor, 'channel')

    def _grouped(self, name: str, by: str, rows: Iterable[Row]) -> dict[str, list[Row]]:
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(self._linked(name, row, by)['token'], []).append(row)
        return groups

    def _linked(self, name: str, row: Row, other: str) -> Row:
        """The row of the table `other` that `row` of the table `name` names."""
        token = self._tables[name].text(row, f'{other}_token')
        return self._referred(name, row, other, token)

    def _referred(self, name: str, row: Row, other: str, token: Any) -> Row:
        found = self._tables[other].rows.get(token) if isinstance(token, str) else None
        if found is None:
            raise self._tables[name].error(
                row, f'expected a token of {self._tables[other].path.name}, received {token!r}'
            )
        return found
