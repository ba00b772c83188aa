"""A sequence of the world: pictures and exact truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from centertrack_ros.camera_geometry import alpha_from_yaw, project_points
from centertrack_ros.datatypes import Image
from training.data.labels import Reals, clip_boxes
from training.data.world.backdrop import Backdrop
from training.data.world.bodies import CLUTTER, Body
from training.data.world.camera import FOCAL, View, camera_matrix, drive
from training.data.world.picture import Light, Seen, draw, random_light
from training.data.world.traffic import populate

# Objects are to be learnt up to this depth, metres, and with this much inside and visible; others
# are regions in which nobody looks.
FARTHEST = 20.0
LEAST_INSIDE, LEAST_VISIBLE = 0.4, 0.15


@dataclass(frozen=True)
class WorldObject:
    """One object in one picture.

    Attributes:
        track: its number in the sequence, from 1.
        category: index of its class.
        box: (4,) xyxy pixels inside the picture.
        counts: whether it is to be found.
        fields: further ones of the annotation, see `training.data.world.writing`.
    """

    track: int
    category: int
    box: Reals
    counts: bool
    fields: dict[str, Any]


@dataclass(frozen=True)
class WorldFrame:
    """A picture (H, W, 3) uint8 BGR, its objects and the view it is seen in."""

    image: Image
    objects: tuple[WorldObject, ...]
    view: View


@dataclass(frozen=True)
class World:
    """A sequence that can be drawn: frames `[0, len(views))`."""

    views: tuple[View, ...]
    bodies: tuple[Body, ...]
    backdrop: Backdrop
    light: Light
    size: tuple[int, int]

    def frames(self) -> Iterator[WorldFrame]:
        """All frames in order."""
        return (self.frame(number) for number in range(len(self.views)))

    def frame(self, number: int) -> WorldFrame:
        """One frame; the same every time."""
        view = self.views[number]
        image, seen = draw(self.backdrop, self.bodies, self.light, view, number, self.size)
        objects = _objects(self.bodies, seen, view, number, self.size)
        return WorldFrame(image, tuple(objects), view)


def make_world(
    frames: int,
    size: tuple[int, int],
    generator: np.random.Generator,
    *,
    focal: float = FOCAL,
) -> World:
    """A random world, seen by a camera of `focal` widths of its picture (height, width).

    Raises:
        ValueError: no frames, or pictures or a focal length too small to show anything.
    """
    if frames < 1 or min(size) < 64 or not 0.3 <= focal <= 5:
        raise ValueError(
            'expected at least 1 frame, pictures of at least 64x64 and a focal length of 0.3 to 5 '
            f'widths, received {frames}, {size} and {focal}'
        )
    views = drive(frames, camera_matrix(size, focal), generator)
    return World(
        views=views,
        bodies=populate(views, generator),
        backdrop=Backdrop(generator),
        light=random_light(frames, generator),
        size=size,
    )


def _objects(
    bodies: Sequence[Body], seen: Sequence[Seen], view: View, frame: int, size: tuple[int, int]
) -> Iterator[WorldObject]:
    for number, (body, found) in enumerate(zip(bodies, seen, strict=True), start=1):
        if body.kind == CLUTTER or found.visible_box is None:
            continue
        fields = _fields(body, view, frame)
        inside = found.visible_box if found.box is None else _inside(found.box, size)
        share = 0.0 if found.box is None else _area(inside) / _area(found.box)
        fields |= {
            'visibility': found.visibility,
            'truncated': 1 - share,
            'visible_bbox': _left_top_size(found.visible_box),
        }
        if found.box is not None:
            fields['whole_bbox'] = _left_top_size(found.box)
        counts = (
            share >= LEAST_INSIDE
            and found.visibility >= LEAST_VISIBLE
            and fields['depth'] <= FARTHEST
        )
        yield WorldObject(number, body.kind, inside, counts, fields)


def _fields(body: Body, view: View, frame: int) -> dict[str, Any]:
    """Box in space, as `training.convert.kitti` writes it, but for the shake of the camera.

    The box stands upright on the ground, and a camera that shakes sees it lean by a fraction of
    a degree, which a yaw alone does not say; its middle is exact.
    """
    height = body.dimensions[0]
    middle = view.to_camera(body.positions[frame] - (0, height / 2, 0))
    location = middle + np.array([0, height / 2, 0])
    yaw = body.yaws[frame] - view.heading
    yaw = np.mod(yaw + np.pi, 2 * np.pi) - np.pi
    center = project_points(middle[None], view.matrix)
    alpha = alpha_from_yaw(np.array([yaw]), center[:, 0], view.matrix)
    return {
        'dim': body.dimensions.tolist(),
        'location': location.tolist(),
        'depth': float(middle[2]),
        'alpha': float(alpha[0]),
        'rotation_y': float(yaw),
        'amodel_center': center[0].tolist(),
        'velocity': (view.rotation @ body.velocities[frame]).tolist(),
    }


def _inside(box: Reals, size: tuple[int, int]) -> Reals:
    inside: Reals = clip_boxes(box[None], size[1], size[0])[0]
    return inside


def _area(box: Reals) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _left_top_size(box: Reals) -> list[float]:
    left, top, right, bottom = box.tolist()
    return [left, top, right - left, bottom - top]
