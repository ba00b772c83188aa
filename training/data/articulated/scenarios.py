"""The table of the articulated sequences, in the scenes of the suite (`suite_scenarios`)."""

from __future__ import annotations

from dataclasses import dataclass

from training.data.suite_cast import (
    Approaching,
    Crossing,
    Group,
    Passing,
    PassingBehind,
    StopAndTurn,
)
from training.data.suite_material import PhotoPart
from training.data.suite_scene import Camera, SceneSettings, Square, View, Wall

_SHOPS = PhotoPart('000000008899')
_FIELD = PhotoPart('000000002923')
_PATH = PhotoPart('FudanPed00032', (0.42, 0.72, 0.62, 0.92))
_HEDGE = PhotoPart('FudanPed00032', (0.0, 0.0, 0.72, 0.62))
_ASPHALT = PhotoPart('000000006723', (0.02, 0.8, 0.2, 0.95))
_HOUSES = PhotoPart('000000006723', (0.0, 0.0, 1.0, 0.525))
_TARMAC = PhotoPart('PennPed00088', (0.72, 0.86, 1.0, 1.0))
_FENCE = PhotoPart('000000011122', (0.0, 0.0, 1.0, 0.75))
_PAVING = PhotoPart('000000008899', (0.3, 0.87, 0.75, 0.955))
_SHOP_FRONT = PhotoPart('000000008899', (0.0, 0.2, 1.0, 0.84))
_SHUTTERS = PhotoPart('000000008899', (0.17, 0.47, 0.46, 0.82))


@dataclass(frozen=True)
class PoseScenario:
    """A named sequence: seed of all that is drawn, and what it shows."""

    name: str
    seed: int
    scene: SceneSettings


SCENARIOS: tuple[PoseScenario, ...] = (
    PoseScenario('pose_passing', 201, SceneSettings(
        480, 640, 15, 4, View(210, 465, 130, 330), Square(_PATH, _HEDGE),
        (Passing(5), StopAndTurn(2)), (), Camera(), 0.05, 0.35,
    )),
    PoseScenario('pose_crossing', 202, SceneSettings(
        480, 640, 15, 4, View(230, 470, 150, 370), _SHOPS,
        (Crossing(3), Passing(1)), (), Camera(), 0.05, 0.3,
    )),
    PoseScenario('pose_hidden', 203, SceneSettings(
        480, 640, 10, 6, View(200, 460, 120, 320), Square(_ASPHALT, _HOUSES),
        (PassingBehind(4, 0.35, 0.6), Passing(2, nearness=(0.7, 1.0))),
        (Wall(0.35, 0.6, 1.2, 1.3, _SHUTTERS),), Camera(), 0.05, 0.35,
    )),
    PoseScenario('pose_far', 204, SceneSettings(
        480, 640, 7, 8, View(120, 450, 60, 270), _FIELD,
        (Passing(6), Crossing(1), Group(3, 0.5, 0.5, 0.5, 1.0)), (), Camera(), 0.05, 0.2,
    )),
    PoseScenario('pose_pan', 205, SceneSettings(
        480, 640, 25, 3, View(220, 465, 130, 330), Square(_TARMAC, _FENCE),
        (Passing(5), Crossing(1)), (), Camera(pan=(-45.0, 0.0), shake=3.0), 0.25, 0.35,
    )),
    PoseScenario('pose_forward', 206, SceneSettings(
        576, 768, 15, 4, View(260, 560, 140, 350), Square(_PAVING, _SHOP_FRONT),
        (Approaching(3), Passing(3)), (), Camera(zoom=0.05, shake=4.0), 0.2, 0.35,
    )),
)  # fmt: skip
