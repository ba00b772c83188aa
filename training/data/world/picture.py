"""Bodies in front of a backdrop, as the camera sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from centertrack_ros.camera_geometry import project_points
from centertrack_ros.datatypes import BoolArray, Image, IntArray
from training.data.labels import Reals
from training.data.world.backdrop import Backdrop
from training.data.world.bodies import FACES, Body
from training.data.world.camera import View

# Fine pixels along the side of a pixel; metres in front of the camera where things begin to be
# seen.
FINENESS = 2
NEAR = 0.4
# Things fade to haze, metres; what is lit by the sky alone, and by the sun.
_HAZE, _AMBIENT, _SUN, _SHADOW = 90.0, 0.62, 0.5, 0.62
# OpenCV draws polygons with fractions of pixels: bits.
_BITS = 4
_FACE_CORNERS = np.array(list(FACES.values()))


@dataclass(frozen=True)
class Light:
    """Light of a sequence.

    Attributes:
        way: (3,) unit vector in the world along which the sun shines (y is down).
        gains: (F, 3) of the colours BGR in each frame.
        noise: standard deviation in grey levels.
        noise_seed: of the noise.
    """

    way: Reals
    gains: Reals
    noise: float
    noise_seed: int


@dataclass(frozen=True)
class Seen:
    """What of a body is in a picture.

    Attributes:
        box: (4,) xyxy pixels, of the whole body, over the borders; None where it is not wholly
            in front of the camera.
        visible_box: (4,) xyxy pixels, of what nothing hides; None where nothing is seen.
        visibility: share of its part inside the picture that nothing hides.
    """

    box: Reals | None
    visible_box: Reals | None
    visibility: float


def random_light(frames: int, generator: np.random.Generator) -> Light:
    """A sun somewhere, light that changes slowly, a camera that is not neutral."""
    around, high = generator.uniform(0, 2 * np.pi), generator.uniform(0.5, 1.3)
    way = np.array([np.cos(around) * np.cos(high), np.sin(high), np.sin(around) * np.cos(high)])
    pace, phase = generator.uniform(0.1, 0.8), generator.uniform(0, 2 * np.pi)
    waves = generator.uniform(0, 0.2) * np.sin(phase + pace * np.arange(frames) / 10)
    tint = generator.uniform(0.75, 1.2) * generator.uniform(0.93, 1.07, 3)
    return Light(
        way=way,
        gains=tint * (1 + waves[:, None]),
        noise=float(generator.uniform(1, 6)),
        noise_seed=int(generator.integers(1 << 62)),
    )


def draw(
    backdrop: Backdrop,
    bodies: Sequence[Body],
    light: Light,
    view: View,
    frame: int,
    size: tuple[int, int],
) -> tuple[Image, list[Seen]]:
    """The picture (H, W, 3) uint8 BGR of `size` and what is seen of each body."""
    fine = (size[0] * FINENESS, size[1] * FINENESS)
    canvas = _Canvas(backdrop, view, fine)
    front = [row for row, body in enumerate(bodies) if _reaches_front(body, view, frame)]
    canvas.shade([_shadow(bodies[row], light, frame) for row in front])
    for row in sorted(front, key=lambda row: -_order(bodies[row], view, frame)):
        canvas.add(row, bodies[row], light, frame)
    image = cv2.resize(canvas.image, size[::-1], interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng([light.noise_seed, frame]).normal(0, light.noise, image.shape)
    lit = image * light.gains[frame] + noise
    seen = [canvas.seen(row, body, frame) for row, body in enumerate(bodies)]
    return np.clip(lit, 0, 255).astype(np.uint8), seen


def _reaches_front(body: Body, view: View, frame: int) -> bool:
    return bool((view.to_camera(body.corners(frame))[:, 2] > NEAR).any())


def _order(body: Body, view: View, frame: int) -> float:
    """Distances that put nearer circles in front: those to the line of equal tangents."""
    away = (body.positions[frame] - view.position)[[0, 2]]
    return float(away @ away - body.radius**2)


def _shadow(body: Body, light: Light, frame: int) -> Reals:
    """Outline (P, 3) of its shadow on the ground."""
    corners = body.vertices(frame).reshape(-1, 3)
    thrown = corners - corners[:, 1:2] / light.way[1] * light.way
    hull = cv2.convexHull(np.float32(thrown[:, [0, 2]]))[:, 0]
    return np.insert(hull.astype(float), 1, 0.0, axis=1)


class _Canvas:
    """A picture on fine pixels with the owner of each."""

    def __init__(self, backdrop: Backdrop, view: View, size: tuple[int, int]) -> None:
        self._view, self._size = view, size
        # Middles of fine pixels are whole numbers, as in OpenCV.
        fine = np.array([[FINENESS, 0, -0.5], [0, FINENESS, -0.5], [0, 0, 1.0]])
        self._matrix = fine @ view.matrix[:, :3]
        self._haze = backdrop.haze
        # It has no edges that would need the fineness, and takes four times as long with it.
        plain = (size[0] // FINENESS, size[1] // FINENESS)
        coarse = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]]) @ view.matrix[:, :3]
        behind = backdrop.draw(view, coarse, plain)
        self.image = cv2.resize(behind, size[::-1], interpolation=cv2.INTER_LINEAR)
        self._owners = np.full(size, -1, np.int16)
        self._areas: dict[int, int] = {}

    def shade(self, outlines: Sequence[Reals]) -> None:
        """Shadows, which are no darker where they overlap."""
        mask = np.zeros(self._size, np.uint8)
        for outline in outlines:
            _fill(mask, self._pixels(outline), (0, 0))
        shaded = cv2.multiply(self.image, (_SHADOW, _SHADOW, _SHADOW, 1.0))
        cv2.copyTo(shaded, cv2.blur(mask, (3, 3)), self.image)

    def add(self, row: int, body: Body, light: Light, frame: int) -> None:
        """Draw a body over what is there."""
        alone = np.zeros(self._size, np.uint8)
        vertices = body.vertices(frame)
        parts = list(zip(vertices, body.textures, strict=True))
        # Parts lie on each other; those on the far side of the plane between two come first.
        joints = [part[:4, 1].mean() for part in vertices[1:]]
        above = sum(joint > self._view.position[1] for joint in joints)
        for part, textures in [*parts[:above], *parts[above:][::-1]]:
            faces = part[_FACE_CORNERS]
            middles = faces.mean(axis=1)
            normals = _normals(faces, middles - part.mean(axis=0))
            turned = (normals * (middles - self._view.position)).sum(axis=1) < 0
            tones = _AMBIENT + _SUN * np.maximum(0.0, -normals @ light.way)
            for number in np.flatnonzero(turned):
                self._add_face(faces[number], textures[number], tones[number], row, alone)
        self._areas[row] = int(np.count_nonzero(alone))

    def seen(self, row: int, body: Body, frame: int) -> Seen:
        """What of a body is in the picture; to be asked when all are drawn."""
        if row not in self._areas:
            return Seen(None, None, 0.0)
        points = self._view.to_camera(body.vertices(frame).reshape(-1, 3))
        box = None
        if points[:, 2].min() > NEAR:
            pixels = project_points(points, self._view.matrix)
            box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        mask = self._owners == row
        shown = int(np.count_nonzero(mask))
        if not shown:
            return Seen(box, None, 0.0)
        return Seen(box, _extent(mask) / FINENESS, shown / self._areas[row])

    def _add_face(
        self, corners: Reals, texture: Image, tone: float, row: int, alone: Image
    ) -> None:
        pixels = self._pixels(corners)
        if not len(pixels):
            return
        low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 1, 0, self._size[::-1])
        high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 2, 0, self._size[::-1])
        if (high <= low).any():
            return
        window = slice(low[1], high[1]), slice(low[0], high[0])
        extent = (int(high[0] - low[0]), int(high[1] - low[1]))
        mask = np.zeros(extent[::-1], np.uint8)
        _fill(mask, pixels, low)
        texture = _suited(texture, np.ptp(pixels, axis=0))
        warp = self._warp(corners, texture.shape[0], low)
        face = cv2.warpPerspective(
            texture, warp, extent, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        depth = float(self._view.to_camera(corners)[:, 2].mean())
        clear = float(np.exp(-max(depth, 0.0) / _HAZE))
        face = cv2.convertScaleAbs(face, alpha=tone * clear)
        face = cv2.add(face, (*((1 - clear) * self._haze).tolist(), 0.0))
        cv2.copyTo(face, mask, self.image[window])
        part = mask > 0
        self._owners[window][part] = row
        alone[window][part] = 1

    def _warp(self, corners: Reals, side: int, low: IntArray) -> Reals:
        """Homography (3, 3) from texels of a face to fine pixels from `low` on."""
        top, bottom = corners[:2].mean(axis=0), corners[2:].mean(axis=0)
        # The lower side is the longer one.
        across = corners[2] - corners[3]
        plane = np.stack([across, bottom - top, top - across / 2 - self._view.position], axis=1)
        texels = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, side]]) / side
        shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1.0]])
        warp: Reals = shift @ self._matrix @ self._view.rotation @ plane @ texels
        return warp

    def _pixels(self, corners: Reals) -> Reals:
        """Fine pixels (P, 2) of a polygon (Q, 3) of the world, cut where it is too near."""
        points = _in_front(self._view.to_camera(corners)) @ self._matrix.T
        return points[:, :2] / points[:, 2:]


def _normals(faces: Reals, outwards: Reals) -> Reals:
    """Unit vectors (F, 3) of faces (F, 4, 3), on the side of `outwards` (F, 3)."""
    normals = np.cross(faces[:, 2] - faces[:, 3], faces[:, 0] - faces[:, 3])
    normals *= np.sign((normals * outwards).sum(axis=1, keepdims=True))
    unit: Reals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return unit


def _in_front(points: Reals) -> Reals:
    """The part (P, 3) of a convex polygon (Q, 3) that is farther than `NEAR`."""
    if (points[:, 2] > NEAR).all():
        return points
    kept = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        if start[2] > NEAR:
            kept.append(start)
        if (start[2] > NEAR) != (end[2] > NEAR):
            kept.append(start + (NEAR - start[2]) / (end[2] - start[2]) * (end - start))
    return np.array(kept).reshape(-1, 3)


def _fill(mask: Image, pixels: Reals, low: Sequence[int] | IntArray) -> None:
    """Set the part of `mask` from `low` on that is inside a polygon (P, 2)."""
    if len(pixels) < 3:
        return
    # Larger numbers overflow in OpenCV.
    points = np.clip((pixels - low) * (1 << _BITS), -(1 << 20), 1 << 20)
    cv2.fillConvexPoly(mask, np.round(points).astype(np.int32), 255, cv2.LINE_8, _BITS)


def _suited(texture: Image, extent: Reals) -> Image:
    """The texture, smaller where it is drawn much smaller."""
    while texture.shape[0] > 8 and texture.shape[0] > 2 * extent.max():
        half = texture.shape[0] // 2
        texture = cv2.resize(texture, (half, half), interpolation=cv2.INTER_AREA)
    return texture


def _extent(mask: BoolArray) -> Reals:
    """Box (4,) xyxy of the pixels that are set."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
