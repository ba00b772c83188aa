"""How long engines take for one image, measured in turns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median

import cv2
import numpy as np

from centertrack_ros.datatypes import FloatArray, Image
from centertrack_ros.engines.base import Engine, expected_inputs
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.rendering import render_peaks

_WARM_UPS = 3
# What another program does in one turn hits every engine alike.
_TURNS = 5
_CALLS_PER_TURN = 5
# Slow networks need fewer calls for the same certainty.
_LONGEST_TURN_S = 0.4
_OBJECTS = 12


def warm_up(engine: Engine, spec: ModelSpec) -> None:
    """Run an engine a few times: the first runs allocate, compile and upload."""
    images, prior = _sequence(spec)
    for index in range(_WARM_UPS):
        engine.run(images[index], images[max(index - 1, 0)], prior)


def measure(engines: Mapping[str, Engine], spec: ModelSpec) -> dict[str, float]:
    """Median milliseconds of one call of each engine, on a sequence of a few images.

    Takes 25 calls per engine, fewer of a slow one.

    Args:
        engines: name -> engine that runs the model of `spec`, warmed up.
        spec: gives the size of the inputs.

    Returns:
        Name -> milliseconds.
    """
    images, prior = _sequence(spec)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(_TURNS):
        for name, engine in engines.items():
            end = time.perf_counter() + _LONGEST_TURN_S
            for index in range(1, _CALLS_PER_TURN + 1):
                start = time.perf_counter()
                engine.run(images[index], images[index - 1], prior)
                stop = time.perf_counter()
                # Threads of the engine before may still be waiting for work during the first.
                if index > 1 or stop > end:
                    times[name].append((stop - start) * 1e3)
                if stop > end:
                    break
    return {name: median(values) for name, values in times.items()}


def _sequence(spec: ModelSpec) -> tuple[list[Image], FloatArray]:
    """Smooth images that move, as a camera's do, and a prior heatmap with objects."""
    generator = np.random.default_rng(0)
    height, width = spec.input_height, spec.input_width
    steps = _CALLS_PER_TURN + 1
    coarse = generator.integers(0, 256, (height // 16, (width + 8 * steps) // 16, 3), np.uint8)
    scene = cv2.resize(coarse, (width + 8 * steps, height), interpolation=cv2.INTER_CUBIC)
    images: list[Image] = [
        np.ascontiguousarray(scene[None, :, 8 * step : 8 * step + width], np.uint8)
        for step in range(steps)
    ]
    shape = expected_inputs(spec).get('prior_heatmap', (np.float32, (1, 1, 1, 1)))[1]
    rows, columns = shape[2:]
    centres = generator.uniform((0, 0), (columns, rows), (_OBJECTS, 2))
    radii = np.full(_OBJECTS, max(1, rows // 20))
    return images, render_peaks(centres, radii, np.ones(_OBJECTS), (rows, columns))[None, None]
