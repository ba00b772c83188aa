"""Synthetic detections with known identities, for the tests of the trackers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centertrack_ros.datatypes import Detections
from centertrack_ros.tracker import Tracker, TrackerParameters


def parameters(**values: Any) -> TrackerParameters:
    defaults = {
        'track_threshold': 0.35,
        'birth_threshold': 0.5,
        'prior_threshold': 0.4,
        'max_age': 2.0,
        'max_age_frames': -1,
    }
    return TrackerParameters(**{**defaults, **values})


def make_detections(
    boxes: ArrayLike,
    scores: ArrayLike,
    classes: ArrayLike,
    centers: ArrayLike,
    offsets: ArrayLike,
) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32).reshape(-1),
        classes=np.array(classes, np.int64).reshape(-1),
        centers=np.array(centers, np.float32).reshape(-1, 2),
        offsets=np.array(offsets, np.float32).reshape(-1, 2),
    )


def people(
    centers: ArrayLike, *, score: ArrayLike = 0.9, height: float = 100.0, offsets: ArrayLike = 0.0
) -> Detections:
    """Persons of one size at centres (N, 2), class 0."""
    points = np.array(centers, np.float64).reshape(-1, 2)
    half = np.array([0.2, 0.5]) * height
    return make_detections(
        np.concatenate((points - half, points + half), axis=1),
        np.broadcast_to(score, len(points)),
        np.zeros(len(points)),
        points,
        np.broadcast_to(offsets, points.shape),
    )


@dataclass(frozen=True)
class Scene:
    """Images of a synthetic video.

    Attributes:
        images: detections per image.
        truth: per image and detection the true identity, -1 for false positives.
        dt: seconds between images.
    """

    images: list[Detections]
    truth: list[NDArray[np.int64]]
    dt: float


def crowd(
    seed: int,
    fps: float,
    *,
    seconds: float = 12.0,
    count: int = 8,
    miss: float = 0.1,
    false_per_image: float = 0.5,
    shake: float = 0.0,
    learned_offsets: bool = True,
) -> Scene:
    """People walking to and fro past each other; those behind others have low scores or none."""
    random = np.random.default_rng(seed)
    height = random.uniform(80, 200, count)
    feet = 200 + 1.5 * height
    velocity = random.choice([-1, 1], count) * random.uniform(0.3, 0.9, count) * height
    x = random.uniform(0, 900, count)
    images, truth = [], []
    previous = np.stack((x, feet - height / 2), axis=1)
    for _ in range(int(seconds * fps)):
        x = x + velocity / fps
        velocity = np.where((x < 0) | (x > 900), -velocity, velocity)
        centers = np.stack((x, feet - height / 2), axis=1) + random.normal(0, shake, 2)
        scores = 0.8 - 0.6 * _hidden(x, feet, height) + random.normal(0, 0.08, count)
        seen = (scores > 0.15) & (random.random(count) > miss)
        noise = random.normal(0, 0.03, (count, 4)) * height[:, None]
        half = height[:, None] * np.array([0.2, 0.5])
        boxes = np.concatenate((centers - half, centers + half), axis=1) + noise
        offsets = (previous - centers) * learned_offsets
        images.append(
            _with_false_ones(random, false_per_image, boxes, scores, centers, offsets, seen)
        )
        real = np.flatnonzero(seen)
        identities = np.full(len(images[-1]), -1, np.int64)
        identities[: len(real)] = real
        order = np.argsort(-images[-1].scores, kind='stable')
        images[-1], identities = images[-1][order], identities[order]
        truth.append(identities)
        previous = centers
    return Scene(images, truth, 1 / fps)


def _hidden(
    x: NDArray[np.float64], feet: NDArray[np.float64], height: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How much of each person (N,) stands behind a nearer one, 0 to 1."""
    gap = np.abs(x[:, None] - x[None, :])
    reach = 0.2 * (height[:, None] + height[None, :])
    behind = feet[None, :] > feet[:, None]
    hidden: NDArray[np.float64] = np.where(behind, np.clip(1 - gap / reach, 0, 1), 0).max(axis=1)
    return hidden


def _with_false_ones(
    random: np.random.Generator,
    rate: float,
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
    centers: NDArray[np.float64],
    offsets: NDArray[np.float64],
    seen: NDArray[np.bool_],
) -> Detections:
    count = random.poisson(rate)
    false = people(
        random.uniform(0, 900, (count, 2)), score=random.uniform(0.15, 0.45, count), height=90
    )
    return make_detections(
        np.concatenate((boxes[seen], false.boxes)),
        np.concatenate((scores[seen].clip(0.01, 0.99), false.scores)),
        np.zeros(seen.sum() + count),
        np.concatenate((centers[seen], false.centers)),
        np.concatenate((offsets[seen], false.offsets)),
    )


def switches(tracker: Tracker, scene: Scene) -> int:
    """How often a person's track changes its id over the scene."""
    carried: dict[int, int] = {}
    changed = 0
    for number, (detections, truth) in enumerate(zip(scene.images, scene.truth, strict=True)):
        tracks = tracker.update(detections, scene.dt if number else 0.0)
        reported = tracks[tracks.reported & (tracks.misses == 0)]
        for track, detection in zip(reported.ids, reported.detection_indices, strict=True):
            person = int(truth[detection])
            if person >= 0:
                changed += carried.get(person, int(track)) != track
                carried[person] = int(track)
    return changed
