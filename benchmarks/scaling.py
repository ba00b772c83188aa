"""Cost against the number of objects and the size of images: `python -m benchmarks.scaling`.

Crowds of known size go through the decoding, rendering, tracking and message building of the
node; images of many sizes, made from a video, through its preprocessing and camera motion; and
the network runs at several input sizes. Tables with fitted exponents: time grows with the
number of objects (pixels) to that power, so 1 is linear. `--plot` draws them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.scaling_crowd import CROWD_IMAGE, Crowd
from benchmarks.scaling_plot import write_plot
from benchmarks.speed.arguments import DEFAULT_VIDEO
from benchmarks.speed.steps import Message, message_builder
from centertrack_ros.camera_motion import estimate_motion, grey_picture
from centertrack_ros.datatypes import Candidates, FrameTransform, Image, Tracks
from centertrack_ros.decoding import decode
from centertrack_ros.factory import build_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.preprocessing import SIZE_MULTIPLE, fit_transform, to_input
from centertrack_ros.rendering import render_prior_heatmap
from centertrack_ros.replay.sources import open_source
from centertrack_ros.replay.summary import environment
from centertrack_ros.settings import Settings

OBJECTS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500)
IMAGES = ('320x240', '640x480', '1280x720', '1920x1080', '2560x1440', '3840x2160')
# Sides of network inputs as shares of the model's own.
INPUT_SCALES = (0.5, 0.75, 1.0, 1.5, 2.0)
# Fewer objects cost what calling costs, which says nothing about growth.
LEAST_FITTED = 50
FRAMES_PER_SECOND = 20.0
WARM_UP = 10
# Of the times of a row: what else the machine does only ever adds to them.
PERCENTILE = 20

Rows = list[dict[str, Any]]


def measure_objects(
    pipeline: TrackingPipeline, counts: Sequence[int], frames: int, message: Message | None
) -> Rows:
    """Milliseconds of the stages that follow the network, and rendering, per crowd."""
    rows = []
    for count in counts:
        pipeline.reset()
        crowd, transform = Crowd(count), fit_transform(CROWD_IMAGE, pipeline.spec)
        times: list[dict[str, float]] = []
        for frame in range(frames + WARM_UP):
            candidates = crowd.candidates(transform, pipeline.spec.stride)
            stage_ms, tracks = _one_image(pipeline, candidates, transform, frame, message)
            times.append(stage_ms)
        rows.append({'objects': count, 'tracks': len(tracks)} | _typical(times[WARM_UP:]))
    return rows


def _one_image(
    pipeline: TrackingPipeline,
    candidates: Candidates,
    transform: FrameTransform,
    frame: int,
    message: Message | None,
) -> tuple[dict[str, float], Tracks]:
    """Milliseconds of each stage of one image, as the pipeline calls them, and its tracks."""
    spec, clock = pipeline.spec, _Clock()
    detections = decode(
        candidates,
        transform,
        stride=spec.stride,
        threshold=pipeline.detection_threshold,
        class_indices=pipeline.class_indices,
        duplicate_overlap=spec.decode.duplicate_overlap,
    )
    clock.read('decode')
    dt = 1 / FRAMES_PER_SECOND if frame else 0.0
    tracks = pipeline.tracker.update(detections, dt)
    clock.read('track')
    render_prior_heatmap(tracks, transform, spec)
    clock.read('render')
    if message is not None:
        message(tracks, frame)
        clock.read('message')
    return clock.milliseconds, tracks


class _Clock:
    """Milliseconds between readings, by name."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def read(self, name: str) -> None:
        now = time.perf_counter()
        self.milliseconds[name] = (now - self._last) * 1e3
        self._last = now


def measure_images(
    spec: ModelSpec, pictures: tuple[Image, Image], sizes: Sequence[str], repeats: int
) -> Rows:
    """Milliseconds of what is done with the pixels, for images of WIDTHxHEIGHT."""
    rows = []
    nobody = np.zeros((0, 4), np.float32)
    for size in sizes:
        width, height = map(int, size.split('x'))
        first, second = (cv2.resize(picture, (width, height)) for picture in pictures)
        transform = fit_transform((height, width), spec)
        previous = grey_picture(to_input(np.asarray(first, np.uint8), transform))
        times = []
        for _ in range(repeats + WARM_UP):
            clock = _Clock()
            network_input = to_input(np.asarray(second, np.uint8), transform)
            clock.read('preprocess')
            estimate_motion(previous, grey_picture(network_input), transform, nobody)
            clock.read('camera_motion')
            times.append(clock.milliseconds)
        rows.append(
            {'width': width, 'height': height, 'pixels': width * height}
            | {'input': f'{transform.input_width}x{transform.input_height}'}
            | _typical(times[WARM_UP:])
        )
    return rows


def measure_network(pipeline: TrackingPipeline, scales: Sequence[float], repeats: int) -> Rows:
    """Milliseconds of the network; models with a fixed input have one row."""
    spec, rows = pipeline.spec, []
    random = np.random.default_rng(0)
    for scale in scales if spec.resize == 'adaptive' else (1.0,):
        height, width = (
            max(1, round(side * scale / SIZE_MULTIPLE)) * SIZE_MULTIPLE if scale != 1 else side
            for side in (spec.input_height, spec.input_width)
        )
        images = random.integers(0, 256, (2, 1, height, width, 3), dtype=np.uint8)
        cells = height // spec.prior_heatmap_stride, width // spec.prior_heatmap_stride
        prior = np.zeros((1, 1, *cells), np.float32)
        times = []
        for call in range(repeats + 2):
            clock = _Clock()
            pipeline.engine.run(images[call % 2], images[1 - call % 2], prior)
            clock.read('network')
            times.append(clock.milliseconds)
        rows.append(
            {'width': width, 'height': height, 'pixels': width * height} | _typical(times[2:])
        )
    return rows


def _typical(times: Sequence[dict[str, float]]) -> dict[str, float]:
    """A low percentile of each stage under `NAME_ms`, and their sum under `total_ms`."""
    typical = {
        f'{name}_ms': float(np.percentile([row[name] for row in times], PERCENTILE))
        for name in times[0]
    }
    if len(typical) > 1:
        typical['total_ms'] = sum(typical.values())
    return {name: round(value, 4) for name, value in typical.items()}


def exponents(rows: Rows, of: str, least: float = 0) -> dict[str, float]:
    """Powers of `of` with which the times of the rows grow, those rows with at least `least`.

    Slope of the straight line through the logarithms; empty for less than two rows.
    """
    fitted = [row for row in rows if row[of] >= least]
    if len({row[of] for row in fitted}) < 2:
        return {}
    x = np.log([row[of] for row in fitted])
    return {
        name.removesuffix('_ms'): round(
            float(np.polyfit(x, np.log([row[name] for row in fitted]), 1)[0]), 3
        )
        for name in fitted[0]
        if name.endswith('_ms')
    }


def print_table(title: str, rows: Rows, powers: dict[str, float]) -> None:
    """The rows as columns of equal width, and the exponents below."""
    names = list(rows[0])
    print(f'\n{title}')
    print('  '.join(f'{name.removesuffix("_ms"):>13}' for name in names))
    for row in rows:
        cells = [f'{v:.3f}' if isinstance(v, float) else str(v) for v in row.values()]
        print('  '.join(f'{cell:>13}' for cell in cells))
    if powers:
        known = [powers.get(name.removesuffix('_ms')) for name in names]
        cells = ['exponent', *('' if power is None else f'{power:.2f}' for power in known[1:])]
        print('  '.join(f'{cell:>13}' for cell in cells))


def first_images(video: Path) -> tuple[Image, Image]:
    """The first two images of a recording.

    Raises:
        ValueError: it has fewer.
    """
    found: list[Image] = []
    for frame in open_source(video):
        found.append(frame.image)
        if len(found) == 2:
            return found[0], found[1]
    raise ValueError(f'{video}: expected at least two images, found {len(found)}')


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--video', type=Path, default=DEFAULT_VIDEO, help='content of the images')
    parser.add_argument('--model', default=Settings().model)
    parser.add_argument('--engine', default='auto')
    parser.add_argument('--precision', default='auto')
    parser.add_argument('--threads', type=int, default=0, help='of the engine, 0 = all cores')
    parser.add_argument('--objects', type=int, nargs='+', default=OBJECTS, metavar='N')
    parser.add_argument('--images', nargs='+', default=IMAGES, metavar='WIDTHxHEIGHT')
    parser.add_argument('--inputs', type=float, nargs='+', default=INPUT_SCALES, metavar='SCALE')
    parser.add_argument('--repeats', type=int, default=60, help='images for each row')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw them, .png or .svg')
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    options = parse(arguments)
    names = ('model', 'engine', 'precision', 'threads')
    pipeline = build_pipeline(Settings.from_mapping({n: getattr(options, n) for n in names}))
    spec, repeats = pipeline.spec, options.repeats
    message = message_builder(spec.classes)
    parts: dict[str, tuple[str, Callable[[], Rows], str, float]] = {
        'objects': (
            f'crowds in {CROWD_IMAGE[1]}x{CROWD_IMAGE[0]}, milliseconds per image'
            + ('' if message else ' (no ROS: no messages)'),
            lambda: measure_objects(pipeline, options.objects, repeats, message),
            'objects',
            LEAST_FITTED,
        ),
        'images': (
            'images, milliseconds (the size of the network input hardly changes)',
            lambda: measure_images(spec, first_images(options.video), options.images, repeats),
            'pixels',
            0,
        ),
        'network': (
            f'network inputs, {pipeline.engine.name}, milliseconds',
            lambda: measure_network(pipeline, options.inputs, max(5, repeats // 4)),
            'pixels',
            0,
        ),
    }
    document: dict[str, Any] = {'benchmark': 'scaling', 'exponents': {}}
    for name, (title, measured, of, least) in parts.items():
        document[name] = measured()
        document['exponents'][name] = exponents(document[name], of, least)
        print_table(title, document[name], document['exponents'][name])
    document |= {'engine': pipeline.engine.name, 'environment': environment()}
    pipeline.engine.close()
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + '\n', encoding='utf-8')
    if options.plot:
        write_plot(document, options.plot)
    return 0


if __name__ == '__main__':
    sys.exit(main())
