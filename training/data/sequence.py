"""One synthetic scene: its things, and its picture and labels at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from training.data.backgrounds import Background
from training.data.compositing import Canvas, motion_blur
from training.data.cutouts import Cutout
from training.data.labels import FrameLabels, LabelledFrame, Reals, opencv_matrix, warp_boxes
from training.data.scene import CameraMotion, Ground, Walk, compose

UNLABELLED = -1
EXPOSURE_SECONDS = 0.012
_SMALLEST_HEIGHT_PX = 4.0


@dataclass(frozen=True)
class Actor:
    """One thing of a scene.

    Attributes:
        cutout: its picture.
        class_index: its class, `UNLABELLED` for things that only hide others.
        track_id: its number.
        height: metres.
        walk: where it is when.
        mirrored: whether the picture is turned left to right.
        gait: how much its width swings while it walks.
        pace: strides per second.
        gains: (3,) factors on blue, green and red.
    """

    cutout: Cutout
    class_index: int
    track_id: int
    height: float
    walk: Walk
    mirrored: bool
    gait: float
    pace: float
    gains: Reals


@dataclass(frozen=True)
class Light:
    """Light of a scene.

    Attributes:
        flicker: share by which the brightness swings, once in the course of the scene.
        shadow: how dark shadows are, 0 = none.
        shadow_slope: (2,) where the shadow of a head falls, in heights right and down.
    """

    flicker: float
    shadow: float
    shadow_slope: Reals


@dataclass(frozen=True)
class Placed:
    """An actor at one time: picture, its map to frame pixels, box in the frame, blur in pixels."""

    actor: Actor
    distance: float
    sprite: Image
    matrix: Reals
    box: Reals
    blur: tuple[int, int]


@dataclass(frozen=True)
class Painted:
    """A frame before the camera took it.

    Attributes:
        canvas: with everything painted on it.
        placed: the things on it, far ones first.
        numbers: theirs on the canvas.
        photo_matrix: map (2, 3) from the background's pixels to those of the frame.
    """

    canvas: Canvas
    placed: Sequence[Placed]
    numbers: Sequence[int]
    photo_matrix: Reals

    @property
    def labelled_rows(self) -> list[int]:
        """Of `placed`, those that are objects."""
        return [
            row for row, thing in enumerate(self.placed) if thing.actor.class_index != UNLABELLED
        ]


class SyntheticSequence:
    """One scene that can be rendered at any time.

    Args:
        background: what is behind everything; its things move with the camera.
        ground: the ground plane.
        camera: motion of the camera.
        actors: the things in it.
        light: shadows and flicker.
        size: (height, width) of a frame in pixels.
        duration: seconds.
        frame_rate: frames per second of `render`.
    """

    def __init__(
        self,
        background: Background,
        ground: Ground,
        camera: CameraMotion,
        actors: Sequence[Actor],
        light: Light,
        size: tuple[int, int],
        duration: float,
        frame_rate: float,
    ) -> None:
        self._background = background
        self._ground = ground
        self._camera = camera
        self._actors = tuple(actors)
        self._light = light
        self._size = size
        self.duration = duration
        self.frame_rate = frame_rate

    def __len__(self) -> int:
        return max(1, int(self.duration * self.frame_rate))

    def render(self, index: int) -> LabelledFrame:
        """Frame `index`, 0 <= index < len(self)."""
        if not 0 <= index < len(self):
            raise IndexError(f'frame {index} of a sequence of {len(self)}')
        return self.render_time(index / self.frame_rate)

    def render_time(self, time: float) -> LabelledFrame:
        """The scene at `time` seconds.

        Boxes are those of whole things, and may reach over the edges; things that are outside
        of the frame are not among them.
        """
        painted = self._paint(time)
        return LabelledFrame(self._developed(painted, time), self._labels(painted))

    def _paint(self, time: float) -> Painted:
        view = self._camera.matrix(time)
        photo_matrix = compose(view, self._background.matrix)
        canvas = Canvas(
            cv2.warpAffine(
                self._background.frame.image,
                opencv_matrix(photo_matrix),
                self._size[::-1],
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )
        placed = self._placed(time, view)
        if self._light.shadow > 0:
            for thing in placed:
                canvas.shade(thing.sprite, self._shadow_matrix(thing), self._light.shadow)
        numbers = [
            canvas.paste(thing.sprite, thing.matrix, thing.actor.gains, thing.blur)
            for thing in placed
        ]
        return Painted(canvas, placed, numbers, photo_matrix)

    def _developed(self, painted: Painted, time: float) -> Image:
        """The image as the camera takes it."""
        blurred = motion_blur(painted.canvas.image, self._camera.speed(time) * EXPOSURE_SECONDS)
        return self._lit(blurred, time)

    def _placed(self, time: float, view: Reals) -> list[Placed]:
        """The actors in the frame, far ones first."""
        placed = []
        for actor in self._actors:
            x, distance = actor.walk.at(time)
            if distance < 0.6 * self._ground.nearest:
                continue
            # Whoever walks away stays at the far end of the square, or would climb into the sky.
            position = np.array([x, min(distance, 1.1 * self._ground.farthest)])
            thing = self._place(actor, position, time, view)
            left, top, right, bottom = thing.box
            seen = left < self._size[1] and top < self._size[0] and right > 0 and bottom > 0
            if seen and bottom - top >= _SMALLEST_HEIGHT_PX:
                placed.append(thing)
        return sorted(placed, key=lambda thing: -thing.distance)

    def _place(self, actor: Actor, position: Reals, time: float, view: Reals) -> Placed:
        x, y, scale = self._ground.feet_px(position)
        velocity = actor.walk.velocity(time)
        swing = np.sin(2 * np.pi * actor.pace * time + actor.track_id) if velocity.any() else 0.0
        high = scale * actor.height * (1 - 0.01 * swing * swing)
        wide = scale * actor.height * actor.cutout.aspect * (1 + actor.gait * swing)
        sprite = actor.cutout.level_for(high)
        stretch = wide / sprite.shape[1] * (-1 if actor.mirrored else 1)
        left = x + wide / 2 if actor.mirrored else x - wide / 2
        matrix = np.array([[stretch, 0.0, left], [0.0, high / sprite.shape[0], y - high]])
        corners = np.array([[x - wide / 2, y - high, x + wide / 2, y]])
        smear = abs(float(velocity[0])) * scale * EXPOSURE_SECONDS
        return Placed(
            actor=actor,
            distance=float(position[1]),
            sprite=sprite,
            matrix=compose(view, matrix),
            box=warp_boxes(corners, view)[0],
            blur=(2 * int(smear / 2) + 1, 1),
        )

    def _shadow_matrix(self, thing: Placed) -> Reals:
        """Map of the picture of a thing to its shadow: the feet stay, the head falls down."""
        height = thing.sprite.shape[0]
        feet = thing.matrix @ [0.0, height, 1.0]
        high = thing.box[3] - thing.box[1]
        column = -self._light.shadow_slope * high / height
        offset = feet - column * height
        return np.stack([thing.matrix[:, 0], column, offset], axis=1)

    def _labels(self, painted: Painted) -> FrameLabels:
        canvas = painted.canvas
        shown = canvas.visibilities()[list(painted.numbers)]
        rows = painted.labelled_rows
        things = [painted.placed[row] for row in rows]
        photo = self._background.frame.labels.warped(painted.photo_matrix)
        first_id = 1 + max((actor.track_id for actor in self._actors), default=0)
        boxes = np.array([thing.box for thing in things], np.float32).reshape(-1, 4)
        # New numbers for things of the photo: theirs may be those of actors.
        photo_ids = range(first_id, first_id + len(photo))
        return FrameLabels.from_rows(
            boxes=np.concatenate([boxes, photo.boxes]),
            classes=[*(thing.actor.class_index for thing in things), *photo.classes],
            track_ids=[*(thing.actor.track_id for thing in things), *photo_ids],
            visibilities=np.concatenate(
                [shown[rows], canvas.uncovered(photo.boxes) * photo.visibilities]
            ),
            ignore_boxes=photo.ignore_boxes,
            ignore_classes=photo.ignore_classes,
            unlabelled_classes=photo.unlabelled_classes,
        )

    def _lit(self, image: Image, time: float) -> Image:
        """`image` as bright as the light at `time`."""
        if self._light.flicker < 0.01:
            return image
        gain = 1 + self._light.flicker * np.sin(2 * np.pi * time / self.duration)
        return cv2.convertScaleAbs(image, alpha=float(gain))
