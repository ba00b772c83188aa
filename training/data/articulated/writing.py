"""Writes articulated sequences in the COCO-video format, with joints and heads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from training.classes import COCO_JOINTS
from training.convert.annotations import AnnotationFile, Counts
from training.convert.files import staged_folder
from training.data.articulated.scenarios import PoseScenario
from training.data.articulated.sequence import ArticulatedSequence, PoseFrame, cast_people
from training.data.labels import clip_boxes
from training.data.mot_writer import is_counted
from training.data.suite import LEAST_INSIDE, LEAST_VISIBLE
from training.data.suite_material import HeldOutMaterial
from training.data.suite_scene import build_scene
from training.data.tiny.figures import SKELETON

ANNOTATIONS = 'annotations.json'
_JPEG_QUALITY = 95


def build_sequence(
    scenario: PoseScenario, material: HeldOutMaterial, root: Path, draw: int = 0
) -> ArticulatedSequence:
    """The sequence of a scenario; the same one every time.

    Args:
        scenario: what it shows.
        material: photos.
        root: of the data, with the photos of the people.
        draw: other numbers draw other people and ways.
    """
    scene = build_scene(
        scenario.scene,
        material,
        np.random.default_rng([scenario.seed, draw]),
        partial(cast_people, root, material.person_class),
        ArticulatedSequence,
    )
    assert isinstance(scene, ArticulatedSequence)
    return scene


def write_sequences(
    folder: Path,
    scenarios: Sequence[PoseScenario],
    root: Path,
    *,
    draw: int = 0,
    most_frames: int | None = None,
) -> Counts:
    """Write `annotations.json` and a folder of pictures for each scenario.

    Annotations have `keypoints` (x, y, 0 = outside of the picture, 1 = hidden, 2 = visible),
    `bbox_head` as in PoseTrack's files (left, top, width, height), `track_id` and `visibility`.
    People of whom less than a tenth is visible or less than half is in the picture are `iscrowd`:
    to miss them is no error, as in `training.data.suite`.

    Args:
        folder: is made; nothing is left of it when something goes wrong.
        scenarios: what to write.
        root: of the data.
        draw: see `build_sequence`.
        most_frames: of each sequence; None: all.

    Raises:
        FileExistsError: the folder exists.
        FileNotFoundError: a part of the data is missing.
        OSError: a picture could not be written.
    """
    material = HeldOutMaterial(root)
    output = AnnotationFile(
        [
            {
                'id': 1,
                'name': 'person',
                'keypoints': list(COCO_JOINTS),
                'skeleton': [list(limb) for limb in SKELETON],
            }
        ]
    )
    with staged_folder(folder) as staged:
        for scenario in scenarios:
            sequence = build_sequence(scenario, material, root, draw)
            _write_sequence(output, staged, scenario.name, sequence, most_frames)
        info = {
            'description': 'people cut from photos, made to walk; joints are exact',
            'photos': 'Clothing Co-Parsing (people), COCO val2017 and Penn-Fudan (places)',
            'command': 'python -m training.data.articulated',
            'draw': draw,
        }
        text = json.dumps({'info': info, **output.content()})
        (staged / ANNOTATIONS).write_text(text + '\n', encoding='utf-8')
    return output.counts


def _write_sequence(
    output: AnnotationFile,
    folder: Path,
    name: str,
    sequence: ArticulatedSequence,
    most_frames: int | None,
) -> None:
    (folder / name).mkdir()
    video = output.add_video(name, fps=sequence.frame_rate)
    count = len(sequence) if most_frames is None else min(most_frames, len(sequence))
    for index in range(count):
        frame = sequence.render(index)
        file_name = f'{name}/{index + 1:06d}.jpg'
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        if not cv2.imwrite(str(folder / file_name), frame.image, options):
            raise OSError(f'{folder / file_name} could not be written')
        height, width = frame.image.shape[:2]
        image = output.add_image(file_name, (height, width), video=video, frame=index + 1)
        add_labels(output, image, frame)


def add_labels(output: AnnotationFile, image: int, frame: PoseFrame) -> None:
    """Add the people of a frame to the image with this id."""
    labels = frame.labels
    assert labels.joints is not None
    height, width = frame.image.shape[:2]
    counted = is_counted(labels, width, height, LEAST_VISIBLE, LEAST_INSIDE)
    boxes = _corner_sizes(clip_boxes(labels.boxes, width, height).astype(np.float64))
    heads = _corner_sizes(frame.heads.astype(np.float64))
    for row in range(len(labels)):
        box = boxes[row].round(2).tolist()
        fields = {
            'track_id': int(labels.track_ids[row]),
            'visibility': round(float(labels.visibilities[row]), 3),
        }
        if not counted[row]:
            output.add_region(image, (1,), box, **fields)
            continue
        joints = labels.joints[row].astype(np.float64).round(2)
        output.add_box(
            image,
            1,
            box,
            keypoints=joints.ravel().tolist(),
            num_keypoints=int((joints[:, 2] > 0).sum()),
            bbox_head=heads[row].round(2).tolist(),
            **fields,
        )


def _corner_sizes(boxes: np.ndarray) -> np.ndarray:
    """Left, top, width, height of boxes (N, 4) xyxy."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
