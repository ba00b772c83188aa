"""From labels to what the network is to say: one file per kind of target.

Follows `generic_dataset.py` of CenterTrack; what differs on purpose is a field of `TargetRules`,
or named where it is.
"""

from training.targets.build import Targets, build_targets
from training.targets.detections import targets_to_detections
from training.targets.prior import build_prior_heatmap, prior_objects
from training.targets.settings import PriorNoise, TargetRules, TargetSettings

__all__ = [
    'PriorNoise',
    'TargetRules',
    'TargetSettings',
    'Targets',
    'build_prior_heatmap',
    'build_targets',
    'prior_objects',
    'targets_to_detections',
]
