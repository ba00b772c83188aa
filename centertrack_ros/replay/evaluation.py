"""Ground truth of a replay: read, checked against the recording, compared with the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from centertrack_ros.replay.metrics import evaluate
from centertrack_ros.replay.mot_files import FrameBoxes, read_mot
from centertrack_ros.replay.records import ReplayRun

DEFAULT_CLASS = 'person'


@dataclass(frozen=True)
class GroundTruth:
    """What the tracks of one class are compared with.

    Attributes:
        path: the MOT file.
        frames: its objects, image by image.
        class_name: name of the class.
        class_index: its index in the model.
    """

    path: Path
    frames: Sequence[FrameBoxes]
    class_name: str
    class_index: int

    def check_length(self, image_count: int) -> None:
        """See that the recording is long enough for it.

        Raises:
            ValueError: it names images that the recording does not have.
        """
        if len(self.frames) > image_count:
            raise ValueError(
                f'{self.path}: expected ground truth for at most {image_count} images, which the '
                f'recording has; it goes up to image {len(self.frames)} and must be of another'
            )

    def score(self, run: ReplayRun) -> dict[str, float]:
        """The metrics of a replay; images without an answer count as empty."""
        self.check_length(len(run.records))
        return evaluate(self.frames, [record.boxes(self.class_index) for record in run.records])


def load_ground_truth(
    path: Path,
    classes: Sequence[str],
    tracked: Sequence[str],
    class_name: str | None = None,
) -> GroundTruth:
    """Read a MOT ground truth.

    Args:
        path: `gt.txt`.
        classes: class names of the model.
        tracked: names to which the tracker is limited; empty = all.
        class_name: class of the objects in the file; None takes `person` where the model knows
            it, else the model's only class.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no MOT file, holds no object, or its class is not tracked.
    """
    if class_name is None:
        class_name = classes[0] if len(classes) == 1 else DEFAULT_CLASS
    if class_name not in classes:
        raise ValueError(
            f'class of the ground truth: expected one that the model knows ({", ".join(classes)}),'
            f' received {class_name!r}; give it with --gt-class'
        )
    if tracked and class_name not in tracked:
        raise ValueError(
            f'class of the ground truth is {class_name!r}, but only {", ".join(tracked)} are '
            'tracked; change --classes or --gt-class'
        )
    frames = read_mot(path, ground_truth=True)
    if not any(map(len, frames)):
        raise ValueError(f'{path}: expected ground truth, found no object in it')
    return GroundTruth(path, frames, class_name, classes.index(class_name))
