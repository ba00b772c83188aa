"""ByteTrack, OC-SORT, BoT-SORT and SORT of roboflow `trackers`, fed with our detections.

They get the boxes and scores of one class above the detection threshold, the low scores too, the
frame rate, and the time stamps where images do not come evenly. BoT-SORT also gets the image, for
its compensation of camera motion. What they return without an id is not confirmed and not counted.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison.recordings import Recording
from centertrack_ros.datatypes import Detections, Image
from centertrack_ros.replay.mot_files import FrameBoxes
from centertrack_ros.replay.sources import Source

# Stamps whose steps differ by less than this share of a step count as even.
EVEN_STEPS = 0.05
UNCONFIRMED = -1

Choices = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Peer:
    """A tracker of the library.

    Attributes:
        key: for the command line.
        title: for tables.
        class_name: of the library.
        grid: values of its parameters that tuning tries, in groups that are searched together.
            Buffers count images at 30 per second; the library scales them by the frame rate.
        uses_image: whether it is given the images.
    """

    key: str
    title: str
    class_name: str
    grid: tuple[Choices, ...]
    uses_image: bool = False


_HIGH = (0.2, 0.3, 0.4, 0.5, 0.6)
_ACTIVATION = (0.2, 0.3, 0.4, 0.5, 0.6)
_BUFFERS = (15, 30, 60, 90)

PEERS: dict[str, Peer] = {
    peer.key: peer
    for peer in (
        Peer(
            'bytetrack',
            'ByteTrack',
            'ByteTrackTracker',
            (
                {'high_conf_det_threshold': _HIGH, 'track_activation_threshold': _ACTIVATION},
                {
                    'minimum_iou_threshold': (0.05, 0.1, 0.2, 0.3),
                    'lost_track_buffer': _BUFFERS,
                    'minimum_consecutive_frames': (1, 2, 3),
                },
            ),
        ),
        Peer(
            'ocsort',
            'OC-SORT',
            'OCSORTTracker',
            (
                {
                    'high_conf_det_threshold': _HIGH,
                    'minimum_iou_threshold': (0.1, 0.2, 0.3),
                },
                {'lost_track_buffer': _BUFFERS, 'minimum_consecutive_frames': (1, 2, 3)},
            ),
        ),
        Peer(
            'botsort',
            'BoT-SORT',
            'BoTSORTTracker',
            (
                {'high_conf_det_threshold': _HIGH, 'track_activation_threshold': _ACTIVATION},
                {
                    'minimum_iou_threshold_first_assoc': (0.1, 0.2, 0.3),
                    'minimum_iou_threshold_second_assoc': (0.3, 0.5),
                },
                {'lost_track_buffer': _BUFFERS, 'minimum_consecutive_frames': (1, 2, 3)},
            ),
            uses_image=True,
        ),
        Peer(
            'sort',
            'SORT',
            'SORTTracker',
            (
                {
                    'track_activation_threshold': _ACTIVATION,
                    'minimum_iou_threshold': (0.1, 0.2, 0.3),
                },
                {'lost_track_buffer': _BUFFERS, 'minimum_consecutive_frames': (1, 2, 3)},
            ),
        ),
    )
}


@dataclass(frozen=True)
class PeerRun:
    """What a peer gave.

    Attributes:
        frames: its confirmed tracks of each image.
        tracker_ms: (T,) float64.
    """

    frames: Sequence[FrameBoxes]
    tracker_ms: NDArray[np.float64]


def run_peer(
    peer: Peer,
    recording: Recording,
    class_index: int,
    frame_rate: float,
    *,
    source: Source | None = None,
    motions: Sequence[NDArray[np.float64]] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> PeerRun:
    """Feed a peer with the detections of a run.

    Args:
        peer: which one.
        recording: its detections.
        class_index: class of the detections that it gets.
        frame_rate: images per second.
        source: the images, for peers that use them; not needed with `motions`.
        motions: of the camera, one (2, 3) per image from `camera_motions`, in place of what the
            peer would compute of the images each time.
        parameters: of its constructor; the rest keep their defaults.

    Raises:
        ImportError: the library is not installed; the message says what to install.
        ValueError: a peer that uses images got none.
    """
    library, supervision = _libraries()
    tracker = getattr(library, peer.class_name)(frame_rate=frame_rate, **(parameters or {}))
    images: Iterable[Image | None] = [None] * len(recording)
    if peer.uses_image:
        if motions is not None:
            tracker.cmc = _KnownMotion(motions)
            images = [np.zeros((1, 1, 3), np.uint8)] * len(recording)
        elif source is not None:
            images = (frame.image for frame in source)
        else:
            raise ValueError(f'{peer.title}: expected the images or the motions of the camera')
    stamps = _uneven_stamps(recording.stamps)
    frames, times = [], []
    for number, (detections, image) in enumerate(zip(recording.detections, images, strict=True)):
        given = _given(supervision, detections, class_index)
        if motions is not None and peer.uses_image:
            tracker.cmc.number = number
        start = time.perf_counter()
        tracked = tracker.update(given, frame=image, timestamp=stamps[number])
        times.append((time.perf_counter() - start) * 1e3)
        frames.append(_confirmed(tracked))
    return PeerRun(frames, np.array(times))


def camera_motions(source: Source) -> list[NDArray[np.float64]]:
    """Maps (2, 3) from each image before to the image, as BoT-SORT's defaults find them.

    It looks at the images alone and not at the detections, so that one pass serves a whole grid.
    """
    library, _ = _libraries()
    estimator = library.BoTSORTTracker().cmc
    return [estimator.estimate(frame.image) for frame in source]


class _KnownMotion:
    """In the place of BoT-SORT's estimator: says what is known already."""

    def __init__(self, motions: Sequence[NDArray[np.float64]]) -> None:
        self._motions = motions
        self.number = 0

    def estimate(self, image: Image, boxes: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """The motion to the image that is set by `number`."""
        return self._motions[self.number]


def _libraries() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of libraries that they import
            import supervision
            import trackers
    except ImportError as error:
        raise ImportError(
            f'peers need the packages trackers and supervision ({error}): '
            'pip install --no-deps -r requirements/test-no-deps.txt and '
            'pip install -r requirements/test.txt'
        ) from error
    return trackers, supervision


def _given(supervision: Any, detections: Detections, class_index: int) -> Any:
    chosen = detections[detections.classes == class_index]
    return supervision.Detections(
        xyxy=chosen.boxes.astype(np.float64),
        confidence=chosen.scores.astype(np.float64),
        class_id=np.zeros(len(chosen), np.int64),
    )


def _confirmed(tracked: Any) -> FrameBoxes:
    ids = tracked.tracker_id
    if ids is None or len(ids) == 0:
        return FrameBoxes.empty()
    rows = np.flatnonzero(ids != UNCONFIRMED)
    # The precision of a MOT file, as for our own tracks.
    return FrameBoxes(
        ids[rows].astype(np.int64),
        tracked.xyxy[rows].astype(np.float64).round(3),
        tracked.confidence[rows].round(4),
    )


def _uneven_stamps(stamps: NDArray[np.float64]) -> Sequence[float | None]:
    """The stamps if images came unevenly, else None for each: the library's own default."""
    steps = np.diff(stamps)
    if len(steps) == 0 or np.ptp(steps) <= EVEN_STEPS * float(np.median(steps)):
        return [None] * len(stamps)
    return stamps.tolist()
