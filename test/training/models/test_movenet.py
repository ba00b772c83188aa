"""The port of MoveNet multipose: its maps, its poses, and the tracker that grows from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from centertrack_ros.model_spec import DecodeRules, ModelSpec, Thresholds
from training.classes import COCO_JOINTS
from training.config import StartConfig
from training.models.decode import candidate_rows
from training.models.movenet import MoveNetCenterTrack, grow_pose_tracker
from training.models.movenet_multipose import (
    CHANNEL_MEAN,
    CHANNEL_STD,
    HEADS,
    load_movenet_multipose,
)
from training.start import start_network

IMAGES = ('coco_885', 'penn_1', 'pets_400')
# Our heads, those of the recording, and whether their channels are pairs y, x there.
RECORDED = {
    'hm': ('center', False),
    'wh': ('box_scale', True),
    'reg': ('box_offset', True),
    'hm_hp': ('kpt_heatmap', False),
    'hps': ('kpt_regress', True),
    'hp_offset': ('kpt_offset', True),
}
# Scores above which MoveNet shows a person, and counts a joint.
SURE, SEEN = 0.15, 0.127


@pytest.fixture(scope='module')
def weights_folder(shared_folder):
    return shared_folder / 'weights' / 'movenet_multipose'


@pytest.fixture(scope='module')
def pose(weights_folder):
    return load_movenet_multipose(weights_folder)


@pytest.fixture(scope='module')
def recording(weights_folder):
    return np.load(weights_folder / 'reference.npz')


@pytest.fixture(scope='module')
def maps(pose, weights_folder):
    """Of each recorded image."""
    with torch.no_grad():
        return {name: pose(_read(weights_folder / f'{name}.png')) for name in IMAGES}


def _read(path: Path) -> torch.Tensor:
    image = torch.from_numpy(cv2.imread(str(path))).permute(2, 0, 1)[None].float()
    return (image - CHANNEL_MEAN[0]) / CHANNEL_STD[0]


def _sigmoid(values):
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize('image', IMAGES)
def test_port_equals_the_published_graph(image, maps, recording):
    ours, theirs = {}, {}
    for head, (name, has_pairs) in RECORDED.items():
        ours[head] = maps[image][head][0].permute(1, 2, 0).numpy()
        values = recording[f'{image}_{name}'][0].astype(np.float32)
        if has_pairs:
            values = values.reshape(*values.shape[:2], -1, 2)[..., ::-1]
        theirs[head] = values.reshape(ours[head].shape)
    # The bounds of the recording are 2e-3 and 0.02 cells; `hp_offset` was recorded in float16.
    for head in ('hm', 'hm_hp'):
        np.testing.assert_allclose(_sigmoid(ours[head]), _sigmoid(theirs[head]), atol=1e-4)
    objects = _sigmoid(theirs['hm'])[..., 0] > 0.05
    assert objects.sum() > 10
    for head in ('wh', 'reg', 'hps'):
        np.testing.assert_allclose(ours[head][objects], theirs[head][objects], atol=2e-3)
    joints = np.repeat(_sigmoid(theirs['hm_hp']) > 0.05, 2, axis=2)
    np.testing.assert_allclose(ours['hp_offset'][joints], theirs['hp_offset'][joints], atol=4e-3)


@pytest.mark.parametrize('image', IMAGES)
def test_decoded_persons_are_those_of_movenet(image, maps, recording):
    """Boxes and most joints exactly; ours are peaks, theirs sometimes the slope of a far one."""
    rows = candidate_rows(maps[image], 30, box='wh', rules=DecodeRules(joints='movenet'))
    boxes, joints = rows['boxes'][0].numpy(), rows['keypoints'][0].numpy()
    height, width = recording[f'{image}_center'].shape[1:3]
    persons = recording[f'{image}_output'][0]
    persons = persons[persons[:, 55] > SURE]
    assert len(persons) > 1
    distances = []
    for person in persons:
        box = person[[52, 51, 54, 53]] * np.tile([width, height], 2)
        clipped = boxes.clip(0, np.tile([width, height], 2))
        row = np.abs(clipped - box).max(axis=1).argmin()
        np.testing.assert_allclose(clipped[row], box, atol=1e-2)
        expected = person[:51].reshape(17, 3)
        seen = expected[:, 2] > SEEN
        places = expected[:, 1::-1] * [width, height]
        distances.append(np.linalg.norm(joints[row, seen, :2] - places[seen], axis=1))
        # They weigh by the distance of the cell, we by that of the place in it.
        np.testing.assert_allclose(joints[row, seen, 2], expected[seen, 2], atol=0.1)
    distances = np.concatenate(distances)
    assert (distances < 0.01).mean() > 0.75
    assert (distances < 0.5).mean() > 0.95


TRACKER_HEADS = {**HEADS, 'tracking': 2}


def test_grown_tracker_starts_as_the_pose_network(pose):
    torch.manual_seed(0)
    tracker = grow_pose_tracker(pose, TRACKER_HEADS).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = pose(image)
        after = tracker(image, image.flip(3), torch.rand(1, 1, 16, 24))
    for name in HEADS:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)
    assert not after['tracking'].any()
    for stem in (tracker.motion_stem, tracker.motion.previous_stem):
        assert (stem.weight.flatten(1)[:, None] == pose.stem.weight.flatten(1)).all(2).any(1).all()


def test_untrained_network_sees_its_image():
    """Without batch norms, and with activations that end at 6."""
    torch.manual_seed(0)
    network = MoveNetCenterTrack({**TRACKER_HEADS, 'hp_offset': 2}).eval()
    with torch.no_grad():
        maps = network(torch.randn(2, 3, 64, 96))
    for name, values in maps.items():
        assert 0.1 < values.std() < 10, name
        assert (values[0] - values[1]).abs().mean() > 0.05, name


SPEC = ModelSpec(
    name='start',
    architecture='movenet',
    input_height=64,
    input_width=64,
    resize='letterbox',
    stride=4,
    max_candidates=10,
    classes=('person',),
    heads=TRACKER_HEADS,
    box='wh',
    radius_rule='exact',
    prior_heatmap_stride=4,
    thresholds=Thresholds(detection=0.1, track=0.3, birth=0.4, prior=0.3),
    licence='Apache-2.0',
    joints=COCO_JOINTS,
    channel_mean=CHANNEL_MEAN,
    channel_std=CHANNEL_STD,
)


def test_training_starts_with_the_pose_network(weights_folder):
    config = StartConfig('movenet_multipose', str(weights_folder))
    start = start_network(config, SPEC)
    assert {name.partition('.')[0] for name in start.new} == {'motion', 'motion_stem'}
    learnt = ('motion.', 'motion_stem.')
    names = [name for name, _ in start.network.named_parameters()]
    assert {name for name in names if name.startswith(learnt)} == start.new
    for changes, text in (
        ({'classes': ('person', 'car')}, r"classes \('person',\), received \('person', 'car'\)"),
        ({'channel_mean': (0.0, 0.0, 0.0)}, 'channel_mean'),
        ({'heads': {**TRACKER_HEADS, 'hp_offset': 2}}, "heads .*'hp_offset': 34.*received"),
        ({'joints': COCO_JOINTS[::-1]}, 'joints'),
        ({'architecture': 'mobilenetv3'}, 'architecture'),
    ):
        with pytest.raises(ValueError, match=rf'movenet_multipose has model\.{text}'):
            start_network(config, replace(SPEC, **changes))
