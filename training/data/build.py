"""From a training configuration to what the network learns from and is validated with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import Dataset

from centertrack_ros.model_spec import ModelSpec
from training.augment import NO_AUGMENTATION
from training.classes import COCO_CLASSES
from training.config import CocoSet, DataConfig, MixedSet, TrainConfig
from training.data.catalogue import missing_data_message
from training.data.chosen_classes import choose_classes
from training.data.coco_reader import ReadingRules
from training.data.coco_video import CocoVideoSource
from training.data.dataset import NO_NOISE, PreviousFramePairs, Sample, TrackingDataset
from training.data.faults import SetFaults
from training.data.head_fields import JOINT_HEADS, MASK_HEADS, SPACE_HEADS, check_fields
from training.data.images import ImageCache
from training.data.labels import PairSource
from training.data.mosaic import MosaicSource
from training.data.sources import DataSettings, build_sources
from training.experiment import config_rules
from training.targets import TargetSettings

VALIDATION_PAIRS = 64
# Far from the seeds that people try one after the other.
_VALIDATION_SEED = 1_000_000


@dataclass(frozen=True)
class SourceMix:
    """Sources, the weight and the name of each.

    Attributes:
        sources: of pairs.
        weights: shares of the samples, against each other.
        names: where in the configuration they come from, for complaints.
        faults: those of the sets that they are made of.
        frames: pictures of the sets.
    """

    sources: tuple[PairSource, ...] = ()
    weights: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    faults: tuple[SetFaults, ...] = ()
    frames: int = 0

    def __add__(self, other: SourceMix) -> SourceMix:
        return SourceMix(
            self.sources + other.sources,
            self.weights + other.weights,
            self.names + other.names,
            self.faults + other.faults,
            self.frames + other.frames,
        )


def build_training_set(config: TrainConfig, spec: ModelSpec) -> TrackingDataset:
    """All training pairs of the run that `config` describes.

    Raises:
        FileNotFoundError: data are not there; the text says where to get them.
        ValueError: data are malformed or do not fit the model.
    """
    mix = _training_mix(config, spec)
    _check_learnt(config, spec, mix)
    length = config.data.epoch_length or mix.frames
    if not length:
        raise ValueError('data.epoch_length: expected 1 or more, as no set has numbered images')
    dataset = TrackingDataset(
        mix.sources,
        mix.weights,
        epoch_length=length,
        epochs=config.loop.epochs,
        seed=config.seed,
        targets=target_settings(config, spec),
        augmentation=config.augmentation,
        prior_noise=config.prior_noise,
        faults=mix.faults,
    )
    for name, weight, count in zip(mix.names, mix.weights, dataset.item_counts, strict=True):
        if weight > 0 and not count:
            raise ValueError(
                f'{name}: its weight {weight:g} of {sum(mix.weights):g} is less than one of the '
                f'{length} samples of an epoch; raise it or data.epoch_length'
            )
    return dataset


def build_validation_pairs(config: TrainConfig, spec: ModelSpec) -> Dataset[Sample]:
    """A few fixed pairs without augmentation, to measure the loss with.

    Frames of the validation sets, each with exactly its previous one; without such sets pairs of
    the training sets from another seed.

    Raises:
        FileNotFoundError, ValueError: as `build_training_set`.
    """
    targets = target_settings(config, spec)
    if config.data.validation:
        cache = _cache(config.data)
        sources = [
            _coco_source(entry, f'data.validation[{number}]', config, spec, cache)
            for number, entry in enumerate(config.data.validation)
        ]
        return PreviousFramePairs(sources, VALIDATION_PAIRS, targets)
    mix = _training_mix(config, spec)
    return TrackingDataset(
        mix.sources,
        mix.weights,
        epoch_length=VALIDATION_PAIRS,
        seed=config.seed + _VALIDATION_SEED,
        targets=targets,
        augmentation=NO_AUGMENTATION,
        prior_noise=NO_NOISE,
        faults=mix.faults,
    )


def target_settings(config: TrainConfig, spec: ModelSpec) -> TargetSettings:
    """Shapes and rules of the targets.

    Raises:
        ValueError: the size of the crops is no multiple of 32.
    """
    rules = config_rules(config)
    height, width = crop_size(config.data, spec)
    return TargetSettings(
        height,
        width,
        class_count=len(spec.classes),
        stride=spec.stride,
        prior_heatmap_stride=spec.prior_heatmap_stride,
        max_objects=config.data.max_objects,
        radius_rule=rules.radius_rule,
        heads=spec.heads,
        joint_count=len(spec.joints),
        rules=rules.targets,
    )


def crop_size(data: DataConfig, spec: ModelSpec) -> tuple[int, int]:
    """(height, width) in pixels of what the network is trained on.

    Raises:
        ValueError: no multiple of 32.
    """
    size = (data.crop_height or spec.input_height, data.crop_width or spec.input_width)
    for name, value in zip(('crop_height', 'crop_width'), size, strict=True):
        if value < 32 or value % 32:
            raise ValueError(f'data.{name}: expected 0 or a multiple of 32, received {value}')
    return size


def reading_rules(entry: CocoSet, config: TrainConfig, spec: ModelSpec) -> ReadingRules:
    """What is read of a set for the heads of the model."""
    heads = set(spec.heads)
    return ReadingRules(
        skipped_categories=entry.skip_categories,
        joint_names=spec.joints if heads & JOINT_HEADS else (),
        outlines=bool(heads & MASK_HEADS),
        boxes_3d=bool(heads & SPACE_HEADS),
        lenient=config.compat,
        faults=config.data.faults,
    )


def _training_mix(config: TrainConfig, spec: ModelSpec) -> SourceMix:
    cache = _cache(config.data)
    if not config.data.train:
        raise ValueError('data.train: expected a set or more, received none')
    mix = SourceMix()
    for number, entry in enumerate(config.data.train):
        name = f'data.train[{number}]'
        if entry.kind == 'coco':
            mix += _coco_mix(entry, name, config, spec, cache)
        else:
            mix += _own_mix(entry, name, config, spec, cache)
    return mix


def _check_learnt(config: TrainConfig, spec: ModelSpec, mix: SourceMix) -> None:
    sets = [source for source in mix.sources if isinstance(source, CocoVideoSource)]
    check_fields(
        spec.heads,
        config.losses,
        [[record.labels for record in source.records] for source in sets],
    )


def _coco_mix(
    entry: CocoSet, name: str, config: TrainConfig, spec: ModelSpec, cache: ImageCache
) -> SourceMix:
    """A set, and mosaics of it."""
    source = _coco_source(entry, name, config, spec, cache)
    weight = entry.weight or float(len(source))
    return SourceMix(
        (source, MosaicSource(source, *crop_size(config.data, spec))),
        (weight * (1 - entry.mosaic), weight * entry.mosaic),
        (name, f'{name}.mosaic'),
        (source.faults,),
        len(source),
    )


def _coco_source(
    entry: CocoSet, name: str, config: TrainConfig, spec: ModelSpec, cache: ImageCache
) -> CocoVideoSource:
    annotations, images = Path(entry.annotations), Path(entry.images)
    for path, present in ((annotations, annotations.is_file()), (images, images.is_dir())):
        if not present:
            raise FileNotFoundError(f'{name}: {missing_data_message(entry.source, path)}')
    source = CocoVideoSource(
        annotations,
        images,
        spec.classes,
        max_frame_distance=config.data.max_frame_distance,
        rules=reading_rules(entry, config, spec),
        cache=cache,
    )
    if not len(source):
        raise ValueError(f'{name}: {annotations} has no images')
    return source


def _own_mix(
    entry: MixedSet, name: str, config: TrainConfig, spec: ModelSpec, cache: ImageCache
) -> SourceMix:
    if not set(spec.classes) <= set(COCO_CLASSES):
        raise ValueError(
            f'{name}: this mix has the classes of COCO; expected model.classes: coco, or some of '
            f'them, received {spec.classes}'
        )
    height, width = crop_size(config.data, spec)
    sources, weights, class_names = build_sources(
        DataSettings(
            Path(entry.root),
            height,
            width,
            still_share=entry.still_share,
            synthetic_share=1 - entry.still_share,
            max_frame_distance=config.data.max_frame_distance,
        ),
        cache,
    )
    total = sum(weights)
    shares = [entry.weight * weight / total for weight in weights]
    chosen = tuple(choose_classes(source, class_names, spec.classes) for source in sources)
    return SourceMix(chosen, tuple(shares), (name,) * len(sources))


def _cache(data: DataConfig) -> ImageCache:
    return ImageCache(data.cache_mb << 20)
