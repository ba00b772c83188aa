"""Makes a truth of poses where there are no annotators: what the teacher is sure of.

    python -m training.data.teacher_poses IMAGES OUT.json [--annotations INSTANCES.json]

writes a COCO key points file of the pictures in a folder. MoveNet multipose looks at each picture
and its mirror image in two sizes (`training.data.pose_teacher`). Persons whose mean score reaches
`--person-score` are objects, and their joints whose mean score reaches `--joint-score` and on
which the looks agree are visible; other joints are not labelled. What the teacher is not sure of
is ignored (`iscrowd`): to find it is no error.

With `--annotations`, a COCO file of the same pictures, persons need both the teacher and an
annotator: boxes and areas are the annotator's, annotated persons without a sure pose are ignored,
and so are persons that the teacher scores as high as sure ones and nobody annotated. The
same arguments write the same file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import BoolArray, FloatArray
from centertrack_ros.files import write_atomically
from centertrack_ros.replay.metrics import overlaps
from training.classes import COCO_JOINTS
from training.convert.annotations import AnnotationFile, Counts
from training.data.coco_reader import load_coco
from training.data.images import read_image
from training.data.pose_teacher import LOOK_SIZES, WEIGHTS, PoseTeacher, TeacherPoses
from training.data.tiny.figures import SKELETON

PICTURES = ('.jpg', '.jpeg', '.png')
# COCO's persons fill about half of their boxes, by which OKS measures distances.
AREA_OF_BOX = 0.53
SAME_PERSON = 0.5
VISIBLE = 2


@dataclass(frozen=True)
class Sureness:
    """When the teacher is believed.

    Attributes:
        person, joint: least mean score.
        spread: most that the looks differ by, as a share of the longer side of the box.
        unsure: persons seen with this mean score or a higher one are ignored, not absent, where
            there are no annotations.
        joints: persons with fewer visible joints are ignored.
    """

    person: float = 0.3
    joint: float = 0.3
    spread: float = 0.03
    unsure: float = 0.05
    joints: int = 6


@dataclass(frozen=True)
class Annotated:
    """The annotated persons of one picture: boxes (N, 4) xyxy, areas (N,) and crowds (N,)."""

    boxes: FloatArray
    areas: FloatArray
    crowds: BoolArray


def teacher_annotations(
    images: Path,
    teacher: PoseTeacher,
    sureness: Sureness,
    annotations: Path | None = None,
) -> AnnotationFile:
    """The truth of all pictures of a folder, in the order of their names.

    Args:
        images: folder of JPEG or PNG files.
        teacher: see `PoseTeacher`.
        sureness: when it is believed.
        annotations: COCO file whose `file_name`s are those of the pictures; None: there is none.

    Raises:
        FileNotFoundError: the folder has no pictures, or a file does not exist.
        ValueError: a picture is not in the annotations.
    """
    paths = sorted(path for path in images.glob('*') if path.suffix.lower() in PICTURES)
    if not paths:
        raise FileNotFoundError(f'{images}: expected a folder with pictures {PICTURES}')
    known = None if annotations is None else annotated_persons(load_coco(annotations))
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
    for path in paths:
        if known is not None and path.name not in known:
            raise ValueError(f'{annotations}: expected all pictures of {images}, not {path.name}')
        picture = read_image(path)
        image_id = output.add_image(path.name, picture.shape[:2])
        poses = teacher.poses(picture)
        person = None if known is None else known[path.name]
        add_persons(output, image_id, poses, sureness, person)
    return output


def add_persons(
    output: AnnotationFile,
    image_id: int,
    poses: TeacherPoses,
    sureness: Sureness,
    annotated: Annotated | None,
) -> None:
    """Add the persons of one picture; see the module."""
    sizes = (poses.boxes[:, 2:] - poses.boxes[:, :2]).max(axis=1, initial=0.0)
    joints_sure = poses.joint_scores >= sureness.joint
    joints_sure &= poses.spreads <= sureness.spread * sizes[:, None]
    sure = (poses.scores >= sureness.person) & (joints_sure.sum(axis=1) >= sureness.joints)
    boxes = poses.boxes.astype(np.float64)
    areas = AREA_OF_BOX * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    partners = np.full(len(poses), -1)
    # Annotators know nearly all persons, so what they do not know has to look like one.
    least = sureness.unsure if annotated is None else sureness.person
    if annotated is not None:
        shares = overlaps(boxes, annotated.boxes.astype(np.float64))
        for row in range(len(poses)):
            if sure[row] and shares.shape[1] and shares[row].max() >= SAME_PERSON:
                partners[row] = shares[row].argmax()
                shares[:, partners[row]] = 0.0
        sure &= partners >= 0
        sure[sure] &= ~annotated.crowds[partners[sure]]
        boxes[sure] = annotated.boxes[partners[sure]]
        areas[sure] = annotated.areas[partners[sure]]
        for row in np.setdiff1d(np.arange(len(annotated.boxes)), partners[sure]):
            output.add_region(image_id, (1,), _corner(annotated.boxes[row]))
    for row in range(len(poses)):
        if not sure[row]:
            if poses.scores[row] >= least:
                output.add_region(image_id, (1,), _corner(boxes[row]))
            continue
        states = np.where(joints_sure[row], VISIBLE, 0)
        places = poses.joints[row].astype(np.float64).round(2) * (states > 0)[:, None]
        output.add_box(
            image_id,
            1,
            _corner(boxes[row]),
            area=round(float(areas[row]), 2),
            keypoints=np.concatenate([places, states[:, None]], axis=1).ravel().tolist(),
            num_keypoints=int((states > 0).sum()),
            score=round(float(poses.scores[row]), 3),
        )


def annotated_persons(content: Mapping[str, Any]) -> dict[str, Annotated]:
    """Name of a picture -> its persons, of a parsed COCO file."""
    person = {row['id'] for row in content['categories'] if row['name'] == 'person'}
    rows: dict[Any, list[Mapping[str, Any]]] = {image['id']: [] for image in content['images']}
    for row in content['annotations']:
        if row['category_id'] in person:
            rows[row['image_id']].append(row)
    persons = {}
    for image in content['images']:
        listed = rows[image['id']]
        boxes = np.array([row['bbox'] for row in listed], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        persons[image['file_name']] = Annotated(
            boxes,
            np.array([row['area'] for row in listed], np.float32),
            np.array([row.get('iscrowd', 0) for row in listed], np.bool_),
        )
    return persons


def _corner(box: FloatArray) -> list[float]:
    """Left, top, width, height of a box (4,) xyxy."""
    left, top, right, bottom = (round(float(value), 2) for value in box)
    return [left, top, round(right - left, 2), round(bottom - top, 2)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file."""
    usual = Sureness()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', type=Path, help='folder of pictures')
    parser.add_argument('output', type=Path, help='the JSON')
    parser.add_argument('--annotations', type=Path, help='COCO file with their persons')
    parser.add_argument('--weights', type=Path, default=WEIGHTS, help='of MoveNet multipose')
    parser.add_argument('--person-score', type=float, default=usual.person)
    parser.add_argument('--joint-score', type=float, default=usual.joint)
    options = parser.parse_args(arguments)
    sureness = Sureness(person=options.person_score, joint=options.joint_score)
    teacher = PoseTeacher(options.weights)
    written = teacher_annotations(options.images, teacher, sureness, options.annotations)
    info = {
        'description': 'poses that the teacher is sure of; not made by annotators',
        'teacher': 'MoveNet multipose lightning 1 (Google, Apache-2.0)',
        'looks': [[*size, turned] for size in LOOK_SIZES for turned in (False, True)],
        'sureness': vars(sureness),
        'images': options.images.name,
        'boxes': 'annotators' if options.annotations else 'teacher',
        'command': 'python -m training.data.teacher_poses',
    }
    write_with_provenance(options.output, written, info)
    print(f'{options.output}: {_told(written.counts)}')


def write_with_provenance(path: Path, written: AnnotationFile, info: Mapping[str, Any]) -> None:
    """The file with `info` in front, as COCO has it."""
    write_atomically(path, json.dumps({'info': dict(info), **written.content()}) + '\n')


def _told(counts: Counts) -> str:
    return f'{counts.images} images, {counts.boxes} persons, {counts.ignored} ignored'


if __name__ == '__main__':
    main()
