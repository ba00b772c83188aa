from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.models.layers import upsample_twice
from training.models.mb3_centernet import HEADS, load_mb3_centernet, read_weights
from training.models.mobilenetv3 import MobileNetV3CenterTrack, grow_tracker

TRACKER_HEADS = {**HEADS, 'reg': 2, 'tracking': 2}


@pytest.fixture(scope='module')
def weights_folder(shared_folder):
    return shared_folder / 'weights' / 'mb3_centernet'


@pytest.fixture(scope='module')
def detector(weights_folder):
    return load_mb3_centernet(weights_folder)


def _read(path: Path) -> torch.Tensor:
    return torch.from_numpy(cv2.imread(str(path))).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize('name', ['coco_632', 'coco_885', 'pets_400'])
def test_port_equals_the_published_graph(name, detector, weights_folder):
    recorded = np.load(weights_folder / 'reference.npz')
    with torch.no_grad():
        maps = detector(_read(weights_folder / f'{name}.png'))
    scores = maps['hm'].sigmoid()[0].permute(1, 2, 0).numpy()
    edges_px = maps['ltrb'][0].permute(1, 2, 0).numpy() * detector.stride
    expected = recorded[f'{name}_keypoints'].reshape(scores.shape).astype(np.float32)
    expected_px = recorded[f'{name}_wh'].reshape(edges_px.shape)
    np.testing.assert_allclose(scores, expected, atol=2e-3)
    counts = expected.max(2) > 0.05
    assert counts.sum() > 10
    np.testing.assert_allclose(edges_px[counts], expected_px[counts], atol=0.1, rtol=1e-3)


def test_grown_tracker_starts_as_the_detector(detector, weights_folder):
    tracker = grow_tracker(detector, TRACKER_HEADS).eval()
    image = _read(weights_folder / 'pets_400.png')[:, :, :256, :256]
    with torch.no_grad():
        before = detector(image)
        after = tracker(image, image.flip(3), torch.rand(1, 1, 64, 64))
    for name in HEADS:
        torch.testing.assert_close(after[name], before[name])
    assert not after['tracking'].any()
    assert not after['reg'].any()


def test_own_classes_begin_with_what_the_detector_knows(detector, weights_folder):
    own = load_mb3_centernet(weights_folder, ('dog', 'forklift', 'person'))
    image = _read(weights_folder / 'pets_400.png')[:, :, :256, :256]
    with torch.no_grad():
        heat, every = own(image)['hm'], detector(image)['hm']
        torch.testing.assert_close(own(image)['ltrb'], detector(image)['ltrb'])
    torch.testing.assert_close(heat[:, [0, 2]], every[:, [16, 0]])
    # Nothing is known of the other one: it is seen nowhere.
    assert heat[:, 1].sigmoid().max() < 0.1


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = MobileNetV3CenterTrack({'hm': 3, 'ltrb': 4, 'reg': 2, 'tracking': 2})
    image = torch.rand(2, 3, 64, 96) * 255
    maps = network(image, image.flip(3), torch.rand(2, 1, 16, 24))
    assert maps['hm'].shape == (2, 3, 16, 24)
    sum(head.square().mean() for head in maps.values()).backward()
    without = [name for name, value in network.named_parameters() if value.grad is None]
    assert without == []
    assert network.motion.previous_stem.weight.grad.abs().sum() > 0
    assert network.motion.prior_stem.weight.grad.abs().sum() > 0


def test_missing_inputs_stand_for_the_first_frame():
    network = MobileNetV3CenterTrack({'hm': 1, 'tracking': 2}).eval()
    image = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        alone = network(image)
        still = network(image, image, torch.zeros(1, 1, 16, 16))
        moved = network(image, image.flip(3), torch.ones(1, 1, 16, 16))
    torch.testing.assert_close(alone, still)
    torch.testing.assert_close(alone['hm'], moved['hm'])
    assert (alone['tracking'] - moved['tracking']).abs().max() > 1e-3


@pytest.mark.parametrize('previous_image', [False, True])
@pytest.mark.parametrize('prior_heatmap', [False, True])
def test_tracker_grows_with_the_inputs_it_has(previous_image, prior_heatmap):
    torch.manual_seed(0)
    detector = MobileNetV3CenterTrack({'hm': 2, 'ltrb': 4}).eval()
    inputs = {'previous_image': previous_image, 'prior_heatmap': prior_heatmap}
    heads = {'hm': 2, 'ltrb': 4, 'tracking': 2}
    tracker = grow_tracker(detector, heads, **inputs).eval()
    assert (tracker.motion.previous_stem is not None) == previous_image
    assert (tracker.motion.prior_stem is not None) == prior_heatmap
    image = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        torch.testing.assert_close(tracker(image)['hm'], detector(image)['hm'])


def test_upsampling_samples_at_half_steps():
    x = torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])
    expected = [[0, 0.5, 1, 1], [1, 1.75, 2.5, 2.5], [2, 3, 4, 4], [2, 3, 4, 4]]
    torch.testing.assert_close(upsample_twice(x)[0, 0], torch.tensor(expected))


def test_truncated_weights_are_refused(weights_folder, tmp_path):
    (tmp_path / 'centernet.json').write_bytes((weights_folder / 'centernet.json').read_bytes())
    data = (weights_folder / 'centernet.bin').read_bytes()
    (tmp_path / 'centernet.bin').write_bytes(data[:-10])
    with pytest.raises(ValueError, match=r'centernet\.bin'):
        read_weights(tmp_path)
    (tmp_path / 'centernet.bin').write_bytes(data + b'xx')
    with pytest.raises(ValueError, match='expected'):
        read_weights(tmp_path)
