"""What a track is known by, whoever made it: the form in which `tracker` compares runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from centertrack_ros.datatypes import Tracks

# Image of a detection that was there before the first one.
BEFORE = -1


class Row(NamedTuple):
    """One track after one image.

    Attributes:
        identity: its number.
        source: image and index of the detection that it carries.
        detection: index of this image's detection, -1 while lost.
        active: images in a row in which it was seen, 0 while lost.
        age: images since it was seen, and one.
    """

    identity: int
    source: tuple[int, int]
    detection: int
    active: int
    age: int


@dataclass
class History:
    """What the tracks of one run went through.

    Attributes:
        images: rows of every image.
        births: first detection of each track.
    """

    images: list[list[Row]] = field(default_factory=list)
    births: dict[int, tuple[int, int]] = field(default_factory=dict)

    def append(self, rows: list[Row]) -> None:
        """Take the rows of the next image."""
        self.images.append(rows)
        for row in rows:
            self.births.setdefault(row.identity, row.source)

    def unnamed(self) -> list[list[tuple[Any, ...]]]:
        """Rows with the track's first detection for its number, in order of those."""
        return [sorted((self.births[row.identity], *row[1:]) for row in rows)
                for rows in self.images]  # fmt: skip

    def zeroed(self) -> list[list[int]]:
        """Image and position of rows whose track is lost, and kept, in the next image."""
        found = []
        for image, rows in enumerate(self.images[1:]):
            lost = {row.identity for row in rows if row.age == 2}
            found += [[image, position] for position, row in enumerate(self.images[image])
                      if row.identity in lost]  # fmt: skip
        return found


def rows_of(tracks: Tracks, image: int, history: History) -> list[Row]:
    """Rows of `tracks` after an image; `history` holds those before."""
    before = {row.identity: row for row in history.images[-1]} if history.images else {}
    rows = []
    for identity, detection, misses in zip(
        *(array.tolist() for array in (tracks.ids, tracks.detection_indices, tracks.misses)),
        strict=True,
    ):
        old = before.get(identity)
        if detection < 0:
            source = old.source if old else history.births[identity]
            active = 0
        else:
            source = (image, detection)
            # Those that `initialise` made have been seen once, without an image.
            active = 1 + (old.active if old else image == 0 and identity in history.births)
        rows.append(Row(identity, source, detection, active, misses + 1))
    return rows
