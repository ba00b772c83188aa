"""Metrics of a network in memory, for the validation of a training."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.settings import Settings
from training.evaluation.engines import TorchEngine
from training.evaluation.families import FAMILIES, applicable_families, score_families
from training.evaluation.runner import run_tracking
from training.evaluation.sets import EvaluationSet
from training.models.graph import TrackerGraph


def evaluate_network(
    network: nn.Module,
    spec: ModelSpec,
    sets: Sequence[EvaluationSet],
    *,
    device: str | torch.device = 'cpu',
) -> dict[str, float]:
    """All metrics that sets and model allow, at run time's defaults of the tracker.

    Args:
        network: with the weights to measure; a copy is run, it stays as it is.
        spec: of the network.
        sets: loaded with the classes and joints of `spec`.
        device: where the copy runs.

    Returns:
        Metrics over all classes: AP, AP50, ... of boxes; VOC_mAP of stills; HOTA, MOTA, IDF1, ...
        of videos; keypoint_AP, mask_AP and those of boxes in space where there are such. With
        several sets the mean over those that have a metric, and each one's own as `SET/METRIC`.

    Raises:
        FileNotFoundError, ValueError: see `runner.run_tracking` and the metrics.
    """
    if not sets:
        raise ValueError('sets: expected one or more, received none')
    names = distinct_names([evaluation_set.name for evaluation_set in sets])
    for evaluation_set in sets:
        if not applicable_families(evaluation_set, spec):
            raise ValueError(
                f'{evaluation_set.name}: no object of a class of the model to measure'
            )
    engine = TorchEngine(TrackerGraph(copy.deepcopy(network), spec), str(device))
    pipeline = assemble_pipeline(engine, spec, Settings())
    per_set = {}
    for name, evaluation_set in zip(names, sets, strict=True):
        results = run_tracking(pipeline, evaluation_set)
        families = applicable_families(evaluation_set, spec)
        per_set[name] = dict(score_families(families, evaluation_set, results).overall)
    if len(sets) == 1:
        return per_set[names[0]]
    metrics = {
        f'{name}/{metric}': value
        for name, values in per_set.items()
        for metric, value in values.items()
    }
    for metric in dict.fromkeys(metric for values in per_set.values() for metric in values):
        known = [values[metric] for values in per_set.values() if metric in values]
        metrics[metric] = float(np.mean(known))
    return metrics


def known_metrics(spec: ModelSpec, sets: Sequence[EvaluationSet]) -> frozenset[str]:
    """Names of all metrics that `evaluate_network` may return."""
    known: set[str] = set()
    names = distinct_names([evaluation_set.name for evaluation_set in sets])
    for name, evaluation_set in zip(names, sets, strict=True):
        families = applicable_families(evaluation_set, spec)
        metrics = [metric for family in families for metric in FAMILIES[family].metrics]
        known.update(metrics)
        if len(sets) > 1:
            known.update(f'{name}/{metric}' for metric in metrics)
    return frozenset(known)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names of sets, those that were there before with a number behind."""
    distinct: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in distinct:
            number += 1
            candidate = f'{name}_{number}'
        distinct.append(candidate)
    return distinct
