"""How people walk, stand and wave: angles of their limbs as closed formulas of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.data.articulated.figure import Pose
from training.data.labels import Reals
from training.data.scene import Walk

Style = Literal['walk', 'wave']
# Metres that a full cycle of two steps covers; radians.
STRIDE = 1.35
_THIGH, _KNEE, _ARM, _ELBOW = np.radians((22.0, 38.0, 18.0, 14.0))
_LEAN, _NOD, _SWAY = np.radians((2.5, 2.0, 1.2))
_USUAL_SPEED = 1.1
# Seconds over which a walker speeds up and slows down.
_BLEND = 0.4
_WAVE_HERTZ = 0.9


@dataclass(frozen=True)
class Gait:
    """The way that one person moves.

    Attributes:
        phase: radians, where in the cycle it begins.
        swing: factor on all angles.
        style: what it does with its left arm.
        outward: 1 where the left arm is on the right of the picture, -1 otherwise.
    """

    phase: float
    swing: float
    style: Style
    outward: float

    def pose(self, walk: Walk, time: float) -> Pose:
        """The pose of someone on a walk at a time."""
        velocity = (walk.at(time + _BLEND / 2) - walk.at(time - _BLEND / 2)) / _BLEND
        speed = float(np.hypot(*velocity))
        amplitude = self.swing * min(1.0, speed / _USUAL_SPEED)
        across = abs(float(velocity[0])) / speed if speed > 0 else 0.0
        ahead = -1.0 if velocity[0] > 0 else 1.0
        cycle = self.phase + 2 * np.pi * _walked(walk, time) / STRIDE
        turns, lengths = _stride(cycle, amplitude, across, ahead)
        turns['torso'] += _SWAY * np.sin(0.7 * time + self.phase)
        turns['head'] = _NOD * np.sin(1.1 * time + 2 * self.phase)
        if self.style == 'wave':
            beat = np.sin(2 * np.pi * _WAVE_HERTZ * time + self.phase)
            # Outwards and up is against the clock for an arm on the right of the picture.
            turns['left_upper_arm'] = -self.outward * np.radians(75 + 12 * beat)
            turns['left_forearm'] = -self.outward * np.radians(125 + 28 * beat)
        return Pose(turns, lengths)


def _stride(
    cycle: float, amplitude: float, across: float, ahead: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Turns and lengths of the limbs of a walker.

    Args:
        cycle: radians.
        amplitude: factor on all angles.
        across: share of the speed that is across the picture; legs that swing towards the
            camera turn less and look shorter instead.
        ahead: sign of a turn that brings a foot forward.
    """
    seen = amplitude * (0.25 + 0.75 * across)
    foreshortened = amplitude * (1 - across)
    turns, lengths = {'torso': ahead * -_LEAN * seen}, {}
    for side, angle in (('left', cycle), ('right', cycle + np.pi)):
        forward, lifted = np.sin(angle), max(0.0, float(np.cos(angle)))
        thigh = _THIGH * forward * seen
        turns[f'{side}_thigh'] = ahead * thigh
        turns[f'{side}_shank'] = ahead * (thigh - _KNEE * lifted * seen)
        arm = -_ARM * forward * seen
        turns[f'{side}_upper_arm'] = ahead * arm
        turns[f'{side}_forearm'] = ahead * (arm + _ELBOW * seen * (1 - 0.5 * forward))
        lengths[f'{side}_thigh'] = 1 - 0.1 * lifted * foreshortened
        lengths[f'{side}_shank'] = 1 - 0.25 * lifted * foreshortened
        lengths[f'{side}_forearm'] = 1 - 0.3 * max(0.0, -float(forward)) * foreshortened
    return turns, lengths


def _walked(walk: Walk, time: float) -> float:
    """Metres along the way since second 0."""
    before, after = (float(np.hypot(*v)) for v in (walk.velocity_before, walk.velocity_after))
    turn: Reals = np.array(walk.turn_time)
    return before * float(np.minimum(time, turn)) + after * float(np.maximum(time - turn, 0.0))
