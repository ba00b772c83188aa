"""What lies behind synthetic scenes: labelled photos, and ground planes made of photo patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from training.data.labels import FrameLabels, LabelledFrame, Reals
from training.data.scene import Ground

_PATCH_TRIES = 24


class Photos(Protocol):
    """Labelled photos by number; `CocoVideoSource` and `MaskFolderSource` are such."""

    def __len__(self) -> int: ...

    def frame(self, index: int) -> LabelledFrame:
        """One photo."""
        ...


@dataclass(frozen=True)
class Background:
    """A picture and the affine map (2, 3) from its pixels to those of the scene."""

    frame: LabelledFrame
    matrix: Reals


class Backgrounds(Protocol):
    """Anything that makes backgrounds."""

    def sample(
        self, ground: Ground, height: int, width: int, generator: np.random.Generator
    ) -> Background:
        """A background for a scene of `height` x `width` pixels over `ground`."""
        ...


class PhotoBackgrounds:
    """Photos as they are, scaled up a little so that the camera can move.

    Args:
        photos: labelled photos.
        largest_share: leave out photos with a labelled thing larger than this share of the
            picture: close-ups make no scene to walk through.
        tallest_person: leave out photos with a person taller than this share of the height.
        person_class: index of the class `person`.
    """

    def __init__(
        self,
        photos: Photos,
        *,
        largest_share: float = 0.25,
        tallest_person: float = 0.5,
        person_class: int = 0,
    ) -> None:
        self._photos = photos
        self._usable = [
            index
            for index in range(len(photos))
            if _is_wide_view(photos.frame(index), largest_share, tallest_person, person_class)
        ]
        if not self._usable:
            raise ValueError('photos: expected at least one without a large object, received none')

    def __len__(self) -> int:
        return len(self._usable)

    def sample(
        self, ground: Ground, height: int, width: int, generator: np.random.Generator
    ) -> Background:
        """A random photo with room at its edges."""
        photo = self._photos.frame(self._usable[generator.integers(len(self._usable))])
        photo_height, photo_width = photo.image.shape[:2]
        fill = max(width / photo_width, height / photo_height)
        scale = fill * generator.uniform(1.08, 1.5)
        room = np.array([scale * photo_width - width, scale * photo_height - height])
        left, top = generator.uniform(0.25, 0.75, 2) * room
        return Background(photo, np.array([[scale, 0.0, -left], [0.0, scale, -top]]))


class GroundBackgrounds:
    """A textured ground in perspective and a backdrop, as a raised camera sees a square.

    Both textures are patches of photos that hold no labelled thing, and so no object that would
    have to be in the labels.

    Args:
        photos: photos in which all classes are labelled.
        margin: room for camera motion at each side, as a share of the size.
    """

    def __init__(self, photos: Photos, margin: float = 0.15) -> None:
        if not len(photos):
            raise ValueError('photos: expected at least one, received none')
        self._photos = photos
        self._margin = margin

    def sample(
        self, ground: Ground, height: int, width: int, generator: np.random.Generator
    ) -> Background:
        """A new ground plane under a new backdrop."""
        left, top = round(self._margin * width), round(self._margin * height)
        size = (width + 2 * left, height + 2 * top)
        # Pixels of the picture are those of the scene, moved by the margin.
        edge = ground.row_at(1.15 * ground.farthest) + top
        backdrop = cv2.resize(self._patch(generator), size, interpolation=cv2.INTER_LINEAR)
        image = paint_ground(self._patch(generator), ground, size, (left, top), generator)
        above = int(np.clip(edge, 0, size[1]))
        image[:above] = backdrop[size[1] - above :] if above else backdrop[:0]
        matrix = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]])
        return Background(LabelledFrame(image, FrameLabels.from_rows()), matrix)

    def _patch(self, generator: np.random.Generator) -> Image:
        """A copy of a part of a photo that touches no labelled thing; plain grey if none is."""
        for _ in range(_PATCH_TRIES):
            photo = self._photos.frame(int(generator.integers(len(self._photos))))
            height, width = photo.image.shape[:2]
            side = generator.uniform(0.2, 0.6, 2) * [width, height]
            start = generator.uniform(0, 1, 2) * ([width, height] - side)
            area = np.concatenate([start, start + side])
            boxes = np.concatenate([photo.labels.boxes, photo.labels.ignore_boxes])
            apart = (boxes[:, :2] >= area[2:]) | (boxes[:, 2:] <= area[:2])
            if apart.any(axis=1).all():
                x, y, right, bottom = area.astype(int)
                return photo.image[y:bottom, x:right].copy()
        return np.full((64, 64, 3), generator.integers(40, 200), np.uint8)


class MixedBackgrounds:
    """One of several kinds of backgrounds, drawn by weight."""

    def __init__(self, kinds: Sequence[Backgrounds], weights: Sequence[float]) -> None:
        if not kinds or len(kinds) != len(weights):
            raise ValueError(
                f'kinds and weights: expected as many of one as of the other, at least one, '
                f'received {len(kinds)} and {len(weights)}'
            )
        self._kinds = tuple(kinds)
        self._shares = np.asarray(weights, np.float64) / np.sum(weights)

    def sample(
        self, ground: Ground, height: int, width: int, generator: np.random.Generator
    ) -> Background:
        """A background of a random kind."""
        kind = self._kinds[generator.choice(len(self._kinds), p=self._shares)]
        return kind.sample(ground, height, width, generator)


def paint_ground(
    texture: Image,
    ground: Ground,
    size: tuple[int, int],
    margin: tuple[int, int],
    generator: np.random.Generator,
) -> Image:
    """A texture that repeats over the ground, mirrored, as the camera sees it.

    Args:
        texture: (h, w, 3) uint8; markings are drawn on it: the caller's own fresh copy.
        ground: the ground plane.
        size: (width, height) of the result.
        margin: columns and rows by which the result reaches beyond the picture.
        generator: randomness of markings, scale and direction.

    Returns:
        (height, width, 3) uint8, senseless above the horizon.
    """
    if generator.random() < 0.7:
        _draw_markings(texture, generator)
    # One repetition of the texture covers this many metres.
    cover = generator.uniform(3, 12)
    to_texture = np.diag([texture.shape[1] / cover, texture.shape[0] / cover, 1.0])
    angle = generator.uniform(0, 2 * np.pi)
    turn = np.array(
        [
            [np.cos(angle), -np.sin(angle), 0],
            [np.sin(angle), np.cos(angle), 0],
            [0.0, 0.0, 1.0],
        ]
    )
    shift = np.array([[1.0, 0.0, -margin[0]], [0.0, 1.0, -margin[1]], [0.0, 0.0, 1.0]])
    # A row that is the horizon itself lies at infinity.
    with np.errstate(divide='ignore', invalid='ignore'):
        places = _project(to_texture @ turn @ ground.floor_of_pixel() @ shift, size)
        columns = _mirrored(places[0], texture.shape[1])
        rows = _mirrored(places[1], texture.shape[0])
    return cv2.remap(
        texture,
        columns,
        rows,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _is_wide_view(
    photo: LabelledFrame, largest_share: float, tallest_person: float, person_class: int
) -> bool:
    height, width = photo.image.shape[:2]
    sizes = photo.labels.boxes[:, 2:] - photo.labels.boxes[:, :2]
    people = sizes[photo.labels.classes == person_class]
    return bool(
        sizes.prod(axis=1).max(initial=0) < largest_share * height * width
        and people[:, 1].max(initial=0) < tallest_person * height
    )


def _project(homography: Reals, size: tuple[int, int]) -> tuple[Reals, Reals]:
    """Where the homography (3, 3) takes each pixel of a picture of `size` (width, height).

    Returns:
        x and y, (height, width) float32 each.
    """
    columns = np.arange(size[0], dtype=np.float32)[None] + np.float32(0.5)
    rows = np.arange(size[1], dtype=np.float32)[:, None] + np.float32(0.5)
    terms = homography.astype(np.float32)
    # For a level camera the last line does not depend on the column: divide once per row.
    inverse = 1 / (terms[2, 1] * rows + terms[2, 2])
    x = (terms[0, 0] * inverse) * columns + (terms[0, 1] * rows + terms[0, 2]) * inverse
    y = (terms[1, 0] * inverse) * columns + (terms[1, 1] * rows + terms[1, 2]) * inverse
    return x, y


def _mirrored(places: Reals, length: int) -> Reals:
    """Places on an endless row of copies, each the mirror of the one before, as places on one.

    OpenCV's reflecting border does the same 15 times as slowly.
    """
    folds = places * np.float32(0.5 / length)
    folds -= np.rint(folds)
    folded: Reals = np.abs(folds, out=folds)
    folded *= np.float32(2 * length)
    folded -= np.float32(0.5)
    return folded


def _draw_markings(patch: Image, generator: np.random.Generator) -> None:
    """Lines and darker slabs on the ground; `patch` is the caller's own fresh copy."""
    height, width = patch.shape[:2]
    for _ in range(generator.integers(1, 4)):
        start = generator.uniform(0, 1, 2) * [width, height]
        end = generator.uniform(0, 1, 2) * [width, height]
        shade = int(generator.integers(30, 245))
        thickness = int(generator.integers(1, max(2, min(height, width) // 12)))
        ends = (start.astype(int).tolist(), end.astype(int).tolist())
        cv2.line(patch, *ends, (shade,) * 3, thickness, cv2.LINE_AA)
