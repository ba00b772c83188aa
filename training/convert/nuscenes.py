"""nuScenes: six cameras and boxes in space around a car, two labelled moments a second.

As CenterTrack has it (`convert_nuScenes.py`): each scene is a video with six cameras, of which
every one counts its frames from 1. Differences, all on purpose: `alpha` belongs to the column in
which the middle of the object is seen, as the decoder reads it, and not to that of the clipped
box; objects that are partly behind the camera or have no corner in the picture are ignored
regions and not background; unknown velocities are left out.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from training.classes import NUSCENES_CLASSES
from training.convert.annotations import AnnotationFile
from training.convert.files import located, read_lines
from training.convert.nuscenes_boxes import SeenBoxes, see_boxes
from training.convert.nuscenes_tables import (
    CAMERAS,
    CameraImage,
    GlobalBox,
    Keyframe,
    NuScenesTables,
)

# Split -> the folder of its tables.
SPLITS = {
    'train': 'v1.0-trainval',
    'val': 'v1.0-trainval',
    'mini_train': 'v1.0-mini',
    'mini_val': 'v1.0-mini',
    'test': 'v1.0-test',
}
# First and last number of the scenes of the official validation splits; there are no others of
# the data set between them. What else the tables have is for training.
_VALIDATION = {
    'val': (
        (3, 3), (12, 18), (35, 39), (92, 110), (221, 221), (268, 278), (329, 332), (344, 346),
        (519, 524), (552, 565), (625, 638), (770, 784), (794, 802), (904, 931), (962, 972),
        (1059, 1073),
    ),
    'mini_val': ((103, 103), (916, 916)),
}  # fmt: skip
# Those of the benchmark; all other categories are left out.
_CLASS_OF = {
    'movable_object.barrier': 'barrier',
    'movable_object.trafficcone': 'traffic_cone',
    'vehicle.bicycle': 'bicycle',
    'vehicle.bus.bendy': 'bus',
    'vehicle.bus.rigid': 'bus',
    'vehicle.car': 'car',
    'vehicle.construction': 'construction_vehicle',
    'vehicle.motorcycle': 'motorcycle',
    'vehicle.trailer': 'trailer',
    'vehicle.truck': 'truck',
    'human.pedestrian.adult': 'pedestrian',
    'human.pedestrian.child': 'pedestrian',
    'human.pedestrian.construction_worker': 'pedestrian',
    'human.pedestrian.police_officer': 'pedestrian',
}


def convert_nuscenes(
    root: Path, split: str = '', *, scenes: Path | None = None, version: str = ''
) -> AnnotationFile:
    """The key frames of the six cameras; pictures are looked for, but not opened.

    Beside the fields of `training.data.coco_reader`, images have `sample_token`, `timestamp`
    (seconds) and `trans_matrix` (4, 4) from the camera to the map.

    Args:
        root: folder with the tables of a version and `samples`.
        split: one of `SPLITS`; empty with `scenes`.
        scenes: text file with the names of scenes, instead of a split.
        version: folder of the tables; that of the split without.

    Raises:
        FileNotFoundError: a table, a picture, or a scene of the list is missing.
        ValueError: a table is malformed; the text has the file and the token.
    """
    if (not split) == (scenes is None):
        raise ValueError('expected a split, or a file with the names of scenes')
    if split and split not in SPLITS:
        raise ValueError(f'split: expected one of {tuple(SPLITS)}, received {split!r}')
    folder = root / (version or SPLITS.get(split, SPLITS['train']))
    tables = NuScenesTables(folder)
    if scenes is not None:
        names = list(dict.fromkeys(line for _, line in read_lines(scenes, 'names of scenes')))
    else:
        with located(folder / 'scene.json'):
            names = [name for name in tables.scene_names if in_split(name, split)]
    if not names or not set(names) <= set(tables.scene_names):
        missing = sorted(set(names) - set(tables.scene_names)) or [f'scenes of {split}']
        raise FileNotFoundError(f'{folder}/scene.json: expected {missing[:3]}, found none')
    output = AnnotationFile.numbered(NUSCENES_CLASSES)
    for name in names:
        _add_scene(output, root, name, tables.keyframes(name))
    return output


def in_split(scene: str, split: str) -> bool:
    """Whether a scene such as `scene-0061`, of the tables of the split, belongs to the split.

    Raises:
        ValueError: its name has no number.
    """
    if split == 'test':
        return True
    number = scene.rpartition('-')[2]
    if not number.isdecimal():
        raise ValueError(f'scene: expected a name such as scene-0061, received {scene!r}')
    ranges = _VALIDATION[split.replace('train', 'val')]
    validated = any(first <= int(number) <= last for first, last in ranges)
    return validated == split.endswith('val')


def _add_scene(
    output: AnnotationFile, root: Path, name: str, keyframes: Collection[Keyframe]
) -> None:
    video = output.add_video(name)
    track_ids: dict[str, int] = {}
    for camera, channel in enumerate(CAMERAS):
        frame = 0
        for keyframe in keyframes:
            if camera not in keyframe.images:
                output.skip(f'{channel} missing')
                continue
            frame += 1
            image = keyframe.images[camera]
            if not (root / image.file_name).is_file():
                raise FileNotFoundError(
                    f'{root / image.file_name} does not exist: expected a picture of {name}; '
                    'to use a part of the data set, list its scenes in a file (--scenes)'
                )
            image_id = output.add_image(
                image.file_name,
                image.size,
                video=video,
                frame=frame,
                sensor_id=camera + 1,
                calib=[[*row, 0.0] for row in image.camera_matrix.tolist()],
                trans_matrix=image.global_from_camera.tolist(),
                timestamp=image.seconds,
                sample_token=keyframe.token,
            )
            _add_boxes(output, image_id, keyframe.boxes, image, track_ids)


def _add_boxes(
    output: AnnotationFile,
    image_id: int,
    boxes: Collection[GlobalBox],
    image: CameraImage,
    track_ids: dict[str, int],
) -> None:
    known = [box for box in boxes if box.category in _CLASS_OF]
    others = [box for box in boxes if box.category not in _CLASS_OF]
    for row in see_boxes(others, image).rows:
        output.skip(f'class {others[row].category}')
    seen = see_boxes(known, image)
    hidden = seen.hidden()
    for place, row in enumerate(seen.rows):
        box = known[row]
        category = NUSCENES_CLASSES.index(_CLASS_OF[box.category]) + 1
        left, top, right, bottom = seen.boxes[place].tolist()
        hull = [left, top, right - left, bottom - top]
        track = {'track_id': track_ids.setdefault(box.instance, len(track_ids) + 1)}
        if hidden[place]:
            output.skip('hidden')
        elif seen.whole[place]:
            output.add_box(image_id, category, hull, **track, **_fields(seen, place, box))
        else:
            output.add_region(image_id, (category,), hull, **track)


def _fields(seen: SeenBoxes, place: int, box: GlobalBox) -> dict[str, Any]:
    """What the annotation says beside the box."""
    fields: dict[str, Any] = {
        'visibility': box.visibility,
        'dim': seen.dimensions[place].tolist(),
        'location': seen.locations[place].tolist(),
        'depth': float(seen.locations[place, 2]),
        'alpha': float(seen.alphas[place]),
        'rotation_y': float(seen.yaws[place]),
        'amodel_center': seen.centers[place].tolist(),
        'attributes': box.attribute,
    }
    if np.isfinite(seen.velocities[place]).all():
        fields['velocity'] = seen.velocities[place].tolist()
    return fields
