"""A picture of hard moments: what the tracker made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.comparison.hard_moments import Moment, choose_moments, hard_moments
from benchmarks.comparison.rows import Row
from benchmarks.comparison.scoring import compared
from benchmarks.comparison.sequences import LabelledSequence
from centertrack_ros.datatypes import FloatArray, Image, Tracks
from centertrack_ros.drawing import FONT, Trails, draw_tracks

COLUMNS, ROWS = 4, 3
TILE_WIDTH, TILE_HEIGHT = 640, 480
TILE_SIZE = np.array([TILE_WIDTH, TILE_HEIGHT], np.float32)
CAPTION_HEIGHT = 30
MARGIN = 6
TRAIL_SECONDS = 2.0


def write_contact_sheet(
    path: Path,
    sequences: Sequence[LabelledSequence],
    row: Row,
    class_index: int,
    class_names: Sequence[str],
) -> list[Moment]:
    """Draw 12 hard moments of one row.

    Args:
        path: picture to write.
        sequences: all of the comparison.
        row: one of ours, whose recordings hold its tracks.
        class_index: of the tracks that are compared.
        class_names: of the model.

    Returns:
        The moments, tile by tile.

    Raises:
        ValueError: there is no hard moment, or the picture cannot be written.
    """
    moments: list[Moment] = []
    for place, sequence in enumerate(sequences):
        comparison = compared(sequence, row.frames[place])
        moments += hard_moments(place, sequence.truth, comparison, sequence.source.fps)
    chosen = choose_moments(moments, COLUMNS * ROWS)
    if not chosen:
        raise ValueError('contact sheet: expected people who cross or are lost, found none')
    tiles: dict[int, Image] = {}
    for place, sequence in enumerate(sequences):
        wanted = {m.image: number for number, m in enumerate(chosen) if m.sequence == place}
        if wanted:
            tiles |= _tiles(sequence, row, place, wanted, chosen, class_index, class_names)
    sheet = np.full(
        (
            ROWS * (TILE_HEIGHT + CAPTION_HEIGHT + MARGIN) + MARGIN,
            COLUMNS * (TILE_WIDTH + MARGIN) + MARGIN,
            3,
        ),
        255,
        np.uint8,
    )
    for number, tile in tiles.items():
        line, column = divmod(number, COLUMNS)
        top = MARGIN + line * (TILE_HEIGHT + CAPTION_HEIGHT + MARGIN)
        left = MARGIN + column * (TILE_WIDTH + MARGIN)
        sheet[top : top + len(tile), left : left + TILE_WIDTH] = tile
    if not cv2.imwrite(str(path), sheet):
        raise ValueError(f'{path}: expected a folder to write to and a name like sheet.png')
    return chosen


def _tiles(
    sequence: LabelledSequence,
    row: Row,
    place: int,
    wanted: Mapping[int, int],
    chosen: Sequence[Moment],
    class_index: int,
    class_names: Sequence[str],
) -> dict[int, Image]:
    """Tile number -> picture with a caption, for the wanted images of one sequence."""
    tiles: dict[int, Image] = {}
    for image, frame in enumerate(sequence.source):
        if image not in wanted:
            continue
        moment = chosen[wanted[image]]
        corner, scale = _part(frame.image.shape[:2], moment)
        # Drawn on the tile and not on the image, so that all letters have one size.
        trails = Trails(max(2, round(TRAIL_SECONDS * sequence.source.fps)))
        shown = Tracks.empty()
        for tracks in row.recordings[place].tracks[: image + 1]:
            boxes = (tracks.boxes - np.tile(corner, 2)) * scale
            inside = (boxes[:, 2:] > 0).all(axis=1) & (boxes[:, :2] < TILE_SIZE).all(axis=1)
            shown = replace(tracks, boxes=boxes)[inside & (tracks.classes == class_index)]
            trails.update(shown)
        picture = draw_tracks(_cut(frame.image, corner, scale), shown, class_names, trails)
        caption = f'{sequence.name} {image + 1}: {moment.caption}'
        tiles[wanted[image]] = _captioned(picture, caption)
    return tiles


def _part(shape: tuple[int, int], moment: Moment) -> tuple[FloatArray, np.float32]:
    """Upper left corner (2,) of what a tile shows, and tile pixels per image pixel.

    It is around the moment, at least half as high as the image and nowhere beyond it.
    """
    size = np.array(shape[::-1], np.float32)
    of_moment = 1.6 * (moment.box[2:] - moment.box[:2])
    zoom = max(size[1] / 2 / TILE_SIZE[1], float((of_moment / TILE_SIZE).max()))
    zoom = min(zoom, float((size / TILE_SIZE).min()))
    part = TILE_SIZE * np.float32(zoom)
    center = (moment.box[:2] + moment.box[2:]) / 2
    corner: FloatArray = np.clip(center - part / 2, 0, size - part).astype(np.float32)
    return corner, np.float32(1 / zoom)


def _cut(image: Image, corner: FloatArray, scale: np.float32) -> Image:
    left, top = np.rint(corner).astype(int).tolist()
    right, bottom = np.rint(corner + TILE_SIZE / scale).astype(int).tolist()
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cut = cv2.resize(
        image[top:bottom, left:right], (TILE_WIDTH, TILE_HEIGHT), interpolation=method
    )
    return cut.astype(np.uint8, copy=False)


def _captioned(tile: Image, caption: str) -> Image:
    strip = np.full((CAPTION_HEIGHT, TILE_WIDTH, 3), 255, np.uint8)
    scale = 0.6
    text_width = cv2.getTextSize(caption, FONT, scale, 1)[0][0]
    scale *= min(1.0, (TILE_WIDTH - 8) / text_width)
    cv2.putText(strip, caption, (4, 21), FONT, scale, (0, 0, 0), 1, lineType=cv2.LINE_AA)
    return np.concatenate((tile, strip))
