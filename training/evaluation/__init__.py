"""Evaluation of a model: the runtime's pipeline over labelled sets, and every metric of it."""

from training.evaluation.network import evaluate_network, known_metrics
from training.evaluation.runner import FrameResult, run_tracking
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet

__all__ = [
    'EvaluationSet',
    'FrameResult',
    'Scores',
    'evaluate_network',
    'known_metrics',
    'run_tracking',
]
