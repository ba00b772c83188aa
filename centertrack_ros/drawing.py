"""Overlays for people: boxes with id, class and score, one colour per id, short trails."""

from __future__ import annotations

import colorsys
from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, Image, IntArray, TrackedJoints, Tracks
from centertrack_ros.drawing_joints import draw_skeleton, skeleton_of

Color = tuple[int, int, int]

# The golden ratio spreads the hues of any run of consecutive ids evenly round the colour circle.
GOLDEN_RATIO = 0.618033988749895
FONT = cv2.FONT_HERSHEY_SIMPLEX
DASH_PX = 6
NOTE_COLOR: Color = (46, 34, 207)
# Line width 2 and text of about 11 px at this height; both grow with the image.
REFERENCE_HEIGHT_PX = 576


def track_color(track_id: int) -> Color:
    """Colour of an id, BGR 0 to 255: always the same one, bright on dark and light images."""
    hue = (track_id * GOLDEN_RATIO) % 1.0
    saturation = (0.65, 0.9)[track_id % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, 0.95)
    return round(blue * 255), round(green * 255), round(red * 255)


class Trails:
    """Where the tracks stood in the last images: the middle of each box's lower edge.

    Clear it when the tracker is reset: ids start again then.
    """

    def __init__(self, length: int = 30) -> None:
        """Make it empty.

        Args:
            length: images for which a point is kept.
        """
        if length < 1:
            raise ValueError(f'length: expected at least 1, received {length}')
        self._length = length
        self._image_count = 0
        self._points: dict[int, deque[tuple[int, float, float]]] = {}

    def clear(self) -> None:
        """Forget all points."""
        self._points.clear()

    def update(self, tracks: Tracks) -> None:
        """Take over the reported tracks of one image; call it once per image, also for none."""
        self._image_count += 1
        for row in np.flatnonzero(tracks.reported):
            x_min, _, x_max, y_max = tracks.boxes[row].tolist()
            points = self._points.setdefault(int(tracks.ids[row]), deque())
            points.append((self._image_count, (x_min + x_max) / 2, y_max))
        oldest = self._image_count - self._length
        for track_id, points in list(self._points.items()):
            while points and points[0][0] <= oldest:
                points.popleft()
            if not points:
                del self._points[track_id]

    def points(self, track_id: int) -> IntArray:
        """Points (M, 2) of a track in image pixels, oldest first; none for an unknown id."""
        points = [(x, y) for _, x, y in self._points.get(track_id, ())]
        return np.rint(np.array(points, dtype=np.float64).reshape(-1, 2)).astype(np.int64)


def draw_tracks(
    image: Image,
    tracks: Tracks,
    class_names: Sequence[str],
    trails: Trails | None = None,
    *,
    joints: TrackedJoints | None = None,
    joint_names: Sequence[str] = (),
    framed: BoolArray | None = None,
) -> Image:
    """Draw the reported tracks on a copy of an image.

    A track that was not detected in this image but is reported all the same has a dashed box.

    Args:
        image: (H, W, 3) uint8 BGR; it is not written to.
        tracks: state after this image.
        class_names: `ModelSpec.classes`.
        trails: where the tracks were before; None draws no trails.
        joints: of `tracks`, row for row; None draws no skeletons.
        joint_names: `ModelSpec.joints`.
        framed: (N,) which tracks have their box drawn, and not their label alone; None = all.

    Returns:
        (H, W, 3) uint8 BGR, a new array.
    """
    canvas = np.array(image, order='C')
    scale = max(canvas.shape[0] / REFERENCE_HEIGHT_PX, 0.5)
    rows = np.flatnonzero(tracks.reported)
    # Farther objects first, so that the label of a nearer one lies on top.
    rows = rows[np.argsort(tracks.boxes[rows, 3], kind='stable')]
    if trails is not None:
        for row in rows:
            _draw_trail(canvas, trails.points(int(tracks.ids[row])), int(tracks.ids[row]), scale)
    corners_px = np.rint(np.nan_to_num(tracks.boxes)).clip(-32768, 32767).astype(np.int64)
    for row in rows:
        box = corners_px[row].tolist()
        track_id = int(tracks.ids[row])
        name = class_names[int(tracks.classes[row])]
        color = track_color(track_id)
        if joints is not None:
            draw_skeleton(
                canvas,
                joints.positions[row],
                joints.visible[row],
                skeleton_of(tuple(joint_names)),
                color,
                scale=scale,
                size=max(box[2] - box[0], box[3] - box[1]),
            )
        if framed is None or framed[row]:
            _draw_box(canvas, box, color, scale, dashed=bool(tracks.misses[row] > 0))
        _draw_label(canvas, box, f'{track_id} {name} {tracks.scores[row]:.2f}', color, scale)
    return canvas


def draw_note(image: Image, text: str) -> Image:
    """Write a line into the upper left corner of a copy of an image.

    Args:
        image: (H, W, 3) uint8 BGR; it is not written to.
        text: the line, ASCII.

    Returns:
        (H, W, 3) uint8 BGR, a new array.
    """
    canvas = np.array(image, order='C')
    _draw_label(canvas, [0, 0, 0, 0], text, NOTE_COLOR, canvas.shape[0] / REFERENCE_HEIGHT_PX)
    return canvas


def _draw_box(canvas: Image, box: list[int], color: Color, scale: float, *, dashed: bool) -> None:
    x_min, y_min, x_max, y_max = box
    width = max(1, round(2 * scale))
    if not dashed:
        cv2.rectangle(canvas, (x_min, y_min), (x_max, y_max), color, width)
        return
    step = max(2, round(DASH_PX * scale))
    for x in range(x_min, x_max, 2 * step):
        for y in (y_min, y_max):
            cv2.line(canvas, (x, y), (min(x + step, x_max), y), color, width)
    for y in range(y_min, y_max, 2 * step):
        for x in (x_min, x_max):
            cv2.line(canvas, (x, y), (x, min(y + step, y_max)), color, width)


def _draw_label(canvas: Image, box: list[int], text: str, color: Color, scale: float) -> None:
    # Smaller letters than at the reference height cannot be read.
    scale = max(scale, 1.0)
    font_scale, width = 0.42 * scale, max(1, round(scale))
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, font_scale, width)
    margin = max(2, round(3 * scale))
    label_height = text_height + baseline + margin
    label_width = text_width + 2 * margin
    left = int(np.clip(box[0], 0, max(canvas.shape[1] - label_width, 0)))
    # Above the box, and inside its upper edge where the image ends.
    top = box[1] - label_height if box[1] >= label_height else max(box[1], 0)
    corner = (left + label_width, top + label_height)
    cv2.rectangle(canvas, (left, top), corner, color, cv2.FILLED)
    origin = (left + margin, top + text_height + margin // 2 + 1)
    cv2.putText(
        canvas, text, origin, FONT, font_scale, _text_color(color), width, lineType=cv2.LINE_AA
    )


def _draw_trail(canvas: Image, points_px: IntArray, track_id: int, scale: float) -> None:
    if len(points_px) < 2:
        return
    curve: NDArray[np.int32] = points_px.astype(np.int32).reshape(-1, 1, 2)
    width = max(1, round(2 * scale))
    # LINE_8: the anti-aliased kind costs ten times as much for a line of this length.
    cv2.polylines(canvas, [curve], False, track_color(track_id), width, lineType=cv2.LINE_8)


def _text_color(background: Color) -> Color:
    blue, green, red = background
    luminance = 0.114 * blue + 0.587 * green + 0.299 * red
    return (0, 0, 0) if luminance > 110 else (255, 255, 255)
