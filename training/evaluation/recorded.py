"""Measures what a node said and somebody recorded, or the result bag of a replay.

    python -m training.evaluation.recorded out/replay/BAG --model demo_3d
        --dataset data/world/test/annotations.json --video world_001

compares the topics `tracks` and `tracks_3d` of the bag with one video of a COCO-format file.
Images are found by their stamps: those of the file (`timestamp`) are those of the recording that
was played. Images without an answer do not count.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import Reader

from centertrack_ros.datatypes import Detections, TrackedBoxes3D, Tracks
from centertrack_ros.factory import find_model
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.bag_source import BAG_ERRORS
from centertrack_ros.replay.bag_types import typestore
from centertrack_ros.replay.result_bag import TOPIC, TRACKS_3D_TOPIC
from centertrack_ros.replay.result_messages import boxes_3d_from_msg, tracks_from_msg
from centertrack_ros.replay.sources import NANOSECONDS
from training.evaluation.families import applicable_families, score_families
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet, EvaluationVideo, images_folder

# What can be said of tracks alone.
FAMILIES = ('tracking', 'boxes3d_tracking')
# Stamps of the file are floating-point seconds.
_TOLERANCE_NS = NANOSECONDS // 1000


@dataclass(frozen=True)
class RecordedTracks:
    """What was said of one image; `boxes_3d` row for row as `tracks`, None where nothing was."""

    tracks: Tracks
    boxes_3d: TrackedBoxes3D | None


def read_recorded(
    bag: Path, class_names: Sequence[str], namespace: str = ''
) -> dict[int, RecordedTracks]:
    """Tracks by stamp (nanoseconds of the image) of a bag with the topics of the node.

    Raises:
        ValueError: it is no such bag.
    """
    store, messages = typestore(), {}
    topics = {namespace + TOPIC: 'tracks', namespace + TRACKS_3D_TOPIC: 'boxes_3d'}
    try:
        with Reader(bag) as reader:
            for connection, _, data in reader.messages():
                if connection.topic in topics:
                    message = store.deserialize_cdr(data, connection.msgtype)
                    stamp = message.header.stamp
                    stamp_ns = stamp.sec * NANOSECONDS + stamp.nanosec
                    messages.setdefault(stamp_ns, {})[topics[connection.topic]] = message
    except BAG_ERRORS as error:
        raise ValueError(f'{bag}: expected a bag of tracks: {error}') from error
    recorded = {}
    for stamp_ns, found in messages.items():
        if 'tracks' in found:
            tracks, boxes = tracks_from_msg(found['tracks'], class_names), None
            if 'boxes_3d' in found:
                boxes = boxes_3d_from_msg(found['boxes_3d'], tracks.ids)
            recorded[stamp_ns] = RecordedTracks(tracks, boxes)
    if not recorded:
        raise ValueError(f'{bag}: expected tracks on {namespace + TOPIC}, found none')
    return recorded


def recorded_scores(
    evaluation_set: EvaluationSet,
    video_name: str,
    recorded: Mapping[int, RecordedTracks],
    spec: ModelSpec,
) -> tuple[Scores, int]:
    """Scores of one video, and how many of its images had an answer.

    Raises:
        ValueError: no such video, or no image of it was answered.
    """
    video = _video(evaluation_set, video_name)
    answers: dict[int, FrameResult] = {}
    stamps = np.array(sorted(recorded))
    for row, stamp in zip(video.rows, video.stamps, strict=True):
        wanted = round(stamp * NANOSECONDS)
        nearest = int(stamps[np.abs(stamps - wanted).argmin()])
        if abs(nearest - wanted) <= _TOLERANCE_NS:
            answers[row] = _result(recorded[nearest])
    if not answers:
        raise ValueError(
            f'{video_name}: expected tracks of images from {video.stamps[0]:.3f} s on, the bag '
            f'has some from {stamps[0] / NANOSECONDS:.3f} s on'
        )
    times = dict(zip(video.rows, video.stamps, strict=True))
    part = replace(video, rows=tuple(answers), stamps=tuple(times[row] for row in answers))
    chosen = replace(evaluation_set, videos=(part,))
    empty = FrameResult(Tracks.empty(), Detections.empty(), Detections.empty())
    results = [answers.get(row, empty) for row in range(len(evaluation_set))]
    families = [name for name in applicable_families(chosen, spec) if name in FAMILIES]
    return score_families(families, chosen, results), len(answers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0, or 2 after a line on stderr."""
    parser = argparse.ArgumentParser(
        prog='python -m training.evaluation.recorded', description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )  # fmt: skip
    parser.add_argument('bag', type=Path, help='folder of a rosbag2')
    parser.add_argument('--dataset', type=Path, required=True, metavar='JSON')
    parser.add_argument('--video', required=True, metavar='NAME', help='of the file')
    parser.add_argument('--model', required=True, help='that was run: a name or an .onnx file')
    parser.add_argument('--namespace', default='', help='of the node, such as /front')
    options = parser.parse_args(arguments)
    try:
        spec = ModelSpec.load(find_model(options.model))
        evaluation_set = EvaluationSet.load(
            options.dataset, images_folder(options.dataset), spec.classes
        )
        recorded = read_recorded(options.bag, spec.classes, options.namespace)
        scores, count = recorded_scores(evaluation_set, options.video, recorded, spec)
    except (OSError, ValueError) as error:
        print(f'training.evaluation.recorded: {error}', file=sys.stderr)
        return 2
    print(f'{options.video}: {count} images answered')
    for name, value in scores.overall.items():
        print(f'{name:28} {value:.4g}')
    return 0


def _video(evaluation_set: EvaluationSet, name: str) -> EvaluationVideo:
    for video in evaluation_set.videos:
        if video.name == name and not video.still:
            return video
    names = [video.name for video in evaluation_set.videos if not video.still]
    raise ValueError(
        f'{evaluation_set.name}: expected one of its videos {names}, received {name!r}'
    )


def _result(recorded: RecordedTracks) -> FrameResult:
    none = Detections.empty()
    return FrameResult(recorded.tracks, none, none, boxes_3d=recorded.boxes_3d)


if __name__ == '__main__':
    sys.exit(main())
