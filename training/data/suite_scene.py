"""Builds the scenes of the suite: who walks where before what, and how the camera moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np

from training.data.backgrounds import Background, paint_ground
from training.data.cutouts import Cutout, CutoutLibrary, make_cutout
from training.data.labels import FrameLabels, LabelledFrame, Reals
from training.data.scene import CLASS_HEIGHTS_AND_SPEEDS, CameraMotion, Ground, Walk
from training.data.sequence import UNLABELLED, Actor, Light, SyntheticSequence
from training.data.suite_cast import CastPart, Stage
from training.data.suite_material import HeldOutMaterial, PhotoPart
from training.data.synthetic import sample_gains

_PERSON_METRES = CLASS_HEIGHTS_AND_SPEEDS['person'][0]
_FOCAL_SHARE = 1.1

# Walks, brightness of the background and randomness -> people with numbers from 1.
Casting: TypeAlias = Callable[[Sequence[Walk], float, np.random.Generator], list[Actor]]


@dataclass(frozen=True)
class View:
    """How high people are, and where they stand, at both ends of the ground.

    Attributes:
        near_height, far_height: of a person, pixels.
        near_row, far_row: of the feet, pixels.
    """

    near_height: float
    near_row: float
    far_height: float
    far_row: float


@dataclass(frozen=True)
class Square:
    """A ground in perspective before a backdrop, as a raised camera sees it.

    Attributes:
        floor: what the ground is covered with.
        backdrop: what stands behind its far end.
    """

    floor: PhotoPart
    backdrop: PhotoPart


@dataclass(frozen=True)
class Camera:
    """Motion of the camera.

    Attributes:
        pan: (right, down) pixels per second by which the picture moves.
        zoom: growth per second, as logarithm: the camera comes nearer.
        shake: pixels of a hand's tremor, 0 = on a tripod.
    """

    pan: tuple[float, float] = (0.0, 0.0)
    zoom: float = 0.0
    shake: float = 0.0


@dataclass(frozen=True)
class Wall:
    """A hoarding, kiosk or pillar that stands on the ground and hides who passes behind it.

    Attributes:
        column, nearness: its middle, see `Stage.place`.
        width, height: metres.
        photo: what is on it.
    """

    column: float
    nearness: float
    width: float
    height: float
    photo: PhotoPart


@dataclass(frozen=True)
class SceneSettings:
    """What is needed to build a scene.

    Attributes:
        height, width: pixels of a frame.
        frame_rate: frames per second.
        duration: seconds.
        view: the ground.
        setting: the background.
        cast: who walks where.
        walls: what hides them.
        camera: how it moves.
        overscan: share of the size that the background reaches beyond each side.
        shadow: how dark shadows are, 0 = none.
    """

    height: int
    width: int
    frame_rate: float
    duration: float
    view: View
    setting: PhotoPart | Square
    cast: tuple[CastPart, ...]
    walls: tuple[Wall, ...]
    camera: Camera
    overscan: float
    shadow: float


def build_scene(
    settings: SceneSettings,
    material: HeldOutMaterial,
    generator: np.random.Generator,
    casting: Casting | None = None,
    kind: type[SyntheticSequence] = SyntheticSequence,
) -> SyntheticSequence:
    """The scene that the settings describe.

    Args:
        settings: see there.
        material: photos, and people unless `casting` brings others.
        generator: randomness.
        casting: makes the people from their walks and the brightness of the background.
        kind: what shows them.
    """
    size = (settings.height, settings.width)
    view = settings.view
    ground = Ground.through(
        settings.width,
        (view.near_height, view.near_row),
        (view.far_height, view.far_row),
        _FOCAL_SHARE * settings.width,
    )
    background = _background(settings, ground, material, generator)
    stage = Stage(ground, settings.width, settings.duration, settings.overscan)
    brightness = float(background.frame.image.mean())
    walks = [walk for part in settings.cast for walk in part.walks(stage, generator)]
    cast = casting or partial(_cast_cutouts, material)
    actors = cast(walks, brightness, generator)
    for wall in settings.walls:
        actors.append(_wall(wall, stage, len(actors) + 1, material))
    return kind(
        background=background,
        ground=ground,
        camera=_camera_motion(settings, generator),
        actors=actors,
        light=Light(
            flicker=float(generator.uniform(0, 0.06)),
            shadow=settings.shadow,
            shadow_slope=np.array([generator.normal(0, 0.4), generator.uniform(0.0, 0.3)]),
        ),
        size=size,
        duration=settings.duration,
        frame_rate=settings.frame_rate,
    )


def _cast_cutouts(
    material: HeldOutMaterial,
    walks: Sequence[Walk],
    brightness: float,
    generator: np.random.Generator,
) -> list[Actor]:
    people = _distinct_people(material.library, len(walks), generator)
    return [
        _person(number, cutout, walk, material.person_class, brightness, generator)
        for number, (cutout, walk) in enumerate(zip(people, walks, strict=True), start=1)
    ]


def _background(
    settings: SceneSettings,
    ground: Ground,
    material: HeldOutMaterial,
    generator: np.random.Generator,
) -> Background:
    if isinstance(settings.setting, Square):
        return _square(settings.setting, settings, ground, material, generator)
    picture = material.picture(settings.setting)
    reach = 1 + 2 * settings.overscan
    size = (reach * settings.width, reach * settings.height)
    scale = max(size[0] / picture.shape[1], size[1] / picture.shape[0])
    left = (scale * picture.shape[1] - settings.width) / 2
    top = (scale * picture.shape[0] - settings.height) / 2
    # Nothing of the photo is in the truth: the people are those of the cast alone.
    frame = LabelledFrame(picture, FrameLabels.from_rows())
    return Background(frame, np.array([[scale, 0.0, -left], [0.0, scale, -top]]))


def _square(
    square: Square,
    settings: SceneSettings,
    ground: Ground,
    material: HeldOutMaterial,
    generator: np.random.Generator,
) -> Background:
    left = round(settings.overscan * settings.width)
    top = round(settings.overscan * settings.height)
    width, height = settings.width + 2 * left, settings.height + 2 * top
    floor = material.picture(square.floor).copy()
    image = paint_ground(floor, ground, (width, height), (left, top), generator)
    edge = round(ground.row_at(1.15 * ground.farthest)) + top
    backdrop = material.picture(square.backdrop)
    # Its foot is at the end of the ground; what is too high for the picture is cut off above.
    wanted = round(backdrop.shape[1] * edge / width)
    image[:edge] = cv2.resize(backdrop[-wanted:], (width, edge), interpolation=cv2.INTER_LINEAR)
    frame = LabelledFrame(image, FrameLabels.from_rows())
    return Background(frame, np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]]))


def _distinct_people(
    library: CutoutLibrary, count: int, generator: np.random.Generator
) -> list[Cutout]:
    """Different people: twins would make the truth of identities a matter of taste."""
    if count > library.count('person'):
        raise ValueError(
            f'cast: expected up to {library.count("person")} people, received {count}'
        )
    people: list[Cutout] = []
    while len(people) < count:
        person = library.sample('person', generator)
        if all(person is not other for other in people):
            people.append(person)
    return people


def _person(
    number: int,
    cutout: Cutout,
    walk: Walk,
    class_index: int,
    brightness: float,
    generator: np.random.Generator,
) -> Actor:
    return Actor(
        cutout=cutout,
        class_index=class_index,
        track_id=number,
        height=_PERSON_METRES * float(np.clip(generator.normal(1, 0.05), 0.88, 1.12)),
        walk=walk,
        mirrored=bool(generator.random() < 0.5),
        gait=float(generator.uniform(0.02, 0.1)),
        pace=float(generator.uniform(0.7, 1.1)),
        gains=sample_gains(cutout, brightness, generator),
    )


def _wall(wall: Wall, stage: Stage, number: int, material: HeldOutMaterial) -> Actor:
    picture = material.picture(wall.photo)
    high = 320
    size = (round(high * wall.width / wall.height), high)
    sprite = cv2.resize(picture, size).astype(np.uint8, copy=False)
    place: Reals = stage.place(wall.column, wall.nearness)
    return Actor(
        cutout=make_cutout(sprite, np.full(sprite.shape[:2], 255, np.uint8), 'wall'),
        class_index=UNLABELLED,
        track_id=number,
        height=wall.height,
        walk=Walk(0.0, place, 0.0, np.zeros(2), np.zeros(2)),
        mirrored=False,
        gait=0.0,
        pace=0.0,
        gains=np.ones(3),
    )


def _camera_motion(settings: SceneSettings, generator: np.random.Generator) -> CameraMotion:
    camera = settings.camera
    # A hand sways slowly and far, and trembles fast and little.
    amplitudes = camera.shake * np.array([[1.0, 0.8], [0.5, 0.5], [0.15, 0.2]])
    return CameraMotion(
        center=np.array([settings.width / 2, settings.height / 2]),
        middle_time=settings.duration / 2,
        pan=np.array(camera.pan),
        zoom=camera.zoom,
        roll=0.0,
        shake=amplitudes,
        frequency=np.array([0.4, 1.3, 5.0]) * generator.uniform(0.8, 1.2, 3),
        phase=generator.uniform(0, 2 * np.pi, (3, 2)),
    )
