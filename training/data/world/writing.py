"""Sequences of the world as a COCO-format file with pictures, which training and evaluation read.

Beside the fields for boxes in space (`training.data.coco_reader`) annotations have `location`
(middle of the bottom) and `rotation_y` as in KITTI, `truncated` (share outside of the picture),
`whole_bbox` (of the whole object, over the borders) and `visible_bbox` (of what nothing hides).
`velocity` is that over the ground, in the axes of the camera. Images have `calib`, `trans_matrix`
(4x4, camera to world, z up: what nuScenes calls global) and `timestamp`, seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.convert.annotations import AnnotationFile, Counts
from training.convert.files import staged_folder
from training.data.labels import Reals
from training.data.world.bodies import CLASSES
from training.data.world.camera import FOCAL, RATE, View
from training.data.world.sequence import World, WorldFrame, make_world

ANNOTATIONS, IMAGES = 'annotations.json', 'images'
_JPEG_QUALITY = 95
# Seconds; zero means "not set" in ROS.
_START = 1_000_000_000
# From x right, y down, z forward to x forward, y left, z up.
_TO_MAP = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])


def write_world(
    folder: Path,
    *,
    sequences: int,
    frames: int,
    seed: int,
    size: tuple[int, int],
    focal: float = FOCAL,
    progress: Callable[[], object] = lambda: None,
) -> Counts:
    """Draw sequences into a new folder: `annotations.json` and `images/<sequence>/<frame>.jpg`.

    The same arguments give the same bytes.

    Args:
        folder: is made; nothing is left of it when something goes wrong.
        sequences, frames: how many, and of how many frames each.
        seed: of everything random; sequences of different seeds have nothing in common.
        size: (height, width) of the pictures.
        focal: focal length in widths of the picture.
        progress: called after each frame.

    Returns:
        What was written.

    Raises:
        FileExistsError: the folder exists.
        ValueError: see `make_world`; or no sequences.
    """
    if sequences < 1:
        raise ValueError(f'sequences: expected 1 or more, received {sequences}')
    output = AnnotationFile.numbered(CLASSES)
    with staged_folder(folder) as staged:
        for number in range(sequences):
            world = make_world(frames, size, np.random.default_rng([seed, number]), focal=focal)
            _add_sequence(output, f'world_{number + 1:03d}', world, staged / IMAGES, progress)
        output.write(staged / ANNOTATIONS)
    return output.counts


def _add_sequence(
    output: AnnotationFile, name: str, world: World, images: Path, progress: Callable[[], object]
) -> None:
    (images / name).mkdir(parents=True)
    video = output.add_video(name, fps=RATE)
    for number, frame in enumerate(world.frames(), start=1):
        file_name = f'{name}/{number:06d}.jpg'
        # As bytes: OpenCV says of a full disk no more than False.
        done, data = cv2.imencode('.jpg', frame.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        assert done
        (images / file_name).write_bytes(data.tobytes())
        image_id = output.add_image(
            file_name,
            world.size,
            video=video,
            frame=number,
            calib=_rounded(frame.view.matrix),
            trans_matrix=_rounded(camera_to_map(frame.view), 8),
            timestamp=_START + (number - 1) / RATE,
        )
        _add_objects(output, image_id, frame)
        progress()


def _add_objects(output: AnnotationFile, image_id: int, frame: WorldFrame) -> None:
    for found in frame.objects:
        left, top, right, bottom = found.box.tolist()
        box = _rounded([left, top, right - left, bottom - top])
        fields = {name: _rounded(value) for name, value in found.fields.items()}
        if found.counts:
            output.add_box(image_id, found.category + 1, box, track_id=found.track, **fields)
        else:
            output.add_region(image_id, [found.category + 1], box)


def camera_to_map(view: View) -> Reals:
    """(4, 4) from the optical frame of the camera to a map with z up."""
    matrix = np.eye(4)
    matrix[:3, :3] = _TO_MAP @ view.rotation.T
    matrix[:3, 3] = _TO_MAP @ view.position
    return matrix


def _rounded(value: Any, digits: int = 5) -> Any:
    return np.round(value, digits).tolist()
