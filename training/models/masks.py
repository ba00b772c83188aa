"""Masks of objects from features that all of them share (CondInst, Tian et al. 2020).

Each object brings the weights of a small network of 1x1 convolutions, which turns the features of
the whole image, and where each cell lies from the object's centre, into the object's mask.
Follows `DiceLoss` (training) and `ctseg_decode` (inference) of CenterNet-CondInst.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.heads import mask_weight_count

# Cells that a relative coordinate of 1 stands for.
COORDINATE_SCALE = 128.0


def dynamic_masks(features: Tensor, weights: Tensor, centers: Tensor) -> Tensor:
    """Logits of the mask of each object; their sigmoid above 0.5 is the object.

    Masks are not cropped to the boxes. Batched matrix products, so that it exports to ONNX with
    any number of images and objects.

    Args:
        features: (B, n, h, w), map `seg_feat`.
        weights: (B, K, 2 n^2 + 5 n + 1), `conv_weight` at the cells of the objects: weights
            (out, in), then biases, layer after layer; the first takes n features, x, y.
        centers: (B, K, 2) x, y in cells. CenterNet-CondInst trains with the integer cell and
            decodes with cell + `reg`.

    Returns:
        (B, K, h, w) logits.

    Raises:
        ValueError: `weights` has another number of values than n asks for.
    """
    batch, count, height, width = features.shape
    objects = weights.shape[1]
    if weights.shape[2] != mask_weight_count(count):
        raise ValueError(
            f'weights: expected {mask_weight_count(count)} values per object for {count} mask '
            f'features, received {weights.shape[2]}'
        )
    sizes = [count * (count + 2), count, count * count, count, count, 1]
    first, first_bias, second, second_bias, third, third_bias = weights.split(sizes, dim=2)
    first = first.reshape(batch, objects, count, count + 2)
    # The features are the same for all objects of an image: one product for all of them.
    shared = first[..., :count].reshape(batch, objects * count, count)
    hidden = (shared @ features.flatten(2)).reshape(batch, objects, count, height, width)
    # The coordinates are affine in x and in y, so they cost two small products and two sums.
    x, y = _relative(width, centers[..., 0]), _relative(height, centers[..., 1])
    along_x = first[..., count, None] * x + first_bias[..., None]
    along_y = first[..., count + 1, None] * y
    hidden = functional.relu(hidden + along_x[..., None, :] + along_y[..., None])
    hidden = hidden.flatten(3)
    second = second.reshape(batch, objects, count, count)
    hidden = functional.relu(second @ hidden + second_bias[..., None])
    logits = third[..., None, :] @ hidden + third_bias[..., None]
    return logits.reshape(batch, objects, height, width)


def _relative(length: int, centers: Tensor) -> Tensor:
    """Where the cells 0..length - 1 lie from `centers` (B, K): (B, K, 1, length)."""
    cells = torch.arange(length, dtype=centers.dtype, device=centers.device)
    return ((cells - centers[..., None]) / COORDINATE_SCALE)[..., None, :]
