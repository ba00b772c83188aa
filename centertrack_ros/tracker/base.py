"""What all trackers have in common: their parameters and how they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from centertrack_ros.datatypes import Detections, FloatArray, Tracks


@dataclass(frozen=True)
class TrackerParameters:
    """What may be changed while a tracker runs; a method ignores what does not concern it.

    Attributes:
        track_threshold: `robust`: detections with at least this score are matched first, the
            others only continue tracks; `centertrack*`: those not above it are ignored.
        birth_threshold: unmatched detections with a higher score start a track.
        prior_threshold: tracks with at least this score are drawn into the prior heatmap.
        max_age: seconds for which a lost track is kept (`robust`).
        max_age_frames: the original's `max_age` (`centertrack*`): a lost track is kept for
            `max_age_frames - 1` images; -1 and 1 = none.
        camera_motion: whether the motion of the camera is taken into account (`robust`).
    """

    track_threshold: float
    birth_threshold: float
    prior_threshold: float
    max_age: float
    max_age_frames: int
    camera_motion: bool = True

    def __post_init__(self) -> None:
        for name in ('track_threshold', 'birth_threshold', 'prior_threshold'):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f'{name}: expected 0 to 1, received {value}')
        if not self.max_age >= 0.0:
            raise ValueError(f'max_age: expected at least 0 seconds, received {self.max_age}')


class Tracker(Protocol):
    """Gives detections an identity. Not thread-safe; keeps no reference to what it is given.

    Attributes:
        parameters: may be assigned between two updates; tracks and ids survive.
    """

    parameters: TrackerParameters

    @property
    def follows_camera(self) -> bool:
        """Whether `update` makes use of the motion of the camera."""
        ...

    def update(
        self, detections: Detections, dt: float, *, camera: FloatArray | None = None
    ) -> Tracks:
        """Take the detections of one image.

        Args:
            detections: objects of the image, best score first.
            dt: seconds since the image before; 0 for the first one.
            camera: (2, 3) float32, affine map of image pixels from the image before to this one
                (`camera_motion.estimate_motion`); None = the camera stands still, or nobody knows.

        Returns:
            All tracks, the lost ones that are still kept included.
        """
        ...

    def reset(self) -> None:
        """Forget all tracks; ids start at 1 again."""
        ...
