"""MOT text files: `frame,id,x,y,width,height,confidence,...`, frames counted from 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.files import write_atomically

MIN_COLUMNS = 6
# MOT16 and later have a class and a visibility after the confidence; MOT15 has three world
# coordinates there, so that only the number of columns tells what the eighth one is.
MOT16_COLUMNS = 9
MOT16_PEDESTRIAN = 1
# What looks like a pedestrian and is none that must be found: people on vehicles, people standing
# for long, drawn ones, reflections.
MOT16_DISTRACTORS = (2, 7, 8, 12)


@dataclass(frozen=True)
class FrameBoxes:
    """Objects of one image.

    Attributes:
        ids: (N,) int64, unique within the image.
        boxes: (N, 4) float64 xyxy, image pixels.
        scores: (N,) float64.
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls) -> FrameBoxes:
        """No objects."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))


def read_mot(path: Path, *, ground_truth: bool = False) -> list[FrameBoxes]:
    """Read a MOT file.

    Args:
        path: text file, values apart by commas or blanks.
        ground_truth: drop what is not to be compared: rows with confidence 0, and in files of
            MOT16 and later the classes other than pedestrian.

    Returns:
        Objects of the images 1 to the last one named in the file; `[i]` is image `i + 1`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is no MOT line; the message has its number.
    """
    rows = _read_rows(Path(path))
    if ground_truth:
        rows = [row for row in rows if _is_compared(row)]
    frames = _frames(rows)
    for number, frame in enumerate(frames, start=1):
        if len(np.unique(frame.ids)) != len(frame):
            raise ValueError(f'{path}: expected every id once per image, image {number} has two')
    return frames


def read_mot_distractors(path: Path) -> list[FrameBoxes]:
    """Objects of a ground truth that nobody must find and at which tracks are no error.

    Args:
        path: `gt.txt`; only files of MOT16 and later name such objects, others give none.

    Returns:
        As `read_mot`.

    Raises:
        FileNotFoundError, ValueError: as `read_mot`.
    """
    rows = _read_rows(Path(path))
    return _frames(
        [row for row in rows if len(row) == MOT16_COLUMNS and row[7] in MOT16_DISTRACTORS]
    )


def format_mot(frames: Iterable[FrameBoxes]) -> str:
    """The text of a MOT file: three decimals for boxes, four for scores, ids in rising order."""
    lines = []
    for number, frame in enumerate(frames, start=1):
        for row in np.argsort(frame.ids, kind='stable'):
            x_min, y_min, x_max, y_max = frame.boxes[row].tolist()
            lines.append(
                f'{number},{frame.ids[row]},{x_min:.3f},{y_min:.3f},{x_max - x_min:.3f},'
                f'{y_max - y_min:.3f},{frame.scores[row]:.4f},-1,-1,-1\n'
            )
    return ''.join(lines)


def write_mot(path: Path, frames: Sequence[FrameBoxes]) -> None:
    """Write a MOT file; on failure an existing one stays as it was."""
    write_atomically(Path(path), format_mot(frames))


def _read_rows(path: Path) -> list[list[float]]:
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: expected a MOT text file')
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: expected a MOT text file, it is not text: {error}') from error
    rows = []
    for number, line in enumerate(lines, start=1):
        fields = line.replace(',', ' ').split()
        if not fields:
            continue
        try:
            row = [float(field) for field in fields]
        except ValueError:
            row = []
        if len(row) < MIN_COLUMNS or row[0] < 1 or row[0] != int(row[0]):
            raise ValueError(
                f'{path}, line {number}: expected frame (from 1), id, x, y, width, height, '
                f'received {line.strip()[:80]!r}'
            )
        if not np.isfinite(row).all():
            raise ValueError(f'{path}, line {number}: expected finite numbers, received {line!r}')
        rows.append(row)
    return rows


def _is_compared(row: list[float]) -> bool:
    if len(row) > MIN_COLUMNS and row[6] == 0:
        return False
    return len(row) != MOT16_COLUMNS or row[7] in (MOT16_PEDESTRIAN, -1)


def _frames(rows: list[list[float]]) -> list[FrameBoxes]:
    last = max((int(row[0]) for row in rows), default=0)
    by_frame: list[list[list[float]]] = [[] for _ in range(last)]
    for row in rows:
        by_frame[int(row[0]) - 1].append(row)
    return [_frame_boxes(frame_rows) for frame_rows in by_frame]


def _frame_boxes(rows: list[list[float]]) -> FrameBoxes:
    if not rows:
        return FrameBoxes.empty()
    values = np.array([row[:MIN_COLUMNS] for row in rows], dtype=np.float64)
    scores = [row[MIN_COLUMNS] if len(row) > MIN_COLUMNS else 1.0 for row in rows]
    corners = np.concatenate((values[:, 2:4], values[:, 2:4] + values[:, 4:6]), axis=1)
    return FrameBoxes(values[:, 1].astype(np.int64), corners, np.array(scores))
