"""Augmentation of frame pairs: where both frames are cut, flip, colour, faults of cameras."""

from training.augment.frames import flip_frame, warp_frame
from training.augment.pair import augment_pair
from training.augment.settings import NO_AUGMENTATION, AugmentSettings

__all__ = ['NO_AUGMENTATION', 'AugmentSettings', 'augment_pair', 'flip_frame', 'warp_frame']
