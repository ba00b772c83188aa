"""The people of the sequences: held-out cut-outs whose joints the teacher is sure of.

`people.json` has their joints, so that the truth depends neither on the teacher's weights nor on
the version of a library. It was made by

    python -m training.data.articulated.people --data ../shared/data

which looks at every held-out cut-out of Clothing Co-Parsing (`cutouts.masked_photos`) with
`pose_teacher` and keeps those who stand upright, face the camera, let their arms hang and are
seen surely. Their limbs can be told apart, so they can be made to walk.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from centertrack_ros.files import write_atomically
from training.classes import COCO_JOINTS
from training.data.articulated.figure import HIDDEN, VISIBLE
from training.data.cutouts import Cutout, make_cutout, mask_path, masked_photos
from training.data.images import read_image
from training.data.labels import Reals

if TYPE_CHECKING:
    from training.data.pose_teacher import PoseTeacher

PEOPLE = Path(__file__).with_name('people.json')
_FOLDER = Path('cutouts') / 'clothing_co_parsing'
# Least mean scores of the teacher: of the person, of a joint, of one to be called visible; most
# that its looks differ by, as a share of the height.
_LEAST_PERSON, _LEAST_JOINT, _VISIBLE_JOINT, _SPREAD = 0.5, 0.15, 0.3, 0.02
# Clear grey round the cut-out, and the sizes of the looks: the network knows people of up to 250
# of its pixels.
_GREY, _BORDERS, _LOOKS = 110, (60, 150), ((160, 160), (192, 192), (256, 256))
_NUMBERS = {name: number for number, name in enumerate(COCO_JOINTS)}


@dataclass(frozen=True)
class Person:
    """Someone of the sequences.

    Attributes:
        name: of the photo, without its ending.
        image: (H, W, 3) uint8 BGR.
        mask: (H, W) uint8, 255 = person.
        joints: (17, 3) x, y in pixels of the photo, state (`figure.VISIBLE` where the teacher is
            sure, else `figure.HIDDEN`).
    """

    name: str
    image: Image
    mask: Image
    joints: Reals

    def cutout(self) -> Cutout:
        """The person as it stands in the photo."""
        return make_cutout(self.image, self.mask, 'person')


def person_names() -> list[str]:
    """Names of all people."""
    return sorted(_listed())


def load_person(root: Path, name: str) -> Person:
    """One of the people.

    Args:
        root: of the data.
        name: one of `person_names`.

    Raises:
        FileNotFoundError: the photo is missing.
        ValueError: there is nobody of this name.
    """
    listed = _listed()
    if name not in listed:
        raise ValueError(f'person: expected one of {sorted(listed)}, received {name!r}')
    path = root / _FOLDER / f'{name}.jpg'
    image, mask = _read(path)
    return Person(name, image, mask, np.array(listed[name], np.float64).reshape(-1, 3))


def is_usable(joints: Reals, scores: Reals, spreads: Reals, height: float) -> bool:
    """Whether someone can be made to walk, from what the teacher says, see the module.

    Args:
        joints: (17, 2) pixels.
        scores, spreads: (17,) see `TeacherPoses`.
        height: of the photo.
    """
    if scores.min() < _LEAST_JOINT or spreads.max() > _SPREAD * height:
        return False
    place = {name: joints[number] for name, number in _NUMBERS.items()}
    chains = [
        [place[f'{side}_{joint}'][1] for joint in chain]
        for side in ('left', 'right')
        for chain in (('shoulder', 'hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'))
    ]
    upright = all((np.diff(chain) > 0).all() for chain in chains)
    # The left of someone who faces us is on the right.
    facing = all(
        place[f'left_{joint}'][0] > place[f'right_{joint}'][0]
        for joint in ('shoulder', 'hip', 'knee', 'ankle', 'eye')
    )
    return bool(upright and facing)


def chosen_people(root: Path, teacher: PoseTeacher) -> dict[str, list[float]]:
    """Name -> joints (51 numbers) of those who are usable."""
    chosen = {}
    for path in masked_photos(root / _FOLDER, 'held_out'):
        image, mask = _read(path)
        down, right = _BORDERS
        alone = np.where(mask[..., None] > 127, image, np.uint8(_GREY))
        borders = (down, down, right, right)
        picture = cv2.copyMakeBorder(
            alone, *borders, cv2.BORDER_CONSTANT, value=(_GREY, _GREY, _GREY)
        )
        poses = teacher.poses(picture)
        if len(poses) and poses.scores[0] >= _LEAST_PERSON:
            joints = poses.joints[0].astype(np.float64) - (right, down)
            scores = poses.joint_scores[0].astype(np.float64)
            if is_usable(joints, scores, poses.spreads[0].astype(np.float64), image.shape[0]):
                chosen[path.stem] = _numbers(joints, scores)
    return chosen


def _numbers(joints: Reals, scores: Reals) -> list[float]:
    states = np.where(scores >= _VISIBLE_JOINT, VISIBLE, HIDDEN)
    rows: list[float] = np.concatenate([joints.round(2), states[:, None]], axis=1).ravel().tolist()
    return rows


def _read(path: Path) -> tuple[Image, Image]:
    mask = read_image(mask_path(path), cv2.IMREAD_GRAYSCALE)
    return read_image(path), np.where(mask > 127, np.uint8(255), np.uint8(0))


def _listed() -> Mapping[str, Sequence[float]]:
    content: dict[str, Any] = json.loads(PEOPLE.read_text(encoding='utf-8'))
    people: Mapping[str, Sequence[float]] = content['people']
    return people


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose the people anew."""
    # Here and not above: the sequences are made without PyTorch.
    from training.data.pose_teacher import WEIGHTS, PoseTeacher

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('../shared/data'), help='data folder')
    parser.add_argument('--weights', type=Path, default=WEIGHTS, help='of MoveNet multipose')
    parser.add_argument('--output', type=Path, default=PEOPLE)
    options = parser.parse_args(arguments)
    people = chosen_people(options.data, PoseTeacher(options.weights, _LOOKS))
    info = {
        'photos': f'{_FOLDER.name}, held-out part',
        'teacher': 'MoveNet multipose lightning 1 (Google, Apache-2.0)',
        'command': 'python -m training.data.articulated.people',
        'joints': list(COCO_JOINTS),
    }
    rows = ',\n'.join(f'  {json.dumps(name)}: {json.dumps(people[name])}' for name in people)
    head = json.dumps(info, indent=1)[2:-2]
    write_atomically(options.output, f'{{\n{head},\n "people": {{\n{rows}\n }}\n}}\n')
    print(f'{options.output}: {len(people)} people')


if __name__ == '__main__':
    main()
