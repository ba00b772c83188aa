"""A scene with articulated people: its picture, labels, joints and heads at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from centertrack_ros.datatypes import FloatArray
from training.classes import COCO_JOINTS
from training.data.articulated.figure import HIDDEN, Figure, inside
from training.data.articulated.gait import Gait
from training.data.articulated.people import Person, load_person, person_names
from training.data.labels import (
    LabelledFrame,
    Reals,
    mirrored_joints,
    warp_boxes,
    warp_points,
)
from training.data.scene import PERSON_HEIGHT, Walk, compose
from training.data.sequence import EXPOSURE_SECONDS, Actor, Placed, SyntheticSequence
from training.data.synthetic import sample_gains

# Pixels of a whole person: of the levels that a figure is kept in, the first that is enough.
LEVELS = (64, 96, 144, 216, 324)
_WAVING_SHARE = 0.2


@dataclass(frozen=True)
class ArticulatedActor(Actor):
    """Someone whose limbs move.

    Attributes:
        figures: height in pixels -> the person at that size.
        way: how it moves.
    """

    figures: dict[int, Figure]
    way: Gait

    def figure_for(self, height: float) -> Figure:
        """The smallest figure of at least this height, the largest where none is."""
        enough = [level for level in sorted(self.figures) if level >= height]
        return self.figures[enough[0] if enough else max(self.figures)]


@dataclass(frozen=True)
class PlacedFigure(Placed):
    """An articulated person at one time.

    Attributes:
        joints: (J, 3) x, y in pixels of the frame, state as far as the person itself hides it.
        head: (4,) xyxy in pixels of the frame.
        ground: row of the sprite at which it stands.
    """

    joints: Reals
    head: Reals
    ground: float


@dataclass(frozen=True)
class PoseFrame(LabelledFrame):
    """A frame with joints in its labels; `heads` (N, 4) xyxy are those of its objects."""

    heads: FloatArray


class ArticulatedSequence(SyntheticSequence):
    """A scene whose objects are articulated people; other actors only hide them."""

    def render(self, index: int) -> PoseFrame:
        """Frame `index`, 0 <= index < len(self)."""
        if not 0 <= index < len(self):
            raise IndexError(f'frame {index} of a sequence of {len(self)}')
        return self.render_time(index / self.frame_rate)

    def render_time(self, time: float) -> PoseFrame:
        """The scene at `time` seconds.

        Joints outside of the frame are not labelled; those behind someone else, a wall or a part
        of the same person are hidden.
        """
        painted = self._paint(time)
        people, numbers = [], []
        for row in painted.labelled_rows:
            thing = painted.placed[row]
            if isinstance(thing, PlacedFigure):
                people.append(thing)
                numbers.append(painted.numbers[row])
        shape = (-1, len(COCO_JOINTS), 3)
        joints = np.array([person.joints for person in people], np.float32).reshape(shape)
        for row, number in enumerate(numbers):
            owners = painted.canvas.owners_at(joints[row, :, :2])
            # Who is painted later is nearer; a joint may lie just beside its own person.
            joints[row, owners > number, 2] = HIDDEN
        joints *= inside(joints[..., :2], painted.canvas.image.shape[:2])[..., None]
        labels = replace(
            self._labels(painted), joints=joints, joint_pairs=mirrored_joints(COCO_JOINTS)
        )
        heads = np.array([person.head for person in people], np.float32).reshape(-1, 4)
        return PoseFrame(self._developed(painted, time), labels, heads)

    def _place(self, actor: Actor, position: Reals, time: float, view: Reals) -> Placed:
        if not isinstance(actor, ArticulatedActor):
            return super()._place(actor, position, time, view)
        x, y, scale = self._ground.feet_px(position)
        figure = actor.figure_for(scale * actor.height)
        posed = figure.posed(actor.way.pose(actor.walk, time))
        factor = scale * actor.height / figure.rest_height
        start = np.array([x, y]) - factor * posed.feet
        matrix = compose(view, np.array([[factor, 0.0, start[0]], [0.0, factor, start[1]]]))
        joints = posed.joints.copy()
        joints[:, :2] = warp_points(joints[:, :2], matrix)
        smear = abs(float(actor.walk.velocity(time)[0])) * scale * EXPOSURE_SECONDS
        return PlacedFigure(
            actor=actor,
            distance=float(position[1]),
            sprite=posed.sprite,
            matrix=matrix,
            box=warp_boxes(np.array([[0.0, 0.0, *posed.sprite.shape[1::-1]]]), matrix)[0],
            blur=(2 * int(smear / 2) + 1, 1),
            joints=joints,
            head=warp_boxes(posed.head[None], matrix)[0],
            ground=float(posed.feet[1]),
        )

    def _shadow_matrix(self, thing: Placed) -> Reals:
        if not isinstance(thing, PlacedFigure):
            return super()._shadow_matrix(thing)
        feet = thing.matrix @ [0.0, thing.ground, 1.0]
        column = -self._light.shadow_slope * thing.matrix[1, 1]
        return np.stack([thing.matrix[:, 0], column, feet - column * thing.ground], axis=1)


def cast_people(
    root: Path,
    class_index: int,
    walks: Sequence[Walk],
    brightness: float,
    generator: np.random.Generator,
) -> list[Actor]:
    """Different people on the walks, numbered from 1.

    Args:
        root: of the data.
        class_index: theirs.
        walks: one for each person.
        brightness: mean grey level of the background.
        generator: randomness.

    Raises:
        FileNotFoundError: the photo of one of them is missing.
        ValueError: there are more walks than people.
    """
    names = person_names()
    if len(walks) > len(names):
        raise ValueError(f'cast: expected up to {len(names)} people, received {len(walks)}')
    chosen = generator.permutation(len(names))[: len(walks)]
    return [
        _actor(number, load_person(root, names[row]), class_index, walk, brightness, generator)
        for number, (row, walk) in enumerate(zip(chosen, walks, strict=True), start=1)
    ]


def _actor(
    number: int,
    person: Person,
    class_index: int,
    walk: Walk,
    brightness: float,
    generator: np.random.Generator,
) -> ArticulatedActor:
    mirrored = bool(generator.random() < 0.5)
    figures = {level: Figure(person.image, person.mask, person.joints, level) for level in LEVELS}
    if mirrored:
        figures = {level: figure.mirrored() for level, figure in figures.items()}
    cutout = person.cutout()
    waves = generator.random() < _WAVING_SHARE
    left, right = (COCO_JOINTS.index(f'{side}_shoulder') for side in ('left', 'right'))
    joints = figures[LEVELS[0]].joints
    return ArticulatedActor(
        cutout=cutout,
        class_index=class_index,
        track_id=number,
        height=PERSON_HEIGHT * float(np.clip(generator.normal(1, 0.05), 0.88, 1.12)),
        walk=walk,
        mirrored=mirrored,
        gait=0.0,
        pace=0.0,
        gains=sample_gains(cutout, brightness, generator),
        figures=figures,
        way=Gait(
            phase=float(generator.uniform(0, 2 * np.pi)),
            swing=float(generator.uniform(0.8, 1.15)),
            style='wave' if waves else 'walk',
            outward=1.0 if joints[left, 0] > joints[right, 0] else -1.0,
        ),
    )
