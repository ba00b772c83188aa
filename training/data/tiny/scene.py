"""What a tiny video is made of, and how one is chosen among random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from centertrack_ros.datatypes import FloatArray, Image
from training.data.labels import Reals, box_centers, clip_boxes
from training.data.tiny.canvas import Size

# Pictures cost a thousand times as much as paths.
_VIDEOS_TRIED, _ACTORS_TRIED = 200, 500


@dataclass(frozen=True)
class TinyObject:
    """One annotation.

    Attributes:
        track: its number in the video, from 1.
        category: index of its class.
        box: (4,) xyxy pixels of the whole object, as exact as floats are.
        visibility: see `canvas.Picture`.
        fields: further ones of the annotation.
    """

    track: int
    category: int
    box: FloatArray
    visibility: float
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TinyFrame:
    """An image (H, W, 3) uint8 BGR and its objects; `fields` are further ones of the image."""

    image: Image
    objects: tuple[TinyObject, ...]
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Demands:
    """What makes a video hard enough to be worth learning and clean enough to be learnt.

    Attributes:
        least_visible: of every object in every frame.
        covered: share of the objects of which another hides at least a tenth.
        least_inside: share of every box that is inside the picture.
        apart: pixels between the middles of two boxes; nearer peaks would be one at stride 4.
    """

    least_visible: float = 0.4
    covered: float = 0.1
    least_inside: float = 0.6
    apart: float = 12.0


class Actor(Protocol):
    """One object in all frames."""

    def boxes(self) -> Reals:
        """(F, 4) xyxy pixels, of the whole object in every frame."""
        ...


_Actor = TypeVar('_Actor', bound=Actor)
# Makes an actor that goes with those there are, or None.
Casting: TypeAlias = Callable[[np.random.Generator, Sequence[_Actor]], _Actor | None]


def chosen_video(
    castings: Sequence[Casting[_Actor]],
    draw: Callable[[Sequence[_Actor], np.random.Generator], Iterable[TinyFrame]],
    size: Size,
    demands: Demands,
    generator: np.random.Generator,
) -> tuple[TinyFrame, ...]:
    """The first of random videos that meets the demands.

    Args:
        castings: one for each object, in the order of their tracks; None is a refusal.
        draw: the frames of some actors; what else is random comes from its Generator.
        size: (height, width) of the pictures.
        demands: see there.
        generator: source of randomness.

    Raises:
        ValueError: none of many does.
    """
    for _ in range(_VIDEOS_TRIED):
        actors = _chosen_actors(castings, size, demands, generator)
        if actors is not None:
            frames = _watched(draw(actors, generator), demands.least_visible)
            seen = [found.visibility for frame in frames for found in frame.objects]
            if frames and (np.array(seen) < 0.9).mean() >= demands.covered:
                return frames
    raise ValueError(
        f'expected a video with {demands} among {_VIDEOS_TRIED} random ones, found none; '
        'a larger picture or fewer frames make it easier'
    )


def _watched(frames: Iterable[TinyFrame], least_visible: float) -> tuple[TinyFrame, ...]:
    """All frames, none from the first one on in which an object is hidden too much."""
    watched = []
    for frame in frames:
        if min(found.visibility for found in frame.objects) < least_visible:
            return ()
        watched.append(frame)
    return tuple(watched)


def _chosen_actors(
    castings: Sequence[Casting[_Actor]],
    size: Size,
    demands: Demands,
    generator: np.random.Generator,
) -> list[_Actor] | None:
    """One actor of each casting, no two too close; None where they do not fit together."""
    actors: list[_Actor] = []
    centers: list[FloatArray] = []
    for casting in castings:
        for _ in range(_ACTORS_TRIED):
            actor = casting(generator, actors)
            if actor is None:
                continue
            boxes = actor.boxes()
            clipped = clip_boxes(boxes, size[1], size[0])
            if (_areas(clipped) < demands.least_inside * _areas(boxes)).any():
                continue
            places = box_centers(clipped)
            gaps = [np.linalg.norm(places - others, axis=1).min() for others in centers]
            if min(gaps, default=np.inf) >= demands.apart:
                actors.append(actor)
                centers.append(places)
                break
        else:
            return None
    return actors


def clipped_box(box: Reals, size: Size) -> list[float]:
    """Left, top, width, height of a box (4,) xyxy cut at the edges of the picture."""
    left, top, right, bottom = clip_boxes(np.asarray(box)[None], size[1], size[0])[0].tolist()
    return [left, top, right - left, bottom - top]


def bounced(places: Reals, low: Reals, high: Reals) -> Reals:
    """Places (..., D) of a straight line folded back at the walls `low` and `high` (D,)."""
    room = high - low
    turns = np.mod(places - low, 2 * room)
    folded: Reals = low + np.minimum(turns, 2 * room - turns)
    return folded


def _areas(boxes: Reals) -> Reals:
    areas: Reals = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas
