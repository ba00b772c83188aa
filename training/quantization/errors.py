"""How far the rows of a quantised model are from those of the model that it was made from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from centertrack_ros.datatypes import Candidates
from centertrack_ros.engines.base import candidates_from_outputs
from centertrack_ros.replay.metrics import overlaps
from training.quantization.samples import Inputs


def run_samples(model: ModelProto, samples: Sequence[Inputs], threads: int) -> list[Candidates]:
    """What the model says of each sample, in ONNX Runtime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )
    names = [entry.name for entry in session.get_outputs()]
    return [
        candidates_from_outputs(dict(zip(names, session.run(names, dict(sample)), strict=True)))
        for sample in samples
    ]


def row_error(
    reference: Sequence[Candidates], found: Sequence[Candidates], threshold: float
) -> float:
    """Mean error of the rows that are detections in one of two models; 0 is the same.

    Of each such row the best partner of its class in the other model counts: what its box lacks
    of full overlap, plus how far its score is off as a share of the larger one, plus how far its
    offset is off as a share of the box's size. Rows without a partner that overlaps by half count
    as 1. Rows weigh as much as their score: what is near the threshold matters little.

    Args:
        reference: of each sample.
        found: of the same samples.
        threshold: score of a detection.
    """
    total = weight = 0.0
    for first, second in zip(reference, found, strict=True):
        for one, other in ((first, second), (second, first)):
            errors, weights = _errors(one, other, threshold)
            total += float(errors @ weights)
            weight += float(weights.sum())
    return total / weight if weight else 0.0


def _errors(
    one: Candidates, other: Candidates, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors (N,) of the detections of `one`, and their weights."""
    chosen = one.scores[0] >= threshold
    weights = one.scores[0][chosen].astype(np.float64)
    boxes = one.boxes[0][chosen].astype(np.float64)
    shared = overlaps(boxes, other.boxes[0].astype(np.float64))
    shared[one.classes[0][chosen][:, None] != other.classes[0][None]] = 0.0
    if not weights.size:
        return np.zeros(0), weights
    partner = shared.argmax(axis=1)
    overlap = shared.max(axis=1)
    scores = other.scores[0][partner]
    of_scores = np.abs(scores - weights) / np.maximum(scores, weights)
    sizes = np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0), axis=1))
    moved = np.linalg.norm(one.tracking[0][chosen] - other.tracking[0][partner], axis=1) / sizes
    errors = np.minimum(1.0 - overlap + of_scores + moved, 1.0)
    return np.where(overlap < 0.5, 1.0, errors), weights
