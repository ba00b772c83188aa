"""Our tracker as it ships, and with one part taken away: each a real pipeline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.engines.base import Engine
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.settings import Settings
from centertrack_ros.tracker.robust import RobustTracker
from centertrack_ros.tracker.tuning import Tuning

Inputs = tuple[Image, Image, FloatArray]


@dataclass(frozen=True)
class Variant:
    """One way to run our pipeline.

    Attributes:
        key: for the command line and files.
        title: for tables.
        settings: parameters that differ from the defaults.
        inputs: changes image, previous image and prior heatmap before the network sees them.
        outputs: changes the candidates before they are decoded.
        tuning: constants of the default method that differ.
    """

    key: str
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Callable[[Image, Image, FloatArray], Inputs] | None = None
    outputs: Callable[[Candidates], Candidates] | None = None
    tuning: Mapping[str, Any] = field(default_factory=dict)


def _without_prior_heatmap(image: Image, previous: Image, prior_heatmap: FloatArray) -> Inputs:
    return image, previous, np.zeros_like(prior_heatmap)


def _without_previous_image(image: Image, previous: Image, prior_heatmap: FloatArray) -> Inputs:
    return image, image, prior_heatmap


def _without_offsets(candidates: Candidates) -> Candidates:
    return replace(candidates, tracking=np.zeros_like(candidates.tracking))


# What its name alone would not say well enough.
_TITLES = {
    'use_low_scores': 'ours without low-score recovery',
    'use_camera': 'ours without camera-motion compensation',
    'coast': 'ours without coasting',
    'low_score_life': 'ours without a limit to low scores',
    'good_margin': 'ours without margin of good scores',
    'turn_cost': 'ours without cost of turning back',
    'score_cost': 'ours without cost of other scores',
    'weak_noise': 'ours without noise by score',
    'weak_smoothing': 'ours without smoothing of weak boxes',
    'hidden_time': 'ours without reports of the hidden',
}
# Parts without a switch of their own, and the value that takes them away.
_OFF_VALUES = {
    'low_score_life': math.inf,
    'good_margin': 0.0,
    'turn_cost': 0.0,
    'score_cost': 0.0,
    'weak_noise': 0.0,
    'weak_smoothing': 0.0,
    'hidden_time': 0.0,
}
# The same as the row with zeroed offsets.
_OTHERWISE_SHOWN = ('use_offsets',)


def variants() -> dict[str, Variant]:
    """All of them by key, the shipped one first; each part of `Tuning` gives one."""
    rows = [
        Variant('ours', 'ours'),
        Variant('greedy', "ours, original's greedy rule", {'tracker_method': 'centertrack'}),
        Variant('no_prior_heatmap', 'ours without prior heatmap', inputs=_without_prior_heatmap),
        Variant(
            'no_previous_image', 'ours without previous image', inputs=_without_previous_image
        ),
        Variant('no_offsets', 'ours with zeroed offsets', outputs=_without_offsets),
    ]
    for part in fields(Tuning):
        off = False if part.default is True else _OFF_VALUES.get(part.name)
        if off is not None and part.name not in _OTHERWISE_SHOWN:
            name = part.name.removeprefix('use_')
            title = _TITLES.get(part.name, f'ours without {name.replace("_", " ")}')
            rows.append(Variant(f'no_{name}', title, tuning={part.name: off}))
    return {row.key: row for row in rows}


def build_variant(
    variant: Variant, engine: Engine, spec: ModelSpec, settings: Settings
) -> TrackingPipeline:
    """The pipeline of a variant.

    Args:
        variant: what differs.
        engine: runs the model; variants may share it as they take turns.
        spec: of the model.
        settings: of the shipped tracker; `variant.settings` go over them.
    """
    pipeline = assemble_pipeline(
        _ChangedEngine(engine, variant), spec, replace(settings, **variant.settings)
    )
    if variant.tuning:
        tuning = replace(Tuning(), **variant.tuning)
        pipeline.tracker = RobustTracker(pipeline.tracker.parameters, tuning)
    return pipeline


class _ChangedEngine:
    """An engine whose inputs or outputs are changed as a variant says."""

    def __init__(self, engine: Engine, variant: Variant) -> None:
        self._engine = engine
        self._variant = variant
        self.name = engine.name
        self.device = engine.device

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """See `engines.base.Engine.run`."""
        inputs = image, previous_image, prior_heatmap
        if self._variant.inputs is not None:
            inputs = self._variant.inputs(*inputs)
        candidates = self._engine.run(*inputs)
        return candidates if self._variant.outputs is None else self._variant.outputs(candidates)

    def close(self) -> None:
        """The engine is shared: whoever made it closes it."""
