"""A tiny data set in the layout of nuScenes, with a geometry that is known exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

HEIGHT, WIDTH = 180, 320
FOCAL_LENGTH = 250.0
# Channel -> direction from the front of the car, degrees to the left; the lidar has no pictures.
CHANNELS = {
    'LIDAR_TOP': 0.0, 'CAM_FRONT': 0.0, 'CAM_FRONT_RIGHT': -55.0, 'CAM_BACK_RIGHT': -110.0,
    'CAM_BACK': 180.0, 'CAM_BACK_LEFT': 110.0, 'CAM_FRONT_LEFT': 55.0,
}  # fmt: skip
SIZES = {  # width, length, height
    'vehicle.car': (1.9, 4.6, 1.7),
    'vehicle.truck': (2.5, 7.0, 3.5),
    'human.pedestrian.adult': (0.7, 0.7, 1.8),
    'movable_object.barrier': (2.0, 0.5, 1.0),
    'animal': (0.4, 0.9, 0.6),
}
# Columns are the camera's axes (right, down, forward) in the frame of the car (front, left, up).
_LEVEL_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_START = 1_500_000_000_000_000
_STEP = 500_000


@dataclass(frozen=True)
class Thing:
    """A thing that moves evenly; metres and degrees in the frame of the map.

    Attributes:
        category: key of `SIZES`.
        place: x, y in the first key frame.
        yaw: of its front, from x to the left.
        speed: x, y metres per second.
        attribute: its name; empty without.
        frames: key frames in which it is labelled.
        visibility: token of the level, 1 to 4.
    """

    category: str
    place: tuple[float, float]
    yaw: float = 0.0
    speed: tuple[float, float] = (0.0, 0.0)
    attribute: str = ''
    frames: tuple[int, ...] = (0, 1, 2)
    visibility: str = '4'

    def middle(self, frame: int) -> np.ndarray[Any, Any]:
        """Its middle (3,) in a key frame; it stands on the ground."""
        seconds = frame * _STEP * 1e-6
        place = np.add(self.place, np.multiply(seconds, self.speed))
        return np.array([*place, SIZES[self.category][2] / 2])


# Among them a truck that hides the first pedestrian until our car has moved, and a car beside us
# that no picture shows whole.
THINGS = (
    Thing('vehicle.car', (20, 3), 10, (8, 1), 'vehicle.moving'),
    Thing('vehicle.truck', (15, -6), 90, (0, 0), 'vehicle.parked', visibility='2'),
    Thing('human.pedestrian.adult', (32, -6.2), 45, (0, 0), 'pedestrian.standing'),
    Thing('human.pedestrian.adult', (-14, 1), -120, (1, 0), 'pedestrian.moving', frames=(1,)),
    Thing('vehicle.car', (1.7, 3.2), 0, (4, 0), 'vehicle.moving'),
    Thing('movable_object.barrier', (18, 14), 30),
    Thing('animal', (12, 1), 0, (0, 1)),
)


def write_tiny_nuscenes(
    root: Path,
    scenes: Iterable[str] = ('scene-0061', 'scene-0103'),
    version: str = 'v1.0-mini',
    *,
    things: Iterable[Thing] = THINGS,
    frames: int = 3,
    pitch: float = 0.0,
) -> Path:
    """Write tables and grey pictures; returns the folder of the tables.

    Args:
        root: folder of the data set; made if needed.
        scenes: names.
        version: folder of the tables.
        things: what is labelled, the same in every scene.
        frames: key frames of a scene.
        pitch: of the cameras, degrees downwards.
    """
    tables = _fixed_tables(pitch)
    grey = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    for scene in scenes:
        _add_scene(tables, scene, tuple(things), frames)
    for row in tables['sample_data']:
        if row['fileformat'] == 'jpg':
            path = root / row['filename']
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), grey)
    folder = root / version
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f'{name}.json').write_text(json.dumps(rows), encoding='utf-8')
    return folder


def ego_pose(frame: int) -> tuple[np.ndarray[Any, Any], float]:
    """Place (3,) and yaw in degrees of the car in a key frame."""
    return np.array([2.0 * frame, 0.3 * frame, 0.0]), 4.0 * frame


def _fixed_tables(pitch: float) -> dict[str, list[dict[str, Any]]]:
    """Everything that scenes share, and empty lists for the rest."""
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ('scene', 'sample', 'sample_data', 'sample_annotation', 'ego_pose',
                              'calibrated_sensor', 'sensor', 'instance')
    }  # fmt: skip
    # Nothing here reads this one, but nuScenes' own package does.
    tables['map'] = [
        {'token': 'map', 'log_tokens': ['log'], 'category': '', 'filename': 'maps/map.png'}
    ]
    tables['log'] = [{'token': 'log', 'logfile': 'tiny', 'location': 'nowhere',
                      'vehicle': 'n0', 'date_captured': '2020-01-01'}]  # fmt: skip
    tables['category'] = [
        {'token': f'category {name}', 'name': name, 'description': '', 'index': index}
        for index, name in enumerate(SIZES)
    ]
    names = (
        'cycle.with_rider', 'cycle.without_rider', 'pedestrian.moving', 'pedestrian.standing',
        'pedestrian.sitting_lying_down', 'vehicle.moving', 'vehicle.parked', 'vehicle.stopped',
    )  # fmt: skip
    tables['attribute'] = [
        {'token': f'attribute {name}', 'name': name, 'description': ''} for name in names
    ]
    tables['visibility'] = [
        {'token': str(number), 'level': level, 'description': ''}
        for number, level in enumerate(('v0-40', 'v40-60', 'v60-80', 'v80-100'), start=1)
    ]
    intrinsic = [[FOCAL_LENGTH, 0, WIDTH / 2], [0, FOCAL_LENGTH, HEIGHT / 2 + 3], [0, 0, 1]]
    for channel, degrees in CHANNELS.items():
        camera = channel.startswith('CAM')
        turn = Rotation.from_euler('z', degrees, degrees=True)
        place = np.array([0.5, 0.0, 1.5]) + turn.apply([1.0, 0.0, 0.0])
        if camera:
            tilt = Rotation.from_euler('x', -pitch, degrees=True)
            turn = turn * Rotation.from_matrix(_LEVEL_CAMERA) * tilt
        modality = 'camera' if camera else 'lidar'
        tables['sensor'].append(
            {'token': f'sensor {channel}', 'channel': channel, 'modality': modality}
        )
        tables['calibrated_sensor'].append(
            {
                'token': f'calibrated {channel}',
                'sensor_token': f'sensor {channel}',
                'translation': place.tolist(),
                'rotation': turn.as_quat(scalar_first=True).tolist(),
                'camera_intrinsic': intrinsic if camera else [],
            }
        )
    return tables


def _add_scene(
    tables: Mapping[str, list[dict[str, Any]]], scene: str, things: tuple[Thing, ...], frames: int
) -> None:
    samples = [f'{scene} sample {frame}' for frame in range(frames)]
    tables['scene'].append(
        {
            'token': f'token of {scene}',
            'name': scene,
            'description': '',
            'log_token': 'log',
            'nbr_samples': frames,
            'first_sample_token': samples[0],
            'last_sample_token': samples[-1],
        }
    )
    for frame, sample in enumerate(samples):
        stamp = _START + frame * _STEP
        links = _links(samples, frame)
        tables['sample'].append(
            {'token': sample, 'timestamp': stamp, 'scene_token': f'token of {scene}', **links}
        )
        place, degrees = ego_pose(frame)
        turn = Rotation.from_euler('z', degrees, degrees=True)
        for channel in CHANNELS:
            # Sweeps between the key frames are there too, without labels.
            for sweep in (False, True):
                name = f'{scene} {frame} {channel}' + (' sweep' if sweep else '')
                kind = 'jpg' if channel.startswith('CAM') else 'pcd'
                folder = 'sweeps' if sweep else 'samples'
                tables['ego_pose'].append(
                    {
                        'token': f'pose {name}',
                        'translation': place.tolist(),
                        'rotation': turn.as_quat(scalar_first=True).tolist(),
                        'timestamp': stamp,
                    }
                )
                tables['sample_data'].append(
                    {
                        'token': f'data {name}',
                        'sample_token': sample,
                        'ego_pose_token': f'pose {name}',
                        'calibrated_sensor_token': f'calibrated {channel}',
                        'filename': f'{folder}/{channel}/{scene}-{frame}.{kind}',
                        'fileformat': kind,
                        'width': WIDTH if kind == 'jpg' else 0,
                        'height': HEIGHT if kind == 'jpg' else 0,
                        'timestamp': stamp + (_STEP // 3 if sweep else 10_000),
                        'is_key_frame': not sweep,
                        'next': '',
                        'prev': '',
                    }
                )
    for number, thing in enumerate(things):
        _add_thing(tables, samples, f'{scene} thing {number}', thing)


def _add_thing(
    tables: Mapping[str, list[dict[str, Any]]], samples: list[str], name: str, thing: Thing
) -> None:
    tokens = [f'{name} in {frame}' for frame in thing.frames]
    tables['instance'].append(
        {
            'token': name,
            'category_token': f'category {thing.category}',
            'nbr_annotations': len(tokens),
            'first_annotation_token': tokens[0],
            'last_annotation_token': tokens[-1],
        }
    )
    turn = Rotation.from_euler('z', thing.yaw, degrees=True).as_quat(scalar_first=True)
    for place, frame in enumerate(thing.frames):
        tables['sample_annotation'].append(
            {
                'token': tokens[place],
                'sample_token': samples[frame],
                'instance_token': name,
                'attribute_tokens': [f'attribute {thing.attribute}'] if thing.attribute else [],
                'visibility_token': thing.visibility,
                'translation': thing.middle(frame).tolist(),
                'size': list(SIZES[thing.category]),
                'rotation': turn.tolist(),
                'num_lidar_pts': 5,
                'num_radar_pts': 0,
                **_links(tokens, place),
            }
        )


def _links(tokens: list[str], place: int) -> dict[str, str]:
    return {
        'prev': tokens[place - 1] if place else '',
        'next': tokens[place + 1] if place + 1 < len(tokens) else '',
    }
