"""The photos and people of the suite, which training never sees.

Only parts of photos without people are given out, of COCO's val2017 and of Penn-Fudan's held-out
photos: a person of the photo would be in the picture and not in the truth. See
`cutouts.masked_photos` for what is held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from centertrack_ros.datatypes import Image
from training.data.coco_video import CocoVideoSource
from training.data.cutouts import CutoutLibrary
from training.data.images import ImageCache
from training.data.labels import ALL_CLASSES
from training.data.mask_folder import PENN_FUDAN_COMPLETE, MaskFolderSource
from training.data.sources import build_library, category_names

HELD_OUT_SPLIT = 'val2017'


@dataclass(frozen=True)
class PhotoPart:
    """A part of a held-out photo.

    Attributes:
        name: file name without its ending.
        area: left, top, right, bottom as shares of the photo's size.
    """

    name: str
    area: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


class HeldOutMaterial:
    """The photos and people of the data root that training never sees.

    Args:
        root: folder with `coco128` and `cutouts`.

    Raises:
        FileNotFoundError: a part of the data root does not exist.
    """

    def __init__(self, root: Path) -> None:
        annotations = root / 'coco128' / 'annotations' / f'instances_{HELD_OUT_SPLIT}.json'
        class_names = category_names(annotations)
        self.person_class = class_names.index('person')
        self.library: CutoutLibrary = build_library(root, class_names, 'held_out')
        cache = ImageCache()
        coco = CocoVideoSource(
            annotations, root / 'coco128' / 'images' / HELD_OUT_SPLIT, class_names, cache=cache
        )
        streets = root / 'cutouts' / 'penn_fudan'
        walkers = MaskFolderSource(
            streets,
            class_names,
            PENN_FUDAN_COMPLETE,
            only_complete=True,
            part='held_out',
            cache=cache,
        )
        self._photos: dict[str, tuple[CocoVideoSource | MaskFolderSource, int]] = {
            **{record.path.stem: (coco, row) for row, record in enumerate(coco.records)},
            **{Path(walkers.name(row)).stem: (walkers, row) for row in range(len(walkers))},
        }

    @property
    def photo_names(self) -> tuple[str, ...]:
        """All photos that `picture` can be asked for a part of."""
        return tuple(self._photos)

    def picture(self, part: PhotoPart) -> Image:
        """A part of a photo, (H, W, 3) uint8 BGR.

        Raises:
            ValueError: there is no such held-out photo, or the part shows people.
        """
        if part.name not in self._photos:
            raise ValueError(f'photo: expected one of {self.photo_names}, received {part.name!r}')
        source, row = self._photos[part.name]
        photo = source.frame(row)
        height, width = photo.image.shape[:2]
        left, top, right, bottom = np.round(part.area * np.tile([width, height], 2)).astype(int)
        labels = photo.labels
        shown = np.concatenate(
            [
                labels.boxes[labels.classes == self.person_class],
                labels.ignore_boxes[
                    np.isin(labels.ignore_classes, (self.person_class, ALL_CLASSES))
                ],
            ]
        )
        apart = (
            (shown[:, 0] >= right)
            | (shown[:, 2] <= left)
            | (shown[:, 1] >= bottom)
            | (shown[:, 3] <= top)
        )
        if not apart.all():
            raise ValueError(f'{part}: expected a part of a photo without people, it shows some')
        return photo.image[top:bottom, left:right]
