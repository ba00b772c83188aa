"""A person cut into rigid parts that turn about the joints: a paper doll made of a photo.

Parts overlap in discs round the joints, so that bending opens no gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from centertrack_ros.affine import transform_points
from centertrack_ros.datatypes import BoolArray, Image, IntArray
from training.classes import COCO_JOINTS
from training.data.labels import Reals, mirrored_joints, opencv_matrix, warp_boxes
from training.data.scene import compose

HIDDEN, VISIBLE = 1, 2
# Part -> the joints between which it lies; the first is the one that it turns about.
LIMBS: dict[str, tuple[str, str]] = {
    f'{side}_{part}': (f'{side}_{first}', f'{side}_{last}')
    for side in ('right', 'left')
    for part, first, last in (
        ('thigh', 'hip', 'knee'),
        ('shank', 'knee', 'ankle'),
        ('upper_arm', 'shoulder', 'elbow'),
        ('forearm', 'elbow', 'wrist'),
    )
}
# The order in which they are painted, far ones first.
PARTS = (
    'right_shank', 'right_thigh', 'left_shank', 'left_thigh', 'torso', 'head',
    'right_upper_arm', 'right_forearm', 'left_upper_arm', 'left_forearm',
)  # fmt: skip
# Shares of the length from the shoulders to the ankles: how thick parts are, and the discs round
# the joints that parts share.
_THICKNESS = {
    'torso': 0.04, 'head': 0.05, 'thigh': 0.035, 'shank': 0.025, 'upper_arm': 0.03,
    'forearm': 0.02,
}  # fmt: skip
_DISCS = {'hip': 0.06, 'knee': 0.045, 'shoulder': 0.05, 'elbow': 0.035, 'neck': 0.06}
# Hands and feet reach beyond wrists and ankles by this share of the limb.
_HAND, _FOOT = 0.45, 0.25
_MARGINS = (0.45, 0.15)
_NUMBERS = {name: index for index, name in enumerate(COCO_JOINTS)}


@dataclass(frozen=True)
class Pose:
    """How far parts are turned and stretched against the photo; parts not named are as there.

    Attributes:
        turns: radians in the picture, from its x axis to its y axis. Limbs turn by themselves
            and move with what they hang on; the head turns with the torso and by its own turn.
        lengths: factor on the length of a limb, below 1 where it points to the camera.
    """

    turns: Mapping[str, float] = field(default_factory=dict)
    lengths: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PosedFigure:
    """A figure in a pose.

    Attributes:
        sprite: (h, w, 4) uint8 premultiplied BGRA, which the person fills.
        joints: (J, 3) float64 x, y in pixels of the sprite, state: `HIDDEN` by itself or
            `VISIBLE`.
        head: (4,) xyxy, from the top of the head to the chin.
        feet: (2,) x, y of the ground below the hips.
    """

    sprite: Image
    joints: Reals
    head: Reals
    feet: Reals


class Figure:
    """A person in parts.

    Args:
        image: (H, W, 3) uint8 BGR.
        mask: (H, W) uint8, above 127 = person.
        joints: (J, 3) x, y in pixels, state; of COCO's joints.
        height: pixels to which the picture is scaled.
    """

    def __init__(self, image: Image, mask: Image, joints: Reals, height: float) -> None:
        scale = height / image.shape[0]
        size = (max(1, round(image.shape[1] * scale)), max(1, round(height)))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        right = round(_MARGINS[0] * size[1])
        down = round(_MARGINS[1] * size[1])
        borders = (down, down, right, right)
        self._image = _bordered(cv2.resize(image, size, interpolation=interpolation), borders)
        self._mask = _bordered(cv2.resize(mask, size, interpolation=interpolation), borders)
        exact = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
        self.joints = np.array(joints, np.float64)
        self.joints[:, :2] = self.joints[:, :2] * exact + (right, down)
        self.rest_height = float(size[1])

    def mirrored(self) -> Figure:
        """The person as a mirror shows it: what was the left hand is the right one."""
        twin = object.__new__(Figure)
        twin._image = np.ascontiguousarray(self._image[:, ::-1])
        twin._mask = np.ascontiguousarray(self._mask[:, ::-1])
        order = np.arange(len(COCO_JOINTS))
        for left, right in mirrored_joints(COCO_JOINTS):
            order[[left, right]] = right, left
        twin.joints = self.joints[order]
        twin.joints[:, 0] = self._image.shape[1] - twin.joints[:, 0]
        twin.rest_height = self.rest_height
        return twin

    def posed(self, pose: Pose) -> PosedFigure:
        """The figure in a pose; the lower foot stays on the ground."""
        maps = self._maps(pose)
        joints = self.joints.copy()
        for number, name in enumerate(COCO_JOINTS):
            joints[number, :2] = transform_points(self.joints[number, :2], maps[_carrier(name)])
        ankles = [_NUMBERS['left_ankle'], _NUMBERS['right_ankle']]
        drop = self.joints[ankles, 1].max() - joints[ankles, 1].max()
        joints[:, 1] += drop
        down = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, drop]])
        sprite = np.zeros((*self._mask.shape, 4), np.uint8)
        owners = np.full(self._mask.shape, -1, np.int64)
        for number, part in enumerate(PARTS):
            self._paint(sprite, owners, number, compose(down, maps[part]), *self._layers[part])
        joints[:, 2] = np.minimum(joints[:, 2], _own_states(joints, owners))
        left, top, width, height = cv2.boundingRect((owners >= 0).astype(np.uint8))
        head = warp_boxes(self._head[None], compose(down, maps['head']))[0].astype(np.float64)
        # Where they are in the photo: the hips go straight on while the feet swing.
        feet = np.array([self._middle('ankle')[0], self._ground])
        # What is empty would be warped and blended for nothing.
        start = np.array([left, top], np.float64)
        joints[:, :2] -= start
        return PosedFigure(
            sprite=np.ascontiguousarray(sprite[top : top + height, left : left + width]),
            joints=joints,
            head=head - np.tile(start, 2),
            feet=feet - start,
        )

    @cached_property
    def _ground(self) -> float:
        return float(np.flatnonzero((self._mask > 127).any(axis=1))[-1] + 1)

    @cached_property
    def _head(self) -> Reals:
        """Box (4,): eyes are half-way up a head, which is three quarters as wide as high."""
        face = self.joints[[_NUMBERS[name] for name in ('nose', 'left_eye', 'right_eye')], :2]
        top = np.flatnonzero((self._mask > 127).any(axis=1))[0]
        length = self._place('left_ankle')[1] - top
        half = np.clip(face[1:, 1].mean() - top, 0.055 * length, 0.085 * length)
        x, y = face[:, 0].mean(), face[1:, 1].mean()
        return np.array([x - 0.75 * half, y - half, x + 0.75 * half, y + half])

    def _place(self, name: str) -> Reals:
        return self.joints[_NUMBERS[name], :2]

    def _middle(self, joint: str) -> Reals:
        return (self._place(f'left_{joint}') + self._place(f'right_{joint}')) / 2

    def _maps(self, pose: Pose) -> dict[str, Reals]:
        """Part -> affine map (2, 3) from the place in the photo to that in the pose."""
        root, neck = self._middle('hip'), self._middle('shoulder')
        lean = pose.turns.get('torso', 0.0)
        maps = {'torso': _turned(root, root, lean)}
        nod = lean + pose.turns.get('head', 0.0)
        maps['head'] = _turned(neck, transform_points(neck, maps['torso']), nod)
        for part in ('thigh', 'shank', 'upper_arm', 'forearm'):
            for side in ('left', 'right'):
                name = f'{side}_{part}'
                first, last = (self._place(joint) for joint in LIMBS[name])
                above = {'shank': f'{side}_thigh', 'forearm': f'{side}_upper_arm'}
                start = transform_points(first, maps[above.get(part, 'torso')])
                turn, length = pose.turns.get(name, 0.0), pose.lengths.get(name, 1.0)
                maps[name] = _turned(first, start, turn, last - first, length)
        return maps

    @cached_property
    def _layers(self) -> dict[str, tuple[Image, tuple[int, int]]]:
        """Part -> its picture, premultiplied BGRA, and the column and row where it begins."""
        distances = np.stack([self._distances(part) for part in PARTS])
        nearest = distances.argmin(axis=0)
        unit = self._unit
        # As `cutouts.make_cutout`: the hard rim of a mask is an edge that no camera makes.
        alpha = np.minimum(cv2.GaussianBlur(self._mask, (3, 3), 0), self._mask)
        colour = cv2.multiply(self._image, cv2.merge([alpha] * 3), scale=1 / 255)
        colour = np.dstack([colour, alpha])
        layers = {}
        for number, part in enumerate(PARTS):
            own = nearest == number
            for name, radius in _DISCS.items():
                for center in self._shared(part, name):
                    own |= self._near(center) <= radius * unit
            if part == 'torso':
                # What an arm covers in the photo is cloth as well, seen when the arm moves away.
                own |= distances[number] <= 0
            member = cv2.dilate(own.astype(np.uint8), np.ones((5, 5), np.uint8))
            soft = cv2.GaussianBlur(member.astype(np.float32), (3, 3), 0)[..., None]
            layer = np.rint(colour * soft).astype(np.uint8)
            left, top, width, height = cv2.boundingRect((layer[..., 3] > 0).astype(np.uint8))
            layers[part] = (layer[top : top + height, left : left + width], (left, top))
        return layers

    @cached_property
    def _unit(self) -> float:
        """Pixels from the shoulders to the ankles."""
        return float(np.linalg.norm(self._middle('shoulder') - self._middle('ankle')))

    def _shared(self, part: str, joint: str) -> list[Reals]:
        """Where a part hangs on another one by a joint of this name."""
        if joint == 'neck':
            return [self._middle('shoulder')] if part in ('head', 'torso') else []
        if part == 'torso' and joint in ('hip', 'shoulder'):
            return [self._place(f'left_{joint}'), self._place(f'right_{joint}')]
        return [self._place(name) for name in LIMBS.get(part, ()) if name.endswith(joint)]

    def _distances(self, part: str) -> Reals:
        """Pixels (h, w) from the surface of a part, below 0 inside."""
        kind = part.partition('_')[2] if part in LIMBS else part
        thickness = _THICKNESS[kind] * self._unit
        if part == 'torso':
            names = ('left_shoulder', 'right_shoulder', 'right_hip', 'left_hip')
            corners = np.array([self._place(name) for name in names])
            plane = np.ones(self._mask.shape, np.uint8)
            cv2.fillConvexPoly(plane, np.round(corners).astype(np.int32), 0)
            return cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - thickness
        if part == 'head':
            neck, nose = self._middle('shoulder'), self._place('nose')
            start, end = nose + 0.3 * (neck - nose), nose + 0.5 * (nose - neck)
        else:
            start, end = (self._place(name) for name in LIMBS[part])
            beyond = {'forearm': _HAND, 'shank': _FOOT}.get(kind, 0.0)
            end = end + beyond * (end - start)
        return self._near(start, end) - thickness

    def _near(self, start: Reals, end: Reals | None = None) -> Reals:
        """Pixels (h, w) from the line between two points, or from one."""
        height, width = self._mask.shape
        x, y = np.arange(width)[None] + 0.5 - start[0], np.arange(height)[:, None] + 0.5 - start[1]
        if end is None:
            return np.hypot(x, y)
        step = end - start
        along = np.clip((x * step[0] + y * step[1]) / max(float(step @ step), 1e-9), 0, 1)
        return np.hypot(x - along * step[0], y - along * step[1])

    @staticmethod
    def _paint(
        sprite: Image,
        owners: IntArray,
        number: int,
        matrix: Reals,
        layer: Image,
        start: tuple[int, int],
    ) -> None:
        """Paint a part over `sprite` and note where it is seen in `owners`."""
        height, width = layer.shape[:2]
        moved = compose(matrix, np.array([[1.0, 0.0, start[0]], [0.0, 1.0, start[1]]]))
        hull = warp_boxes(np.array([[0.0, 0.0, width, height]]), moved)[0]
        left, top = np.maximum(np.floor(hull[:2]).astype(int), 0)
        right, bottom = np.minimum(np.ceil(hull[2:]).astype(int), sprite.shape[1::-1])
        if right <= left or bottom <= top:
            return
        moved[:, 2] -= (left, top)
        warped = cv2.warpAffine(
            layer, opencv_matrix(moved), (int(right - left), int(bottom - top))
        )
        area = np.s_[top:bottom, left:right]
        rest = cv2.merge([cv2.bitwise_not(cv2.extractChannel(warped, 3))] * 4)
        sprite[area] = cv2.add(cv2.multiply(sprite[area], rest, scale=1 / 255), warped)
        owners[area][warped[..., 3] > 127] = number


def _bordered(image: Image, borders: tuple[int, int, int, int]) -> Image:
    return cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def _turned(
    about: Reals, to: Reals, turn: float, bone: Reals | None = None, length: float = 1.0
) -> Reals:
    """Map (2, 3) that takes `about` to `to`, turned, and stretched along `bone`."""
    cosine, sine = np.cos(turn), np.sin(turn)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    if bone is not None and length != 1.0:
        unit = bone / max(float(np.linalg.norm(bone)), 1e-9)
        linear = linear @ (np.eye(2) + (length - 1) * np.outer(unit, unit))
    return np.concatenate([linear, (to - linear @ about)[:, None]], axis=1)


def _carrier(joint: str) -> str:
    """The part that a joint moves with."""
    side, _, kind = joint.partition('_')
    carriers = {
        'knee': 'thigh', 'ankle': 'shank', 'elbow': 'upper_arm', 'wrist': 'forearm',
    }  # fmt: skip
    if kind in ('shoulder', 'hip'):
        return 'torso'
    return f'{side}_{carriers[kind]}' if kind in carriers else 'head'


def _own_states(joints: Reals, owners: IntArray) -> IntArray:
    """State (J,) of each joint as far as the person itself hides it."""
    height, width = owners.shape
    columns = np.clip(np.floor(joints[:, 0]).astype(int), 0, width - 1)
    rows = np.clip(np.floor(joints[:, 1]).astype(int), 0, height - 1)
    seen = owners[rows, columns]
    states = []
    for name, owner in zip(COCO_JOINTS, seen.tolist(), strict=True):
        states.append(VISIBLE if owner < 0 or PARTS[owner] in _holders(name) else HIDDEN)
    return np.array(states, np.int64)


def _holders(joint: str) -> set[str]:
    """Parts on which a joint is seen."""
    limbs = {part for part, ends in LIMBS.items() if joint in ends}
    return limbs | {'torso'} if joint.endswith(('hip', 'shoulder')) else limbs or {'head'}


def inside(joints: Reals, size: tuple[int, int]) -> BoolArray:
    """Which joints (..., J, 2) lie in a picture of (height, width)."""
    low, high = (joints >= 0).all(axis=-1), (joints < np.array(size[::-1])).all(axis=-1)
    result: BoolArray = low & high
    return result
