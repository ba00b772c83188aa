"""Video of textured boxes that drive over a plane in front of a known camera.

Lengths in metres, angles in radians, camera frame and fields as in `camera_geometry` and
`training.convert.kitti`. Each face has a look of its own and is lit by where it points, so the
heading can be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.camera_geometry import (
    alpha_from_yaw,
    box_corners,
    lift_points,
    project_points,
)
from centertrack_ros.datatypes import Image
from training.data.tiny.canvas import (
    Layer,
    Points,
    Size,
    background,
    fine_coordinates,
    fine_size,
    fine_texture,
    overlaid,
    polygon_mask,
    shaded,
)
from training.data.tiny.scene import Demands, TinyFrame, TinyObject, chosen_video, clipped_box

CLASSES = ('pedestrian', 'car', 'cyclist')
# Height, width, length; metres per frame; nearest and farthest.
_SIZES = ((1.75, 0.65, 0.8), (1.5, 1.7, 4.1), (1.7, 0.7, 1.8))
_SPEEDS = (0.12, 0.35, 0.22)
_NEAREST = (6.0, 8.0, 6.5)
_FARTHEST = (13.0, 22.0, 15.0)
_KINDS = (1, 0, 2, 1)
_CAMERA_HEIGHT = 1.65
# Focal length in picture widths; distance from the camera that the pixels are of to the one that
# the frame is of, as between the cameras of a stereo pair.
_FOCAL, _BASELINE = 0.8, 0.06
_HORIZON = 0.38
_DEMANDS = Demands(least_visible=0.45, least_inside=0.75, apart=12.0, covered=0.08)
# Corners of `box_corners`, outwards: front, back, left, right, top.
_FACES = ((0, 1, 5, 4), (2, 3, 7, 6), (3, 0, 4, 7), (1, 2, 6, 5), (7, 4, 5, 6))
_LIGHT = np.array([-0.45, -0.8, -0.4])
_FACE_PIXELS = 48


@dataclass(frozen=True)
class _Body:
    """One box.

    Attributes:
        kind: index of its class.
        dimensions: (3,) height, width, length.
        locations: (F, 3), middle of the bottom.
        yaws: (F,).
        camera: (3, 4) matrix of the camera that sees it.
        look_seed: of its faces.
    """

    kind: int
    dimensions: Points
    locations: Points
    yaws: Points
    camera: NDArray[np.float64]
    look_seed: int

    def corners(self) -> Points:
        """(F, 8, 3) metres."""
        dimensions = np.repeat(self.dimensions[None], len(self.yaws), axis=0)
        return box_corners(dimensions, self.locations, self.yaws)

    def boxes(self) -> Points:
        """(F, 4) xyxy pixels."""
        pixels = project_points(self.corners(), self.camera)
        return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)


def camera_matrix(size: Size) -> NDArray[np.float64]:
    """The (3, 4) camera of pictures of `size` (height, width)."""
    focal = _FOCAL * size[1]
    return np.array(
        [
            [focal, 0.0, size[1] / 2, focal * _BASELINE],
            [0.0, focal, size[0] * _HORIZON, 0.0],
            [0.0, 0.0, 1.0, 0.0],
        ]
    )


def box_video(frames: int, size: Size, generator: np.random.Generator) -> tuple[TinyFrame, ...]:
    """A video of `frames` frames of `size` (height, width)."""
    camera = camera_matrix(size)

    def draw(bodies: Sequence[_Body], generator: np.random.Generator) -> Iterator[TinyFrame]:
        behind = _plane(size, camera, generator)
        return (_frame(bodies, frame, behind, size) for frame in range(frames))

    castings = [partial(_cast, kind, frames, camera) for kind in _KINDS]
    return chosen_video(castings, draw, size, _DEMANDS, generator)


def _cast(
    kind: int,
    frames: int,
    camera: NDArray[np.float64],
    generator: np.random.Generator,
    others: Sequence[_Body],
) -> _Body | None:
    depth = generator.uniform(_NEAREST[kind], _FARTHEST[kind])
    across = generator.uniform(-0.45, 0.45) * depth / _FOCAL
    yaw = generator.uniform(-np.pi, np.pi)
    yaws = yaw + generator.normal(0, 0.03) * np.arange(frames)
    speed = _SPEEDS[kind] * generator.uniform(0.5, 1.3)
    moves = speed * np.stack([np.cos(yaws), np.zeros(frames), -np.sin(yaws)], axis=1)
    path = np.cumsum(moves, axis=0)
    body = _Body(
        kind=kind,
        dimensions=np.array(_SIZES[kind]) * generator.uniform(0.85, 1.15, 3),
        locations=path - path[frames // 2] + (across, _CAMERA_HEIGHT, depth),
        yaws=np.mod(yaws + np.pi, 2 * np.pi) - np.pi,
        camera=camera,
        look_seed=int(generator.integers(1 << 62)),
    )
    return body if _stands_free(body, others) else None


def _stands_free(body: _Body, others: Sequence[_Body]) -> bool:
    """Whether the circle that it turns in lies before the camera and touches no other.

    Then there is an order in which nearer ones hide farther ones.
    """
    if body.locations[:, 2].min() < 2 + _radius(body):
        return False
    gaps = [np.linalg.norm(body.locations - other.locations, axis=1).min() for other in others]
    return all(
        gap > _radius(body) + _radius(other) for gap, other in zip(gaps, others, strict=True)
    )


def _radius(body: _Body) -> float:
    return float(np.hypot(body.dimensions[1], body.dimensions[2]) / 2)


def _faces(generator: np.random.Generator) -> tuple[Image, ...]:
    """What the faces of `_FACES` look like in the light."""
    colour = generator.uniform(70, 230, 3)
    small = (_FACE_PIXELS // 4, _FACE_PIXELS // 4)
    faces = []
    for number in range(len(_FACES)):
        tone = fine_texture(small, 2, 0.08, generator)
        face = shaded(colour, np.repeat(tone[..., None], 3, axis=2))
        size = _FACE_PIXELS
        if number == 0:
            face[: size // 2] = (235, 235, 235)
        elif number == 1:
            face[: size // 2] = (30, 30, 200)
        elif number in (2, 3):
            # A window that ends before the front.
            ahead = slice(size // 2, size * 7 // 8) if number == 2 else slice(size // 8, size // 2)
            face[size // 8 : size // 2, ahead] = (30, 30, 30)
        faces.append(face)
    return tuple(faces)


def _plane(size: Size, camera: NDArray[np.float64], generator: np.random.Generator) -> Image:
    """Ground with a pattern in perspective under a plain sky, on fine pixels."""
    rows, columns = fine_size(size)
    canvas = background(size, generator)
    y, x = np.mgrid[0:rows, 0:columns] * (size[0] / rows)
    below = y - camera[1, 2]
    depth = camera[1, 1] * _CAMERA_HEIGHT / np.maximum(below, 1)
    pixels = np.stack([x, y], axis=2).reshape(-1, 2)
    ground = lift_points(pixels, depth.ravel(), camera).reshape(rows, columns, 3)
    tiles = (np.floor(ground[..., 0] / 1.5) + np.floor(ground[..., 2] / 1.5)) % 2
    # Far tiles are smaller than pixels.
    tone = 1 + 0.25 * (tiles - 0.5) * np.clip(12 / depth - 0.5, 0, 1)
    lit = canvas * np.where(below > 0, tone, 1.3)[..., None]
    return np.clip(lit, 0, 255).astype(np.uint8)


def _frame(bodies: Sequence[_Body], frame: int, behind: Image, size: Size) -> TinyFrame:
    # Of spheres that are apart, the one on this side of the plane of equal tangents is in front.
    reach = [np.square(body.locations[frame]).sum() - _radius(body) ** 2 for body in bodies]
    order = np.argsort(reach)[::-1].tolist()
    picture = overlaid(behind, [_layer(bodies[number], frame, size) for number in order])
    visibilities = dict(zip(order, picture.visibilities, strict=True))
    objects = []
    for number, body in enumerate(bodies):
        box, visibility = body.boxes()[frame], visibilities[number]
        fields = _fields(body, frame) | _kitti_states(box, size, visibility)
        objects.append(
            TinyObject(number + 1, body.kind, box.astype(np.float32), visibility, fields)
        )
    return TinyFrame(picture.image, tuple(objects), {'calib': bodies[0].camera.tolist()})


def _fields(body: _Body, frame: int) -> dict[str, Any]:
    """Box in space, as `training.convert.kitti` writes it."""
    location, yaw = body.locations[frame], body.yaws[frame]
    middle = location - (0, body.dimensions[0] / 2, 0)
    center = project_points(middle[None], body.camera)
    alpha = alpha_from_yaw(np.array([yaw]), center[:, 0], body.camera)
    return {
        'dim': body.dimensions.tolist(),
        'location': location.tolist(),
        'depth': float(location[2]),
        'alpha': float(alpha[0]),
        'rotation_y': float(yaw),
        'amodel_center': center[0].tolist(),
    }


def _kitti_states(box: Points, size: Size, visibility: float) -> dict[str, float]:
    """`truncated`, a share, and `occluded`: 0 not, 1 partly, 2 largely."""
    _, _, width, height = clipped_box(box, size)
    whole = float((box[2] - box[0]) * (box[3] - box[1]))
    return {
        'truncated': round(1 - width * height / whole, 4),
        'occluded': int(visibility < 0.95) + int(visibility < 0.6),
    }


def _layer(body: _Body, frame: int, size: Size) -> Layer:
    camera, corners = body.camera, body.corners()[frame]
    rows, columns = fine_size(size)
    colours = np.zeros((rows, columns, 3), np.uint8)
    mask = np.zeros((rows, columns), bool)
    middle = corners.mean(axis=0)
    eye = -np.linalg.solve(camera[:, :3], camera[:, 3])
    light = _LIGHT / np.linalg.norm(_LIGHT)
    square = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32) * (_FACE_PIXELS - 1)
    faces = _faces(np.random.default_rng(body.look_seed))
    for indices, face in zip(_FACES, faces, strict=True):
        points = corners[list(indices)]
        normal = np.cross(points[1] - points[0], points[3] - points[0])
        normal *= np.sign(normal @ (points.mean(axis=0) - middle)) / np.linalg.norm(normal)
        if normal @ (points.mean(axis=0) - eye) >= 0:
            continue
        pixels = project_points(points, camera)
        warp = cv2.getPerspectiveTransform(square, fine_coordinates(pixels).astype(np.float32))
        seen = cv2.warpPerspective(face, warp, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
        part = polygon_mask(pixels, size)
        tone = 0.45 + 0.65 * max(0.0, float(normal @ light))
        colours[part] = shaded(seen[part], np.float32(tone))
        mask |= part
    return Layer(colours, mask)
