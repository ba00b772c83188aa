"""Which fields of the labels each head learns from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from training.data.labels import FrameLabels

JOINT_HEADS = frozenset({'hps', 'hm_hp', 'hp_offset'})
MASK_HEADS = frozenset({'conv_weight'})
# Head -> field of FrameLabels, key in COCO-format files.
_SPACE_FIELDS = {
    'dep': ('depth', 'depth'),
    'rot': ('alpha', 'alpha'),
    'dim': ('dimensions', 'dim'),
    'amodel_offset': ('amodal_centers', 'amodel_center'),
    'nuscenes_att': ('attributes', 'attributes'),
    'velocity': ('velocity', 'velocity'),
}
SPACE_HEADS = frozenset(_SPACE_FIELDS)


def check_fields(
    heads: Iterable[str], losses: Mapping[str, float], sets: Sequence[Iterable[FrameLabels]]
) -> None:
    """Make sure that somewhere in the sets there is something to learn for each head.

    Args:
        heads: of the model.
        losses: weights of losses that the user changed; a head with 0 needs nothing.
        sets: labels of all images of each set.

    Raises:
        ValueError: a head would never learn; all its targets would be unknown.
    """
    for head in heads:
        key = _key(head)
        if key and losses.get(head, 1) > 0 and not any(_knows(head, labels) for labels in sets):
            raise ValueError(
                f'model.heads: {head!r} learns from {key!r} of the annotations, and no set of '
                f'data.train has that; add it, leave the head out, or set losses.{head}=0'
            )


def _key(head: str) -> str:
    if head in JOINT_HEADS:
        return 'keypoints'
    if head in MASK_HEADS:
        return 'segmentation'
    return _SPACE_FIELDS[head][1] if head in _SPACE_FIELDS else ''


def _knows(head: str, labels: Iterable[FrameLabels]) -> bool:
    """Whether one of the images has what the head learns from."""
    if head in JOINT_HEADS:
        return any(x.joints is not None and x.joints[..., 2].any() for x in labels)
    if head in MASK_HEADS:
        return any(x.outlines is not None and any(x.outlines) for x in labels)
    name = _SPACE_FIELDS[head][0]
    return any(getattr(x, name) is not None and len(x) for x in labels)
