"""PyTorch behind the engine contract, and the flip test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from training.evaluation.engines import FlipTestEngine, TorchEngine, torch_device
from training.models.graph import TrackerGraph

JOINTS = ('left_hand', 'nose', 'right_hand')
JOINT_PLACES = (1.0, 2.0, 0.0, 5.0, 3.0, 4.0)


class _Pooled(nn.Module):
    """Sees averages of 4x4 pixels, so that its maps of a mirror image are mirrored maps.

    With `lean` it also sees where it is, and a mirror image is another thing to it.
    """

    def __init__(self, lean: float = 0.0, prior_weight: float = 3.0) -> None:
        super().__init__()
        self.lean = lean
        self.prior_weight = prior_weight

    def forward(self, image, previous_image, prior_heatmap):
        now, before = (avg_pool2d(value, 4) / 255 for value in (image, previous_image))
        prior = avg_pool2d(prior_heatmap, 4)
        heat = 4 * now[:, :2] - 2 * before[:, 1:] + self.prior_weight * prior
        columns = torch.linspace(-1, 1, heat.shape[3])
        heat = heat + self.lean * columns
        joints = torch.tensor(JOINT_PLACES)[None, :, None, None].expand(
            len(heat), -1, *heat.shape[2:]
        )
        return {
            'hm': heat,
            'wh': 3 + now[:, :2],
            'reg': 0.5 * torch.ones_like(now[:, :2]),
            'tracking': now[:, :2],
            'hps': joints,
        }


@pytest.fixture
def small(spec):
    heads = {'hm': 2, 'wh': 2, 'reg': 2, 'tracking': 2, 'hps': 6}
    return replace(spec, heads=heads, box='wh', joints=JOINTS, prior_heatmap_stride=1)


def _inputs(spec, seed=0):
    generator = np.random.default_rng(seed)
    shape = (1, spec.input_height, spec.input_width, 3)
    images = generator.integers(0, 256, (2, *shape), np.uint8)
    prior = generator.random((1, 1, spec.input_height, spec.input_width), np.float32)
    return images[0], images[1], prior


def _same(first, second, names=('scores', 'classes', 'cells', 'boxes', 'tracking')):
    return all(
        np.allclose(getattr(first, name), getattr(second, name), atol=1e-5) for name in names
    )


def test_the_flip_test_of_a_network_that_sees_mirror_images_alike(small):
    plain = TorchEngine(TrackerGraph(_Pooled(), small))
    flipped = FlipTestEngine(_Pooled(), small)
    inputs = _inputs(small)
    assert _same(plain.run(*inputs), flipped.run(*inputs))
    # All three inputs count, so that all three must have been mirrored.
    for index in range(3):
        others = list(inputs)
        others[index] = _inputs(small, seed=1)[index]
        assert not _same(plain.run(*inputs), plain.run(*others))
        assert _same(plain.run(*others), flipped.run(*others))
    assert flipped.name.endswith('flip test')


def test_the_flip_test_averages_scores_of_a_network_that_does_not(small):
    inputs = _inputs(small)
    leaning = TorchEngine(TrackerGraph(_Pooled(lean=2.0), small)).run(*inputs)
    flipped = FlipTestEngine(_Pooled(lean=2.0), small).run(*inputs)
    assert not _same(leaning, flipped)
    # By hand: the mean of both scores at the place of the best row.
    column, row = flipped.cells[0, 0].astype(int)
    scores = []
    for lean in (2.0, -2.0):
        images = (torch.from_numpy(value).float().permute(0, 3, 1, 2) for value in inputs[:2])
        maps = _Pooled(lean)(*images, torch.from_numpy(inputs[2]))
        scores.append(maps['hm'].sigmoid()[0, flipped.classes[0, 0], row, column])
    assert flipped.scores[0, 0] == pytest.approx(float(sum(scores)) / 2, abs=1e-5)


def test_joints_change_sides_by_their_names(small):
    flipped = FlipTestEngine(_Pooled(), small).run(*_inputs(small))
    offsets = flipped.keypoints[0, 0, :, :2] - flipped.cells[0, 0]
    # Left (1, 2) with the mirrored right (-3, 4), nose (0, 5) with itself.
    np.testing.assert_allclose(offsets, [[-1, 3], [0, 5], [1, 3]], atol=1e-5)
    with pytest.raises(ValueError, match="expected 'right_hand' beside 'left_hand'"):
        FlipTestEngine(_Pooled(), replace(small, joints=('left_hand', 'nose', 'tail')))


def test_devices():
    assert torch_device('cpu').type == 'cpu'
    assert torch_device('auto').type == ('cuda' if torch.cuda.is_available() else 'cpu')
    with pytest.raises(ValueError, match="received 'tpu'"):
        torch_device('tpu')
    with pytest.raises(ValueError, match='GPUs; set it to cpu'):
        torch_device('cuda:99')


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_the_gpu_says_the_same(small):
    inputs = _inputs(small)
    first = TorchEngine(TrackerGraph(_Pooled(), small)).run(*inputs)
    second = TorchEngine(TrackerGraph(_Pooled(), small), 'cuda').run(*inputs)
    assert _same(first, second)
