"""One switch between the rules of the originals and ours."""

from __future__ import annotations

from dataclasses import dataclass

from centertrack_ros.model_spec import DecodeRules, JointRule, RadiusRule, ResizeRule
from training.targets import TargetRules


@dataclass(frozen=True)
class Rules:
    """How pictures become inputs, labels become targets, and maps become detections.

    Attributes:
        radius_rule: see `rendering.gaussian_radius`; the original's peaks are 3.4 times as wide.
        decode: see `DecodeRules`.
        targets: see `TargetRules`; the original's `resize` crops pictures that are taller than
            the input.
        original_losses: see `losses.TotalLoss`.
    """

    radius_rule: RadiusRule
    decode: DecodeRules
    targets: TargetRules
    original_losses: bool

    @property
    def resize(self) -> ResizeRule:
        """How pictures become inputs, see `ModelSpec`."""
        return self.targets.resize


CORRECTED = Rules(
    radius_rule='exact',
    decode=DecodeRules(),
    targets=TargetRules(),
    original_losses=False,
)


def original_rules(joints: JointRule = 'centertrack') -> Rules:
    """What CenterTrack does, or CenterNet where the two differ (`joints`)."""
    return Rules(
        radius_rule='centertrack',
        decode=DecodeRules(
            peaks='class',
            joints=joints,
            amodal_reference='box',
            edges='offsets',
            clamp_sizes=joints == 'centertrack',
            duplicate_overlap=1.0,
        ),
        targets=TargetRules.original(),
        original_losses=True,
    )
