"""The flip test: an image and its mirror image, decoded as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from training.activations import activate
from training.heads import HEADS


def activate_maps(maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Raw maps (B, C, h, w) of a network to what they mean: scores, metres, cells."""
    return {name: activate(name, values) for name, values in maps.items()}


def merge_flipped(
    maps: Mapping[str, Tensor], joint_pairs: Sequence[tuple[int, int]] = ()
) -> dict[str, Tensor]:
    """One map per image from those of the image and of its mirror image.

    What becomes of a head is its `flip` in `training.heads`: averaged after the second map was
    mirrored back, or the first map alone. That is `_flip_output` of CenterTrack, and for the
    heads that they average also `process` of CenterNet's detectors and simple-CenterNet. For the
    graph: `candidate_rows(merge_flipped(activate_maps(maps)), ..., activated=True)`, because
    scores are averaged and not logits.

    Args:
        maps: head name -> (2 B, C, h, w): B images, then their mirror images in the same order;
            after `activate_maps`.
        joint_pairs: indices of left and right joints, see `training.data.labels.mirrored_joints`.

    Returns:
        head name -> (B, C, h, w).

    Raises:
        ValueError: an odd number of maps, or a joint that the maps do not have.
    """
    return {name: _merged(name, values, joint_pairs) for name, values in maps.items()}


def _merged(name: str, values: Tensor, joint_pairs: Sequence[tuple[int, int]]) -> Tensor:
    if len(values) % 2:
        raise ValueError(
            f'{name}: expected maps of images and of their mirror images, received {len(values)}'
        )
    first, mirrored = values.chunk(2)
    rule = HEADS[name].flip
    if rule == 'first':
        return first
    second = mirrored.flip(3)
    if rule in ('swap_joints', 'swap_joints_negate_x'):
        per_joint = 1 if rule == 'swap_joints' else 2
        order = _mirrored_order(second.shape[1] // per_joint, joint_pairs)
        second = second.unflatten(1, (-1, per_joint))[:, order].flatten(1, 2)
    if rule in ('negate_x', 'swap_joints_negate_x'):
        sign = torch.ones(second.shape[1], dtype=second.dtype, device=second.device)
        sign[0::2] = -1
        second = second * sign[:, None, None]
    return (first + second) / 2


def _mirrored_order(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Which joint of the mirror image each of `count` joints is."""
    order = list(range(count))
    for left, right in pairs:
        if not (0 <= left < count and 0 <= right < count):
            raise ValueError(
                f'joint_pairs: expected joints below {count}, received {(left, right)}'
            )
        order[left], order[right] = right, left
    return order
