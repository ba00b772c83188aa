"""Cut-outs: things cut from photos along their masks, ready to be pasted at any size.

A cut-out is kept as a pyramid of premultiplied BGRA images, so that pasting a small one reads
few pixels and does not alias, and so that interpolation at its rim mixes in no background.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from training.data.images import read_image

MAX_HEIGHT = 384
_MIN_LEVEL_HEIGHT = 24
_MIN_COCO_SIDE = {'person': 40, 'car': 24}
_MIN_OTHER_SIDE = 32
_MIN_PERSON_ASPECT = 1.5
_HELD_OUT_EVERY = 8

Part: TypeAlias = Literal['all', 'training', 'held_out']


@dataclass(frozen=True)
class Cutout:
    """One thing without its surroundings.

    Attributes:
        class_name: what it is.
        levels: premultiplied (h, w, 4) uint8 BGRA images that fill the box of the thing, the
            largest first, each half as high as the one before.
    """

    class_name: str
    levels: tuple[Image, ...]

    @property
    def aspect(self) -> float:
        """Width over height."""
        height, width = self.levels[0].shape[:2]
        return float(width / height)

    def level_for(self, height: float) -> Image:
        """Smallest image that is at least as high as `height`, the largest where none is."""
        for level in reversed(self.levels):
            if level.shape[0] >= height:
                return level
        return self.levels[0]


@dataclass(frozen=True)
class CutoutEntry:
    """A cut-out that has not been read yet.

    Attributes:
        class_name: what it is.
        read: reads it.
        weight: how often it is taken, against the others of its class.
    """

    class_name: str
    read: Callable[[], Cutout]
    weight: float = 1.0


class CutoutLibrary:
    """Cut-outs by class name, read when first used and kept while `limit_bytes` allows.

    Args:
        entries: what there is.
        limit_bytes: memory for cut-outs; beyond it the least recently used one is dropped.
    """

    def __init__(self, entries: Sequence[CutoutEntry], limit_bytes: int = 384 << 20) -> None:
        if not entries:
            raise ValueError('entries: expected at least one cut-out, received none')
        self._entries: dict[str, list[CutoutEntry]] = {}
        for entry in entries:
            self._entries.setdefault(entry.class_name, []).append(entry)
        # Cumulated shares: a draw is one bisection, where `Generator.choice` walks all weights.
        self._steps = {
            name: np.cumsum([entry.weight for entry in rows])
            for name, rows in self._entries.items()
        }
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._cutouts: OrderedDict[tuple[str, int], Cutout] = OrderedDict()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes that have cut-outs."""
        return tuple(self._entries)

    def count(self, class_name: str) -> int:
        """How many cut-outs there are of a class."""
        return len(self._entries.get(class_name, ()))

    def sample(self, class_name: str, generator: np.random.Generator) -> Cutout:
        """A random cut-out of a class."""
        steps = self._steps[class_name]
        index = int(np.searchsorted(steps, generator.random() * steps[-1], side='right'))
        return self.get(class_name, min(index, len(steps) - 1))

    def get(self, class_name: str, index: int) -> Cutout:
        """One cut-out."""
        key = (class_name, index)
        cutout = self._cutouts.get(key)
        if cutout is not None:
            self._cutouts.move_to_end(key)
            return cutout
        cutout = self._entries[class_name][index].read()
        self._cutouts[key] = cutout
        self._used_bytes += _size(cutout)
        while self._used_bytes > self._limit_bytes and len(self._cutouts) > 1:
            _, dropped = self._cutouts.popitem(last=False)
            self._used_bytes -= _size(dropped)
        return cutout


def person_crop_entries(
    folder: Path, weight: float = 1.0, part: Part = 'all'
) -> list[CutoutEntry]:
    """Cut-outs of a folder of `NAME.jpg` with `NAME_mask.png`, one person each."""
    return [
        CutoutEntry('person', partial(_read_masked, path, None), weight)
        for path in masked_photos(folder, part)
    ]


def numbered_mask_entries(
    folder: Path, weight: float = 1.0, part: Part = 'all'
) -> list[CutoutEntry]:
    """Cut-outs of a folder of `NAME.jpg` with `NAME_mask.png`: pixel value = person, 0 = none.

    People cut off by the edge of the photo are left out: they would walk about like that.
    """
    entries = []
    for path in masked_photos(folder, part):
        mask = read_image(mask_path(path), cv2.IMREAD_GRAYSCALE)
        for number, (left, top, right, bottom) in numbered_boxes(mask).items():
            if left > 0 and top > 0 and right < mask.shape[1] and bottom < mask.shape[0]:
                read = partial(_read_masked, path, number)
                entries.append(CutoutEntry('person', read, weight))
    return entries


def numbered_boxes(mask: Image) -> dict[int, tuple[int, int, int, int]]:
    """Number -> xyxy box in whole pixels of each non-zero value of a mask (H, W) uint8."""
    boxes = {}
    for number in np.unique(mask[mask > 0]).tolist():
        left, top, width, height = cv2.boundingRect((mask == number).astype(np.uint8))
        boxes[number] = (left, top, left + width, top + height)
    return boxes


def coco_polygon_entries(
    annotation_path: Path, image_folder: Path, class_names: Sequence[str], weight: float = 1.0
) -> list[CutoutEntry]:
    """Cut-outs of the polygons of a COCO file, of the named classes.

    Left out are crowds, things cut off by the edge of the picture, things in several pieces
    (something stands before them), small ones, and people who do not stand upright.
    """
    content = json.loads(annotation_path.read_text(encoding='utf-8'))
    names = {category['id']: category['name'] for category in content['categories']}
    images = {image['id']: image for image in content['images']}
    entries = []
    for annotation in content['annotations']:
        image, name = images[annotation['image_id']], names[annotation['category_id']]
        if name in class_names and _is_whole(annotation, name, image['width'], image['height']):
            path = image_folder / image['file_name']
            polygon = np.array(annotation['segmentation'][0], np.float64).reshape(-1, 2)
            read = partial(_read_polygon, path, polygon, name)
            entries.append(CutoutEntry(name, read, weight))
    return entries


def make_cutout(image: Image, mask: Image, class_name: str) -> Cutout:
    """Cut the thing under `mask` (H, W) uint8, 255 = thing, out of `image` (H, W, 3) BGR.

    Raises:
        ValueError: the mask is empty or of another size than the image.
    """
    if mask.shape != image.shape[:2]:
        raise ValueError(f'mask: expected shape {image.shape[:2]}, received {mask.shape}')
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError(f'mask: expected some of a {class_name}, received an empty mask')
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # One pixel of softness: the hard rim of a mask is an edge that no camera makes.
    alpha = cv2.GaussianBlur(mask[area], (3, 3), 0, borderType=cv2.BORDER_CONSTANT)
    alpha = np.minimum(alpha, mask[area])
    colour = cv2.multiply(image[area], cv2.merge([alpha] * 3), scale=1 / 255)
    level = np.dstack([colour, alpha])
    if level.shape[0] > MAX_HEIGHT:
        level = _shrink(level, MAX_HEIGHT / level.shape[0])
    levels = [level]
    while levels[-1].shape[0] >= 2 * _MIN_LEVEL_HEIGHT and levels[-1].shape[1] >= 4:
        levels.append(_shrink(levels[-1], 0.5))
    return Cutout(class_name, tuple(levels))


def _shrink(image: Image, scale: float) -> Image:
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _size(cutout: Cutout) -> int:
    return sum(level.nbytes for level in cutout.levels)


def masked_photos(folder: Path, part: Part = 'all') -> list[Path]:
    """Photos of a folder that have a mask beside them.

    Those whose number is a multiple of 8 are held out of training: the sequences that trackers
    are measured on are made of them.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'folder of cut-outs {folder} does not exist')
    photos = [path for path in sorted(folder.glob('*.jpg')) if mask_path(path).is_file()]
    if part == 'all':
        return photos
    return [path for path in photos if _is_held_out(path) == (part == 'held_out')]


def _is_held_out(path: Path) -> bool:
    digits = ''.join(character for character in path.stem if character.isdigit())
    return bool(digits) and int(digits) % _HELD_OUT_EVERY == 0


def mask_path(path: Path) -> Path:
    """The mask beside a photo."""
    return path.with_name(f'{path.stem}_mask.png')


def _read_masked(path: Path, number: int | None) -> Cutout:
    mask = read_image(mask_path(path), cv2.IMREAD_GRAYSCALE)
    selected = (mask == number) if number is not None else (mask > 127)
    return make_cutout(read_image(path), selected.astype(np.uint8) * 255, 'person')


def _read_polygon(path: Path, polygon: Any, class_name: str) -> Cutout:
    image = read_image(path)
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 255)
    return make_cutout(image, mask, class_name)


def _is_whole(annotation: dict[str, Any], name: str, width: int, height: int) -> bool:
    pieces = annotation.get('segmentation')
    if annotation.get('iscrowd', 0) or not isinstance(pieces, list) or len(pieces) != 1:
        return False
    left, top, box_width, box_height = annotation['bbox']
    least = _MIN_COCO_SIDE.get(name, _MIN_OTHER_SIDE)
    inside = (
        left > 2 and top > 2 and left + box_width < width - 2 and top + box_height < height - 2
    )
    if name == 'person' and box_height < _MIN_PERSON_ASPECT * box_width:
        return False
    return bool(inside and min(box_width, box_height) >= least)
