"""Losses of CenterTrack and its relatives, and their weighted sum.

The losses are plain functions: of maps (B, C, h, w) where every cell counts, of rows (B, M, C)
that were gathered at the objects otherwise. Where nothing is to be learnt they are 0 with a
finite gradient. `TotalLoss` puts them together as `training.heads` says.
"""

from training.losses.bins import bin_rotation_loss
from training.losses.focal import focal_loss, peak_focal_loss
from training.losses.masks import dice_loss, mask_loss
from training.losses.regression import (
    binary_loss,
    giou_loss,
    l1_loss,
    mean_l1_loss,
    relative_l1_loss,
    smooth_l1_loss,
)
from training.losses.total import TotalLoss, average_stacks
from training.losses.weights import EXTRA_LOSSES, check_loss_weights, loss_weights

__all__ = [
    'EXTRA_LOSSES',
    'TotalLoss',
    'average_stacks',
    'bin_rotation_loss',
    'binary_loss',
    'check_loss_weights',
    'dice_loss',
    'focal_loss',
    'giou_loss',
    'l1_loss',
    'loss_weights',
    'mask_loss',
    'mean_l1_loss',
    'peak_focal_loss',
    'relative_l1_loss',
    'smooth_l1_loss',
]
