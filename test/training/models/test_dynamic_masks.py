"""Dynamic 1x1 convolutions against convolutions of PyTorch, one object at a time."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.heads import mask_weight_count
from training.models.masks import dynamic_masks


def example(
    features: int = 4, objects: int = 3, batch: int = 2, *, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(features)
    return (
        torch.randn(batch, features, 5, 7, generator=generator, dtype=dtype),
        torch.randn(batch, objects, mask_weight_count(features), generator=generator, dtype=dtype),
        10 * torch.rand(batch, objects, 2, generator=generator, dtype=dtype),
    )


def one_mask(features: Tensor, weights: Tensor, center: Tensor) -> Tensor:
    """(n, h, w), (2 n^2 + 5 n + 1), (x, y) -> (h, w), layer by layer."""
    count, height, width = features.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    maps = [features, ((x - center[0]) / 128)[None], ((y - center[1]) / 128)[None]]
    values, offset = torch.cat(maps)[None], 0
    for out in (count, count, 1):
        inside = values.shape[1]
        kernel = weights[offset : offset + out * inside].reshape(out, inside, 1, 1)
        offset += out * inside
        values = functional.conv2d(values, kernel, weights[offset : offset + out])
        offset += out
        if out == count and offset < len(weights):
            values = values.relu()
    assert offset == len(weights)
    return values[0, 0]


@pytest.mark.parametrize(('features', 'values'), [(8, 169), (4, 53), (1, 8)])
def test_number_of_weights(features: int, values: int) -> None:
    assert mask_weight_count(features) == values


@pytest.mark.parametrize('features', [8, 4, 2])
def test_equals_convolutions(features: int) -> None:
    maps, weights, centers = example(features)
    masks = dynamic_masks(maps, weights, centers)
    assert masks.shape == (2, 3, 5, 7)
    for image in range(2):
        for row in range(3):
            expected = one_mask(maps[image], weights[image, row], centers[image, row])
            torch.testing.assert_close(masks[image, row], expected, rtol=1e-5, atol=1e-5)


def test_a_mask_moves_with_its_centre() -> None:
    maps, weights, centers = example(batch=1)
    maps = torch.zeros_like(maps)
    moved = dynamic_masks(maps, weights, centers + torch.tensor([2.0, 1.0]))
    still = dynamic_masks(maps, weights, centers)
    torch.testing.assert_close(moved[..., 1:, 2:], still[..., :-1, :-2])


def test_no_objects() -> None:
    maps, weights, centers = example(objects=0)
    assert dynamic_masks(maps, weights, centers).shape == (2, 0, 5, 7)


def test_wrong_number_of_weights() -> None:
    maps, weights, centers = example()
    with pytest.raises(ValueError, match=r'expected 53 values per object for 4 .* received 52'):
        dynamic_masks(maps, weights[..., :52], centers)


def test_gradients() -> None:
    arguments = example(2, 2, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        dynamic_masks, tuple(argument.requires_grad_() for argument in arguments)
    )


class _Masks(nn.Module):
    def forward(self, features: Tensor, weights: Tensor, centers: Tensor) -> Tensor:
        return dynamic_masks(features, weights, centers).sigmoid()


@pytest.mark.parametrize('batch', [1, 2])
def test_onnx_export(batch: int, tmp_path: Path) -> None:
    arguments = example(8, batch=batch)
    names = ['features', 'weights', 'centers']
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            _Masks(),
            arguments,
            str(tmp_path / 'masks.onnx'),
            dynamo=True,
            external_data=False,
            opset_version=20,
            input_names=names,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(
        tmp_path / 'masks.onnx', providers=['CPUExecutionProvider']
    )
    given = {name: value.numpy() for name, value in zip(names, arguments, strict=True)}
    (received,) = session.run(None, given)
    np.testing.assert_allclose(received, _Masks()(*arguments).numpy(), atol=1e-5)
