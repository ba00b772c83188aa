"""Video of walking stick figures with the 17 joints of COCO.

Their left limbs are blue and their right ones red, and some turn their back to the camera, so
left and right can be told only by looking. Turned left to right the pictures would lie: train
without `flip`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from centertrack_ros.datatypes import BoolArray, Image, IntArray
from training.classes import COCO_JOINTS
from training.data.tiny.canvas import (
    FINENESS,
    Layer,
    Points,
    Size,
    background,
    capsule_mask,
    fine_texture,
    overlaid,
    polygon_mask,
    shaded,
)
from training.data.tiny.scene import Demands, TinyFrame, TinyObject, bounced, chosen_video

CLASSES = ('person',)
# From 1, as COCO counts joints in its list of limbs.
SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
    (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
_FIGURES = 3
_DEMANDS = Demands(least_visible=0.6, least_inside=0.97, apart=14.0, covered=0.1)
_LIMBS = ('shoulder', 'elbow', 'wrist'), ('hip', 'knee', 'ankle')
_LIMB_COLOURS = {'left': (230.0, 120.0, 40.0), 'right': (40.0, 70.0, 230.0)}
_SKIN = (120.0, 170.0, 220.0)
_FACE = ('nose', 'left_eye', 'right_eye')
# In heights of the figure.
_LIMB_RADIUS, _HEAD_RADIUS, _EYE_RADIUS = 0.035, 0.085, 0.022
_HEAD_MIDDLE = 0.91


@dataclass(frozen=True)
class _Figure:
    """One person.

    Attributes:
        height: pixels.
        faces_us: or turns the back to the camera.
        colour: (3,), of the shirt.
        tone_seed: of the pattern on it.
        feet: (F, 2) pixels, the place between them.
        phases: (F,) radians, of the walk.
    """

    height: float
    faces_us: bool
    colour: Points
    tone_seed: int
    feet: Points
    phases: Points

    def joints(self, frame: int) -> Points:
        """(17, 2) pixels."""
        places = _standing(float(self.phases[frame]))
        # The left of someone who looks at us is on the right.
        places[:, 0] *= 1 if self.faces_us else -1
        return np.asarray(self.feet[frame] + self.height * places * (1, -1))

    def boxes(self) -> Points:
        """(F, 4) xyxy pixels of everything that is drawn."""
        return np.array([_extent(self, frame) for frame in range(len(self.feet))])


def figure_video(frames: int, size: Size, generator: np.random.Generator) -> tuple[TinyFrame, ...]:
    """A video of `frames` frames of `size` (height, width)."""

    def draw(figures: Sequence[_Figure], generator: np.random.Generator) -> Iterator[TinyFrame]:
        behind = background(size, generator)
        return (_frame(figures, frame, behind, size) for frame in range(frames))

    castings = [partial(_cast, frames, size)] * _FIGURES
    return chosen_video(castings, draw, size, _DEMANDS, generator)


def _cast(
    frames: int, size: Size, generator: np.random.Generator, others: Sequence[_Figure]
) -> _Figure:
    """Each nearer than the one before: lower in the picture and larger."""
    near = (len(others) + generator.uniform(0, 1)) / _FIGURES
    height = size[0] * (0.5 + 0.3 * near)
    margin = 0.28 * height
    x = generator.uniform(margin, size[1] - margin)
    step = generator.choice([-1, 1]) * height * generator.uniform(0.02, 0.05)
    path = bounced(
        x + np.arange(frames)[:, None] * step, np.array([margin]), np.array([size[1] - margin])
    )
    floor = np.full((frames, 1), size[0] * (0.76 + 0.2 * near))
    return _Figure(
        height=float(height),
        faces_us=len(others) % 2 == 0,
        colour=generator.uniform(60, 220, 3),
        tone_seed=int(generator.integers(1 << 62)),
        feet=np.concatenate([path, floor], axis=1),
        phases=generator.uniform(0, 2 * np.pi) + np.arange(frames) * generator.uniform(0.3, 0.6),
    )


def _standing(phase: float) -> Points:
    """Joints (17, 2) in heights, x to the left hand side of the figure, y up from the feet."""
    swing = np.sin(phase)
    places = {
        'nose': (0.0, 0.89), 'left_eye': (0.035, 0.925), 'right_eye': (-0.035, 0.925),
        'left_ear': (0.085, 0.91), 'right_ear': (-0.085, 0.91),
    }  # fmt: skip
    for side, sign in (('left', 1.0), ('right', -1.0)):
        arm, leg = 0.5 + 0.45 * sign * swing, 0.12 - 0.22 * sign * swing
        bend = 0.5 + 0.4 * np.cos(phase) * sign
        _chain(places, side, sign, ((0.12, 0.78), arm, arm - bend), _LIMBS[0], (0.17, 0.16))
        _chain(places, side, sign, ((0.08, 0.48), leg, leg - 0.25), _LIMBS[1], (0.235, 0.235))
    return np.array([places[name] for name in COCO_JOINTS])


def _chain(
    places: dict[str, tuple[float, float]],
    side: str,
    sign: float,
    bend: tuple[tuple[float, float], float, float],
    names: tuple[str, ...],
    lengths: tuple[float, float],
) -> None:
    """Add three joints: from the first one down, each part turned outwards by its angle."""
    x, y = sign * bend[0][0], bend[0][1]
    places[f'{side}_{names[0]}'] = x, y
    for name, angle, length in zip(names[1:], bend[1:], lengths, strict=True):
        x, y = x + sign * length * np.sin(angle), y - length * np.cos(angle)
        places[f'{side}_{name}'] = x, y


def _frame(figures: Sequence[_Figure], frame: int, behind: Image, size: Size) -> TinyFrame:
    layers = [_layer(figure, frame, size) for figure in figures]
    picture = overlaid(behind, layers)
    objects = []
    for number, figure in enumerate(figures):
        joints = figure.joints(frame)
        states = _states(joints, number, figure, picture.owners, layers[number].mask)
        joints = joints * (states > 0)[:, None]
        keypoints = np.concatenate([joints, states[:, None]], axis=1)
        objects.append(
            TinyObject(
                track=number + 1,
                category=0,
                box=_extent(figure, frame).astype(np.float32),
                visibility=picture.visibilities[number],
                fields={
                    'keypoints': [round(float(value), 4) for value in keypoints.ravel()],
                    'num_keypoints': int((states > 0).sum()),
                },
            )
        )
    return TinyFrame(picture.image, tuple(objects))


def _states(
    joints: Points, number: int, figure: _Figure, owners: IntArray, mask: BoolArray
) -> IntArray:
    """(17,): 0 outside the picture or at the far side of the head, 1 behind another, 2 visible."""
    columns, rows = np.floor(joints * FINENESS).astype(int).T
    inside = (columns >= 0) & (rows >= 0) & (rows < owners.shape[0]) & (columns < owners.shape[1])
    rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
    seen = owners[rows, columns] == number
    assert mask[rows, columns][inside].all(), 'a joint lies beside its figure'
    # COCO's annotators do not label a face that they see from behind.
    labelled = inside if figure.faces_us else inside & ~np.isin(COCO_JOINTS, _FACE)
    return np.where(labelled, np.where(seen, 2, 1), 0)


def _head(figure: _Figure, frame: int) -> Points:
    return np.asarray(figure.feet[frame] - (0, figure.height * _HEAD_MIDDLE))


def _extent(figure: _Figure, frame: int) -> Points:
    """Box (4,) xyxy pixels of everything that is drawn."""
    head = _head(figure, frame)
    limbs = figure.joints(frame)[5:]
    centers = np.concatenate([limbs, head[None]])
    radii = np.array([_LIMB_RADIUS] * len(limbs) + [_HEAD_RADIUS + 0.01])[:, None]
    low, high = centers - figure.height * radii, centers + figure.height * radii
    return np.concatenate([low.min(axis=0), high.max(axis=0)])


def _layer(figure: _Figure, frame: int, size: Size) -> Layer:
    joints = dict(zip(COCO_JOINTS, figure.joints(frame), strict=True))
    colours = np.zeros((size[0] * FINENESS, size[1] * FINENESS, 3), np.uint8)
    mask = np.zeros(colours.shape[:2], bool)
    tone = fine_texture(size, 4, 0.1, np.random.default_rng(figure.tone_seed))[..., None]

    def paint(part: BoolArray, colour: Points) -> None:
        colours[part] = shaded(np.asarray(colour), tone[part])
        mask[part] = True

    body = [joints[name] for name in ('left_shoulder', 'right_shoulder', 'right_hip', 'left_hip')]
    neck = np.mean(body[:2], axis=0)
    head = _head(figure, frame)
    radius = _LIMB_RADIUS * figure.height
    paint(capsule_mask(neck, head, radius, size), np.array(_SKIN))
    paint(polygon_mask(np.array(body), size), figure.colour)
    for side, colour in _LIMB_COLOURS.items():
        for names in _LIMBS:
            points = [joints[f'{side}_{name}'] for name in names]
            for start, end in pairwise(points):
                paint(capsule_mask(start, end, radius, size), np.array(colour))
    skin = np.array(_SKIN) if figure.faces_us else np.array(_SKIN) * 0.3
    paint(capsule_mask(head, head, (_HEAD_RADIUS + 0.01) * figure.height, size), skin)
    ear_radius = _EYE_RADIUS * figure.height
    parts = ('eye', 'ear') if figure.faces_us else ('ear',)
    for side, colour in _LIMB_COLOURS.items():
        for part in parts:
            place = joints[f'{side}_{part}']
            # No further out than the head, whose edge bounds the box.
            dot = capsule_mask(place, place, ear_radius, size) & mask
            paint(dot, np.array(colour))
    if figure.faces_us:
        paint(capsule_mask(joints['nose'], joints['nose'], ear_radius, size), np.zeros(3))
    return Layer(colours, mask)
