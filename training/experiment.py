"""From a training configuration to the parts of a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.augment import NO_AUGMENTATION, AugmentSettings
from training.classes import COCO_CLASSES
from training.config import TrainConfig
from training.data.dataset import NO_NOISE, TrackingDataset
from training.data.sources import DataSettings, build_sources
from training.models.mb3_centernet import load_mb3_centernet
from training.models.mobilenetv3 import MobileNetV3CenterTrack, grow_tracker
from training.rules import CORRECTED, Rules, original_rules
from training.targets import PriorNoise, TargetSettings

VALIDATION_PAIRS = 64
HEADS = {'hm': len(COCO_CLASSES), 'ltrb': 4, 'reg': 2, 'tracking': 2}


def config_rules(config: TrainConfig) -> Rules:
    """The rules that `config` asks for."""
    if config.compat:
        return original_rules()
    return replace(CORRECTED, radius_rule=config.radius_rule)


def model_spec(config: TrainConfig) -> ModelSpec:
    """The ModelSpec of the model that `config` trains."""
    rules = config_rules(config)
    return ModelSpec(
        name=config.name,
        architecture=config.architecture,
        input_height=config.input_height,
        input_width=config.input_width,
        resize=rules.resize,
        stride=4,
        max_candidates=config.max_candidates,
        classes=COCO_CLASSES,
        heads=HEADS,
        box='ltrb',
        radius_rule=rules.radius_rule,
        prior_heatmap_stride=4,
        thresholds=Thresholds(**config.thresholds),
        licence=config.licence,
        decode=rules.decode,
        provenance=config.provenance,
    )


def start_network(config: TrainConfig, spec: ModelSpec) -> MobileNetV3CenterTrack:
    """The published detector, grown into the tracker that `spec` describes.

    Raises:
        ValueError: `spec` is of another architecture than the detector.
    """
    if spec.architecture != 'mobilenetv3':
        raise ValueError(
            f'architecture: training starts from a mobilenetv3, received {spec.architecture!r}'
        )
    network = grow_tracker(
        load_mb3_centernet(Path(config.start)),
        spec.heads,
        previous_image=spec.previous_image,
        prior_heatmap=spec.prior_heatmap,
    )
    if spec.decode.edges == 'offsets':
        # Its edges are distances; as offsets those to the left and to the top are negative.
        with torch.no_grad():
            for parameter in network.heads['ltrb'].pointwise.parameters():
                parameter[:2].neg_()
    return network


def build_dataset(config: TrainConfig, *, validation: bool) -> TrackingDataset:
    """Training pairs, or pairs from other seeds without augmentation to validate with."""
    rules = config_rules(config)
    size = (config.training_height, config.training_width)
    sources, weights, _ = build_sources(
        DataSettings(
            Path(config.data_root),
            *size,
            still_share=config.still_share,
            synthetic_share=1 - config.still_share,
        )
    )
    augmentation = AugmentSettings(
        smallest_scale=config.smallest_scale, largest_scale=config.largest_scale
    )
    return TrackingDataset(
        sources,
        weights,
        length=VALIDATION_PAIRS if validation else config.steps * config.batch_size,
        seed=config.seed + 1_000_000 if validation else config.seed,
        targets=TargetSettings(
            *size,
            class_count=len(COCO_CLASSES),
            heads=HEADS,
            radius_rule=rules.radius_rule,
            rules=rules.targets,
        ),
        augmentation=NO_AUGMENTATION if validation else augmentation,
        prior_noise=NO_NOISE if validation else PriorNoise(),
    )
