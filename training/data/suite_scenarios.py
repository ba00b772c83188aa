"""The table of the suite's sequences: what each of them shows."""

from __future__ import annotations

from dataclasses import dataclass

from training.data.suite_cast import (
    Approaching,
    CastPart,
    Crossing,
    Group,
    Passing,
    PassingBehind,
    StandingRow,
    StopAndTurn,
)
from training.data.suite_material import PhotoPart
from training.data.suite_scene import Camera, SceneSettings, Square, View, Wall


@dataclass(frozen=True)
class Scenario:
    """A named sequence.

    Attributes:
        name: name of the folder.
        seed: seed of all that is drawn.
        scene: what it shows.
        longest_gap: seconds from one image to the next where frames are dropped, 0 = none are.
    """

    name: str
    seed: int
    scene: SceneSettings
    longest_gap: float = 0.0


# Looked at enlarged: nobody is in them, labelled or not.
_SHOPS = PhotoPart('000000008899')
_FIELD = PhotoPart('000000002923')

_ASPHALT = PhotoPart('000000006723', (0.02, 0.8, 0.2, 0.95))
_GRASS = PhotoPart('000000002923', (0.0, 0.7, 1.0, 1.0))
_PAVING = PhotoPart('000000008899', (0.3, 0.87, 0.75, 0.955))
_LITTER = PhotoPart('000000011122', (0.25, 0.6, 0.7, 0.95))
_PATH = PhotoPart('FudanPed00032', (0.42, 0.72, 0.62, 0.92))
_TARMAC = PhotoPart('PennPed00088', (0.72, 0.86, 1.0, 1.0))
_ROAD = PhotoPart('FudanPed00024', (0.62, 0.85, 1.0, 1.0))

# Above the pavement: the people on it are small and not labelled.
_HOUSES = PhotoPart('000000006723', (0.0, 0.0, 1.0, 0.525))
_PALMS = PhotoPart('000000000724', (0.0, 0.0, 1.0, 0.68))
_FENCE = PhotoPart('000000011122', (0.0, 0.0, 1.0, 0.75))
_SHOP_FRONT = PhotoPart('000000008899', (0.0, 0.2, 1.0, 0.84))
_HEDGE = PhotoPart('FudanPed00032', (0.0, 0.0, 0.72, 0.62))

_SHUTTERS = PhotoPart('000000008899', (0.17, 0.47, 0.46, 0.82))
_SHUTTER = PhotoPart('000000008899', (0.66, 0.47, 0.95, 0.82))
_TRIPOD = Camera()


def _scene(
    size: tuple[int, int],
    frame_rate: float,
    duration: float,
    view: View,
    setting: PhotoPart | Square,
    *cast: CastPart,
    walls: tuple[Wall, ...] = (),
    camera: Camera = _TRIPOD,
    overscan: float = 0.05,
    shadow: float = 0.35,
) -> SceneSettings:
    width, height = size
    return SceneSettings(
        height, width, frame_rate, duration, view, setting, cast, walls, camera, overscan, shadow
    )


SCENARIOS: tuple[Scenario, ...] = (
    Scenario('crossing_far', 101, _scene(
        (640, 480), 10, 10, View(95, 450, 55, 260), Square(_ASPHALT, _HOUSES),
        Crossing(6), Passing(3),
    )),
    Scenario('crossing_near', 102, _scene(
        (768, 576), 30, 8, View(250, 555, 150, 400), Square(_PATH, _HEDGE),
        Crossing(5), Passing(3),
    )),
    Scenario('hidden_by_walls', 103, _scene(
        (640, 480), 10, 12, View(120, 455, 70, 270), Square(_PAVING, _HEDGE),
        PassingBehind(6, 0.3, 0.75), PassingBehind(5, 0.75, 0.3), Passing(2),
        walls=(Wall(0.3, 0.75, 1.7, 2.4, _SHUTTERS), Wall(0.75, 0.3, 2.0, 2.5, _SHUTTER)),
    )),
    Scenario('hidden_by_people', 104, _scene(
        (768, 576), 30, 8, View(200, 540, 120, 430), Square(_TARMAC, _PALMS),
        StandingRow(5, 0.4, 0.6, spacing=0.4), StandingRow(4, 0.4, 0.5, spacing=0.4),
        PassingBehind(7, 0.4, 0.5, behind=(0.4, 0.8)), Passing(2, nearness=(0.0, 0.1)),
    )),
    Scenario('dense_groups', 105, _scene(
        (768, 576), 10, 11, View(150, 545, 80, 300), Square(_LITTER, _FENCE),
        Group(6, 0.4, 0.75, 0.5, 0.9), Group(5, 0.6, 0.45, 0.5, -1.0),
        Group(4, 0.5, 0.1, 0.45, 1.1), Group(4, 0.4, 0.25, 0.6, -0.8),
    )),
    Scenario('dense_square', 106, _scene(
        (960, 540), 30, 8, View(130, 520, 60, 215), Square(_ROAD, _HOUSES),
        Passing(14), Crossing(3), StopAndTurn(4), StandingRow(3, 0.7, 0.5, spacing=0.7),
        Approaching(4),
    )),
    Scenario('small_people', 107, _scene(
        (640, 480), 10, 12, View(45, 460, 21, 275), _FIELD,
        Passing(12), Crossing(3), Group(4, 0.5, 0.5, 0.5, 1.0), shadow=0.2,
    )),
    Scenario('large_people', 108, _scene(
        (640, 480), 30, 8, View(345, 470, 210, 345), Square(_PATH, _HEDGE),
        Passing(6), Crossing(3),
    )),
    Scenario('camera_pan', 109, _scene(
        (640, 480), 30, 8, View(140, 460, 75, 270), Square(_ASPHALT, _HOUSES),
        Passing(9), Crossing(2), StopAndTurn(3), camera=Camera(pan=(-45.0, 0.0)), overscan=0.32,
    )),
    Scenario('camera_shake', 110, _scene(
        (960, 540), 30, 8, View(190, 520, 95, 300), Square(_TARMAC, _FENCE),
        Passing(8), Crossing(2), Approaching(4),
        camera=Camera(pan=(8.0, 0.0), shake=9.0), overscan=0.1,
    )),
    Scenario('camera_forward', 111, _scene(
        (1280, 720), 10, 9, View(200, 690, 85, 330), Square(_PAVING, _SHOP_FRONT),
        Passing(8), Approaching(5), Crossing(2),
        camera=Camera(zoom=0.055, shake=3.0), overscan=0.2,
    )),
    Scenario('stop_and_turn', 112, _scene(
        (768, 576), 10, 11, View(165, 545, 85, 300), Square(_GRASS, _PALMS),
        StopAndTurn(9), Passing(3),
    )),
    Scenario('pavement_5fps', 113, _scene(
        (640, 480), 5, 12, View(150, 472, 128, 432), _SHOPS,
        Passing(8, speeds=(0.9, 1.6)), Group(3, 0.5, 0.5, 0.6, 1.1),
    )),
    Scenario('dropped_frames_30fps', 114, _scene(
        (640, 480), 30, 8, View(125, 455, 65, 265), Square(_PATH, _SHOP_FRONT),
        Passing(8), Crossing(3), StopAndTurn(3),
    ), longest_gap=0.5),
    Scenario('dropped_frames_10fps', 115, _scene(
        (960, 540), 10, 10, View(125, 525, 42, 382), Square(_ROAD, _HOUSES),
        Passing(6), Crossing(2), Group(4, 0.5, 0.6, 0.5, 1.2),
    ), longest_gap=0.5),
)  # fmt: skip
