"""What turns raw outputs of a network into values: the column `activation` of `training.heads`.

Losses, decoding and the exported graph all take these.
"""

from __future__ import annotations

from torch import Tensor

from training.heads import HEADS

# Scores that CenterTrack and CenterNet train with stay this far away from 0 and 1.
SCORE_FLOOR = 1e-4
# Keeps the depth finite where the sigmoid underflows: no depth exceeds a million metres.
DEPTH_EPSILON = 1e-6


def clamped_sigmoid(logits: Tensor, floor: float = SCORE_FLOOR) -> Tensor:
    """Sigmoid in [floor, 1 - floor]; no gradient where it was clamped (`_sigmoid`).

    Args:
        logits: any shape.
        floor: 0 is the plain sigmoid.
    """
    scores = logits.sigmoid()
    return scores.clamp(floor, 1 - floor) if floor > 0 else scores


def depth_from_logits(logits: Tensor, scale: float = 1.0) -> Tensor:
    """Depth in metres, `scale` (1 / (sigmoid + 1e-6) - 1): 1 m at 0, falling with the logit.

    Args:
        logits: any shape.
        scale: of cameras with another focal length (`depth_scale` of CenterTrack's detector).
    """
    # A product with 1 would be one node more in every exported graph.
    depth = 1 / (logits.sigmoid() + DEPTH_EPSILON) - 1
    return depth if scale == 1 else depth * scale


def activate(
    name: str, logits: Tensor, *, score_floor: float = 0.0, depth_scale: float = 1.0
) -> Tensor:
    """Values of head `name`, as its row in `training.heads` says.

    Args:
        name: of the head.
        logits: raw output, any shape.
        score_floor: see `clamped_sigmoid`; the detectors do not clamp.
        depth_scale: see `depth_from_logits`.

    Returns:
        Same shape: scores, metres, or `logits` itself.
    """
    activation = HEADS[name].activation
    if activation == 'sigmoid':
        return clamped_sigmoid(logits, score_floor)
    if activation == 'depth':
        return depth_from_logits(logits, depth_scale)
    return logits
