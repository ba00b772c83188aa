"""What a bag says is measured as what the pipeline says."""

from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.datatypes import TrackedBoxes3D, Tracks
from centertrack_ros.lifting import lift_detections
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.replay.records import FrameRecord
from centertrack_ros.replay.result_bag import write_result_bag
from centertrack_ros.replay.sources import NANOSECONDS
from training.data.world.bodies import CLASSES
from training.data.world.writing import write_world
from training.evaluation.boxes3d import as_detections
from training.evaluation.recorded import main, read_recorded, recorded_scores
from training.evaluation.sets import EvaluationSet
from training.heads import head_channels

HEADS = ('hm', 'reg', 'wh', 'tracking', 'dep', 'rot', 'dim', 'amodel_offset')
SPEC = ModelSpec(
    name='perfect', architecture='none', input_height=96, input_width=160, resize='letterbox',
    stride=4,
    max_candidates=20, classes=CLASSES, heads=head_channels(HEADS, len(CLASSES)), box='wh',
    radius_rule='exact', prior_heatmap_stride=4, thresholds=Thresholds(0.1, 0.1, 0.1, 0.1),
    licence='none',
)  # fmt: skip


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('recorded') / 'world'
    write_world(folder, sequences=2, frames=4, seed=6, size=(120, 200))
    return EvaluationSet.load(folder / 'annotations.json', folder / 'images', CLASSES)


def _record(record, stamp, shift=0.0):
    """The truth of an image, as a node would say it."""
    labels = record.labels
    count = len(labels)
    space = lift_detections(as_detections(labels), record.camera_matrix)
    tracks = Tracks(
        ids=labels.track_ids,
        boxes=labels.boxes,
        scores=np.full(count, 0.9, np.float32),
        classes=labels.classes,
        centers=labels.boxes[:, :2],
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=np.zeros(count, np.int64),
        reported=np.ones(count, np.bool_),
        detection_indices=np.arange(count),
        prior_weights=np.ones(count, np.float32),
    )
    boxes = TrackedBoxes3D(
        middles=space.middles + np.float32([shift, 0, 0]),
        dimensions=space.dimensions,
        yaws=space.yaws,
        velocities=np.zeros((count, 3), np.float32),
        covariances=np.zeros((count, 4, 4), np.float32),
        known=np.ones(count, np.bool_),
    )
    return FrameRecord(
        stamp_ns=round(stamp * NANOSECONDS), frame_id='camera', tracks=tracks, latency_ms=1.0,
        boxes_3d=boxes,
    )  # fmt: skip


def _bag(path, world, shift=0.0, skipped=()):
    video = world.videos[1]
    records = [
        _record(world.records[row], stamp, shift)
        for place, (row, stamp) in enumerate(zip(video.rows, video.stamps, strict=True))
        if place not in skipped
    ]
    write_result_bag(path, records, CLASSES)
    return video.name


def test_recorded_truth_is_perfect(world, tmp_path):
    name = _bag(tmp_path / 'bag', world)
    scores, count = recorded_scores(world, name, read_recorded(tmp_path / 'bag', CLASSES), SPEC)
    assert count == 4
    assert scores.overall['AMOTA'] == scores.overall['tracked_center_error_share'] == 1
    assert scores.overall['MOTA'] == 100


def test_wrong_places_and_images_without_an_answer(world, tmp_path):
    name = _bag(tmp_path / 'bag', world, shift=1.9, skipped=[1])
    scores, count = recorded_scores(world, name, read_recorded(tmp_path / 'bag', CLASSES), SPEC)
    assert count == 3
    assert scores.overall['AMOTP'] == pytest.approx(1.9, abs=1e-3)
    assert scores.overall['tracked_center_error_share'] == 0
    assert scores.overall['MOTA'] == 100


def test_other_bags_and_videos_are_refused(world, tmp_path, capsys):
    name = _bag(tmp_path / 'bag', world)
    recorded = read_recorded(tmp_path / 'bag', CLASSES)
    with pytest.raises(ValueError, match='expected one of its videos'):
        recorded_scores(world, 'world_009', recorded, SPEC)
    late = {stamp + NANOSECONDS * 100: found for stamp, found in recorded.items()}
    with pytest.raises(ValueError, match='expected tracks of images from'):
        recorded_scores(world, name, late, SPEC)
    with pytest.raises(ValueError, match='expected tracks on /front/tracks'):
        read_recorded(tmp_path / 'bag', CLASSES, '/front')
    with pytest.raises(ValueError, match='expected a bag of tracks'):
        read_recorded(tmp_path, CLASSES)
    arguments = [str(tmp_path), '--dataset', world.source, '--video', name]
    assert main([*arguments, '--model', str(tmp_path / 'none.onnx')]) == 2
    assert 'none.onnx' in capsys.readouterr().err
