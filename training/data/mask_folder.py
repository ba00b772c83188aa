"""Photos with numbered masks of people as labelled stills (the layout of Penn-Fudan)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import cv2
import numpy as np

from training.data.cutouts import Part, mask_path, masked_photos, numbered_boxes
from training.data.images import ImageCache, read_image
from training.data.labels import FrameLabels, FramePair, LabelledFrame

# Seen by eye: in these photos of Penn-Fudan every person in sight has a mask. In the other ones
# people far away, cut off or half hidden have none.
PENN_FUDAN_COMPLETE = frozenset(
    [f'FudanPed{number:05d}' for number in (
        1, 5, 11, 12, 13, 19, 20, 24, 26, 30, 32, 35, 39, 50, 51, 52, 55, 56, 59, 60, 62, 66, 67,
        68, 69, 72, 73, 74,
    )]
    + [f'PennPed{number:05d}' for number in (
        4, 11, 13, 17, 20, 21, 30, 37, 38, 40, 41, 42, 53, 54, 57, 59, 70, 75, 76, 79, 82, 87,
        88, 89, 90, 91, 93, 94,
    )]
)  # fmt: skip


class MaskFolderSource:
    """Stills of a folder of `NAME.jpg` with `NAME_mask.png`: pixel value = person, 0 = none.

    Args:
        folder: the photos.
        class_names: names of the network's classes, in its order; all but people are unlabelled.
        complete: names of the photos in which every person has a mask; in the others people
            count as unlabelled too, so that only those with a mask are learnt.
        only_complete: leave the other photos out.
        part: which photos, see `cutouts.masked_photos`.
        cache: decoded pictures; may be shared with other sources.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: there is no photo with a mask in it, or no class `person`.
    """

    def __init__(
        self,
        folder: Path,
        class_names: Sequence[str],
        complete: Collection[str],
        *,
        only_complete: bool = False,
        part: Part = 'all',
        cache: ImageCache | None = None,
    ) -> None:
        if 'person' not in class_names:
            raise ValueError(f"class_names: expected 'person' among them, received {class_names}")
        self._cache = cache if cache is not None else ImageCache()
        person = list(class_names).index('person')
        every = np.arange(len(class_names))
        self._frames: list[tuple[Path, FrameLabels]] = []
        for path in masked_photos(folder, part):
            if only_complete and path.stem not in complete:
                continue
            mask = read_image(mask_path(path), cv2.IMREAD_GRAYSCALE)
            boxes = list(numbered_boxes(mask).values())
            labels = FrameLabels.from_rows(
                boxes,
                [person] * len(boxes),
                range(1, len(boxes) + 1),
                unlabelled_classes=every[every != person] if path.stem in complete else every,
            )
            self._frames.append((path, labels))
        if not self._frames:
            raise ValueError(f'{folder}: expected photos with masks, found none')

    def __len__(self) -> int:
        return len(self._frames)

    def frame(self, index: int) -> LabelledFrame:
        """One photo."""
        path, labels = self._frames[index]
        return LabelledFrame(self._cache.read(path), labels)

    def name(self, index: int) -> str:
        """The file of a photo."""
        return str(self._frames[index][0])

    def sample_pair(self, generator: np.random.Generator) -> FramePair:
        """A random photo, as both frames."""
        return self.pair(int(generator.integers(len(self))), generator)

    def pair(self, index: int, generator: np.random.Generator) -> FramePair:
        """Photo `index`, as both frames."""
        frame = self.frame(index)
        return FramePair(frame, frame, simulate_motion=True)
