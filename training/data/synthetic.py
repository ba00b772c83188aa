"""Synthetic sequences: cut-outs walking, crossing, stopping and hiding each other in a photo.

Track ids, boxes and visible shares are exact. Boxes of pasted things are those of the whole
thing, whatever hides it: trackers need boxes that stay, and MOT ground truth is made like that.
Things that belong to the background photo keep their labels and move with the camera.

    python -m training.data.synthetic --data ../shared/data --output DIR --sequences 4 --seed 1

writes sequences in the layout of MOTChallenge (`img1/`, `gt/gt.txt`, `seqinfo.ini`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from training.data.backgrounds import Backgrounds
from training.data.cutouts import Cutout, CutoutLibrary, make_cutout
from training.data.labels import FramePair, Reals
from training.data.scene import (
    CLASS_HEIGHTS_AND_SPEEDS,
    VEHICLES,
    CameraMotion,
    Ground,
    Walk,
    sample_walk,
    walk_through,
)
from training.data.sequence import UNLABELLED, Actor, Light, SyntheticSequence

_VEHICLE_WEIGHT = 3.0


@dataclass(frozen=True)
class SyntheticSettings:
    """How synthetic scenes look.

    Attributes:
        height, width: pixels of a frame.
        duration: seconds of a sequence.
        max_things: most things in one scene; small numbers are more frequent.
        person_share: chance that a thing is a person and not a vehicle or an animal.
        group_share: chance that a thing walks with the one before it.
        crossing_share: chance that a thing crosses the way of the one before it.
        max_poles: most poles and posts, which hide what is behind them and have no label.
        shadows: chance of shadows.
        slowest_rate, fastest_rate: frames per second between which the rate is drawn.
        max_frame_distance: frames of a training pair are nearer than this.
    """

    height: int = 480
    width: int = 640
    duration: float = 6.0
    max_things: int = 25
    person_share: float = 0.85
    group_share: float = 0.25
    crossing_share: float = 0.25
    max_poles: int = 2
    shadows: float = 0.5
    slowest_rate: float = 2.0
    fastest_rate: float = 30.0
    max_frame_distance: int = 3


class SyntheticSource:
    """Makes scenes and pairs of frames of them.

    Args:
        library: cut-outs; classes without a known height are not used.
        backgrounds: what is behind the scenes.
        class_names: names of the network's classes, in its order.
        settings: how the scenes look.

    Raises:
        ValueError: there are no cut-outs of people.
    """

    def __init__(
        self,
        library: CutoutLibrary,
        backgrounds: Backgrounds,
        class_names: Sequence[str],
        settings: SyntheticSettings,
    ) -> None:
        usable = set(class_names) & set(library.class_names) & set(CLASS_HEIGHTS_AND_SPEEDS)
        if 'person' not in usable:
            raise ValueError("library: expected cut-outs of class 'person', received none")
        self.settings = settings
        self._library = library
        self._backgrounds = backgrounds
        self._class_indices = {name: list(class_names).index(name) for name in sorted(usable)}
        self.person_class = self._class_indices['person']

    def sample_pair(self, generator: np.random.Generator) -> FramePair:
        """Two frames of a new scene, up to `max_frame_distance - 1` frames apart."""
        sequence = self.sample_sequence(generator)
        reach = max(self.settings.max_frame_distance - 1, 0)
        step = generator.integers(-reach, reach + 1)
        time = generator.uniform(0, self.settings.duration)
        current = sequence.render_time(time)
        if step == 0:
            return FramePair(current, current, framed=True)
        previous = sequence.render_time(time + step / sequence.frame_rate)
        return FramePair(current, previous, framed=True)

    def sample_sequence(self, generator: np.random.Generator) -> SyntheticSequence:
        """A new scene."""
        settings = self.settings
        size = (settings.height, settings.width)
        ground = Ground.sample(settings.width, settings.height, generator)
        background = self._backgrounds.sample(ground, *size, generator)
        rates = np.log([settings.slowest_rate, settings.fastest_rate])
        return SyntheticSequence(
            background=background,
            ground=ground,
            camera=CameraMotion.sample(
                settings.width, settings.height, settings.duration, generator
            ),
            actors=self._sample_actors(ground, background.frame.image, generator),
            light=_sample_light(settings, generator),
            size=size,
            duration=settings.duration,
            frame_rate=float(np.exp(generator.uniform(*rates))),
        )

    def _sample_actors(
        self, ground: Ground, photo: Image, generator: np.random.Generator
    ) -> list[Actor]:
        settings = self.settings
        brightness = float(cv2.resize(photo, (8, 8), interpolation=cv2.INTER_AREA).mean())
        count = 1 + int(settings.max_things * generator.random() ** 1.2)
        actors: list[Actor] = []
        for number in range(1, count + 1):
            name = self._sample_class(generator)
            cutout = self._library.sample(name, generator)
            height, top_speed = CLASS_HEIGHTS_AND_SPEEDS[name]
            walk = self._sample_walk(ground, top_speed, actors, generator)
            actors.append(
                Actor(
                    cutout=cutout,
                    class_index=self._class_indices[name],
                    track_id=number,
                    height=height * float(np.clip(generator.normal(1, 0.07), 0.7, 1.2)),
                    walk=walk,
                    mirrored=bool(generator.random() < 0.5),
                    gait=float(generator.uniform(0, 0.12)) if name == 'person' else 0.0,
                    pace=float(generator.uniform(0.7, 1.2)),
                    gains=sample_gains(cutout, brightness, generator),
                )
            )
        for _ in range(generator.integers(settings.max_poles + 1)):
            actors.append(_sample_pole(ground, settings.width, len(actors) + 1, generator))
        return actors

    def _sample_class(self, generator: np.random.Generator) -> str:
        others = [name for name in self._class_indices if name != 'person']
        if not others or generator.random() < self.settings.person_share:
            return 'person'
        shares = np.array([_VEHICLE_WEIGHT if name in VEHICLES else 1.0 for name in others])
        return others[generator.choice(len(others), p=shares / shares.sum())]

    def _sample_walk(
        self,
        ground: Ground,
        top_speed: float,
        actors: Sequence[Actor],
        generator: np.random.Generator,
    ) -> Walk:
        """A walk of its own, one beside the last actor, or one that crosses the last actor's."""
        settings = self.settings
        draw = generator.random()
        if actors and draw < settings.group_share:
            return actors[-1].walk.shifted(generator.normal(0, 0.6, 2))
        if actors and draw < settings.group_share + settings.crossing_share:
            meeting = actors[-1].walk.at(generator.uniform(0, settings.duration))
            if meeting[1] > ground.nearest * 0.8:
                place = meeting + np.array([0.0, generator.choice([-0.5, 0.5])])
                return walk_through(place, settings.duration, top_speed, generator)
        return sample_walk(ground, settings.width, settings.duration, top_speed, generator)


def _sample_light(settings: SyntheticSettings, generator: np.random.Generator) -> Light:
    flickers, shadows = generator.random(2) < (0.3, settings.shadows)
    return Light(
        flicker=float(flickers * generator.uniform(0, 0.2)),
        shadow=float(shadows * generator.uniform(0.2, 0.6)),
        shadow_slope=np.array([generator.normal(0, 0.5), generator.uniform(-0.3, 0.4)]),
    )


def _sample_pole(
    ground: Ground, width: int, track_id: int, generator: np.random.Generator
) -> Actor:
    """A lamp post, sign or pillar that stands still and hides what walks behind it."""
    sprite = np.zeros((192, 48, 3), np.uint8)
    mask = np.zeros(sprite.shape[:2], np.uint8)
    half = int(generator.integers(1, 5))
    mask[:, 24 - half : 24 + half] = 255
    if generator.random() < 0.5:
        top, tall = generator.integers(0, 100), generator.integers(16, 60)
        wide = generator.integers(8, 24)
        mask[top : top + tall, 24 - wide : 24 + wide] = 255
    left, right = generator.uniform(0.6, 1.2, 2)
    shade = np.linspace(left, right, 48)[None, :, None]
    colour = generator.uniform(20, 200) + generator.normal(0, 15, 3)
    sprite[:] = np.clip(shade * colour + generator.normal(0, 6, (192, 1, 1)), 0, 255)
    still = Walk(0.0, ground.sample_position(width, generator), 0.0, np.zeros(2), np.zeros(2))
    return Actor(
        cutout=make_cutout(sprite, mask, 'pole'),
        class_index=UNLABELLED,
        track_id=track_id,
        height=float(generator.uniform(2.0, 5.0)),
        walk=still,
        mirrored=False,
        gait=0.0,
        pace=0.0,
        gains=np.ones(3),
    )


def sample_gains(cutout: Cutout, brightness: float, generator: np.random.Generator) -> Reals:
    """Factors (3,) that bring a thing part of the way to the brightness of its surroundings."""
    mean = cutout.levels[-1].reshape(-1, 4).mean(axis=0)
    own = 255 * float(mean[:3].mean()) / max(float(mean[3]), 1.0)
    pull = float(np.clip((brightness / max(own, 10.0)) ** generator.uniform(0, 0.6), 0.5, 1.6))
    return pull * generator.normal(1.0, 0.04, 3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write sequences in the layout of MOTChallenge."""
    # Here and not above: `sources` builds on this module.
    from training.data.mot_writer import write_mot_sequence
    from training.data.sources import DataSettings, build_scenes

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=Path('../shared/data'), help='data folder')
    parser.add_argument('--output', type=Path, required=True, help='folder for the sequences')
    parser.add_argument('--sequences', type=int, default=2)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--height', type=int, default=480)
    parser.add_argument('--width', type=int, default=640)
    options = parser.parse_args(arguments)
    source = build_scenes(DataSettings(options.data, options.height, options.width))
    for number in range(options.sequences):
        sequence = source.sample_sequence(np.random.default_rng([options.seed, number]))
        folder = options.output / f'synthetic-{options.seed}-{number:02d}'
        boxes = write_mot_sequence(folder, sequence, source.person_class)
        print(f'{folder}: {len(sequence)} frames, {boxes} boxes')


if __name__ == '__main__':
    main()
