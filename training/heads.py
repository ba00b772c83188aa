"""Every head that a network may have, declared once.

Networks, targets, losses, decoding and the flip test follow this table; a new head is a new row.
Channels, weights and losses are CenterTrack's (`opts.py`, `trainer.py`); `conv_weight` and
`seg_feat` are those of the instance-segmentation variant (CenterNet-CondInst).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

LossKind = Literal['focal', 'l1', 'bins', 'binary', 'dice']
Activation = Literal['none', 'sigmoid', 'depth']
# Where the target stands: a whole map, one row per object, one row per joint of each object.
Place = Literal['map', 'object', 'joint']
# What the flip test does with the mirrored copy; `first`: it is not used.
FlipRule = Literal['first', 'average', 'negate_x', 'swap_joints', 'swap_joints_negate_x']

# CenterTrack starts every heatmap at a score of 0.01, so that the first steps do not drown in
# the loss of background; CenterNet at 0.1 (-2.19).
HEATMAP_BIAS = -4.6


@dataclass(frozen=True)
class Head:
    """One head.

    Attributes:
        channels: fixed number; None where it depends on the model (`check_heads`).
        loss: which loss of `training.losses` trains it.
        weight: default factor of that loss.
        place: where its target stands.
        flip: how the flip test merges it.
        activation: what turns the raw output into the value that is decoded.
        per: what the channels are counted in: `class`, `joint`, `joint_xy` (x and y of each),
            `mask_feature`; `size` is one width and height, or one for each class, `place` one
            pair x, y, or one for each joint.
        meaning: unit and reference, for people.
    """

    loss: LossKind
    meaning: str
    channels: int | None = None
    weight: float = 1.0
    place: Place = 'object'
    flip: FlipRule = 'first'
    activation: Activation = 'none'
    per: Literal['one', 'size', 'class', 'joint', 'joint_xy', 'place', 'mask_feature'] = 'one'

    @property
    def initial_bias(self) -> float:
        """Bias of the last layer before training."""
        return HEATMAP_BIAS if self.loss == 'focal' else 0.0


HEADS: dict[str, Head] = {
    'hm': Head(
        'focal', 'centre of each class', per='class', place='map', flip='average',
        activation='sigmoid',
    ),
    'reg': Head('l1', 'centre of the box - integer cell, cells', 2),
    'wh': Head('l1', 'width, height, cells', per='size', weight=0.1, flip='average'),
    'ltrb': Head('l1', 'edges of the clipped box from the integer cell, cells; signs as '
                 '`DecodeRules.edges` says', 4, weight=0.1),
    'ltrb_amodal': Head('l1', 'edges of the whole box - integer cell, cells', 4, weight=0.1),
    'tracking': Head('l1', 'centre in the previous image - integer cell, cells', 2),
    'hps': Head(
        'l1', 'joints - integer cell, cells', per='joint_xy', flip='swap_joints_negate_x'
    ),
    'hm_hp': Head(
        'focal', 'place of each joint', per='joint', place='map', flip='swap_joints',
        activation='sigmoid',
    ),
    'hp_offset': Head('l1', 'joint - its integer cell, cells', per='place', place='joint'),
    'dep': Head('l1', 'depth, metres', 1, flip='average', activation='depth'),
    'rot': Head('bins', 'observation angle in two bins', 8),
    'dim': Head('l1', 'height, width, length, metres', 3, flip='average'),
    'amodel_offset': Head('l1', 'projected 3D centre - integer cell, cells', 2, flip='negate_x'),
    'nuscenes_att': Head('binary', 'attributes, logits', 8),
    'velocity': Head('l1', 'x, y, z in the camera frame, metres per second', 3),
    'conv_weight': Head('dice', 'weights of the mask layers of an object', per='mask_feature'),
    'seg_feat': Head('dice', 'features that masks are made of', weight=0.0, place='map'),
}  # fmt: skip


def mask_weight_count(features: int) -> int:
    """Channels of `conv_weight` for `features` channels n of `seg_feat`: 2 n^2 + 5 n + 1.

    Three layers with their biases: n features, x and y -> n -> n -> 1; 169 for n = 8.
    """
    return 2 * features * features + 5 * features + 1


def head_channels(
    names: Iterable[str],
    class_count: int,
    joint_count: int = 0,
    mask_features: int = 8,
    *,
    offset_per_joint: bool = False,
) -> dict[str, int]:
    """Channels of each head of a model; sizes are one pair for all classes.

    Args:
        names: of heads.
        class_count: C.
        joint_count: J, for heads of joints.
        mask_features: channels of `seg_feat`.
        offset_per_joint: whether `hp_offset` has a pair for each joint, as in MoveNet, instead of
            one for all.

    Raises:
        ValueError: an unknown head, or one of joints without joints.
    """
    counts = {
        'size': 2,
        'class': class_count,
        'joint': joint_count,
        'joint_xy': 2 * joint_count,
        'place': 2 * joint_count if offset_per_joint else 2,
    }
    heads = {}
    for name in names:
        if name not in HEADS:
            raise ValueError(f'heads: expected some of {sorted(HEADS)}, received {name!r}')
        head = HEADS[name]
        if name == 'seg_feat':
            heads[name] = mask_features
        elif head.per == 'mask_feature':
            heads[name] = mask_weight_count(mask_features)
        else:
            heads[name] = head.channels or counts[head.per]
    check_heads(heads)
    return heads


def check_heads(heads: Mapping[str, int]) -> None:
    """Make sure that every head is known and has the channels that its row says.

    Raises:
        ValueError: an unknown head, or another number of channels.
    """
    for name, count in heads.items():
        if name not in HEADS:
            raise ValueError(f'heads: expected some of {sorted(HEADS)}, received {name!r}')
        allowed = _allowed_channels(HEADS[name], heads)
        if count < 1 or (allowed and count not in allowed):
            wanted = ' or '.join(map(str, allowed)) or '1 or more'
            raise ValueError(f'heads.{name}: expected {wanted}, received {count}')


def _allowed_channels(head: Head, heads: Mapping[str, int]) -> tuple[int, ...]:
    """Channels that `head` may have beside the others; () is any number."""
    if head.channels is not None:
        return (head.channels,)
    if head.per == 'size':
        return tuple(sorted({2, 2 * heads.get('hm', 1)}))
    if head.per == 'place':
        return tuple(sorted({2, 2 * heads.get('hm_hp', 1)}))
    if head.per == 'joint_xy' and 'hm_hp' in heads:
        return (2 * heads['hm_hp'],)
    if head.per == 'mask_feature' and 'seg_feat' in heads:
        return (mask_weight_count(heads['seg_feat']),)
    return ()
