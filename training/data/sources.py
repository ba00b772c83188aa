"""Builds the project's own mix of training sources from the folders of the data root."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from training.data.backgrounds import GroundBackgrounds, MixedBackgrounds, PhotoBackgrounds
from training.data.coco_video import CocoVideoSource
from training.data.cutouts import (
    CutoutLibrary,
    Part,
    coco_polygon_entries,
    numbered_mask_entries,
    person_crop_entries,
)
from training.data.images import ImageCache
from training.data.labels import PairSource
from training.data.mask_folder import PENN_FUDAN_COMPLETE, MaskFolderSource
from training.data.mosaic import MosaicSource
from training.data.synthetic import SyntheticSettings, SyntheticSource


@dataclass(frozen=True)
class DataSettings:
    """Where the data lie and how they are mixed.

    Attributes:
        root: folder with `coco128` and `cutouts`.
        input_height, input_width: pixels of the network input; synthetic frames have this size.
        splits: the image sets of `coco128` to use; cut-outs come from `train2017` only, the
            other one has no polygons.
        part: which photos with people to paste, see `cutouts.masked_photos`; `held_out` goes
            with the split `val2017`, and no thing is cut out of COCO then.
        still_share, synthetic_share: weights of pairs of stills and of synthetic scenes.
        mosaic_share: share of mosaics among the stills.
        street_share: share of Penn-Fudan's photos among the stills.
        max_things: most things in a synthetic scene.
        max_frame_distance: frames of a pair are nearer than this.
    """

    root: Path
    input_height: int
    input_width: int
    splits: tuple[str, ...] = ('train2017',)
    part: Part = 'training'
    still_share: float = 0.4
    synthetic_share: float = 0.6
    mosaic_share: float = 0.3
    street_share: float = 0.15
    max_things: int = 25
    max_frame_distance: int = 3


def build_sources(
    settings: DataSettings, cache: ImageCache | None = None
) -> tuple[list[PairSource], list[float], tuple[str, ...]]:
    """Sources, their weights, and the class names in the order of COCO's category ids.

    Args:
        settings: what is mixed.
        cache: decoded pictures; may be shared with other sources.

    Raises:
        FileNotFoundError: a part of the data root does not exist.
    """
    cache = cache if cache is not None else ImageCache()
    class_names = _class_names(settings)
    stills = [_coco(settings, split, cache) for split in settings.splits]
    images = sum(len(source) for source in stills)
    plain_share = 1 - settings.mosaic_share - settings.street_share
    shares: list[tuple[PairSource, float]] = [
        *((source, plain_share * len(source) / images) for source in stills),
        (
            MosaicSource(stills[0], settings.input_height, settings.input_width),
            settings.mosaic_share,
        ),
        (
            MaskFolderSource(
                _streets(settings),
                class_names,
                PENN_FUDAN_COMPLETE,
                part=settings.part,
                cache=cache,
            ),
            settings.street_share,
        ),
    ]
    sources = [source for source, _ in shares]
    weights = [settings.still_share * share for _, share in shares]
    if settings.synthetic_share > 0:
        sources.append(build_scenes(settings, cache))
        weights.append(settings.synthetic_share)
    return sources, weights, class_names


def build_scenes(settings: DataSettings, cache: ImageCache | None = None) -> SyntheticSource:
    """Synthetic scenes before wide photos of COCO and Penn-Fudan and on ground planes."""
    cache = cache if cache is not None else ImageCache()
    class_names = _class_names(settings)
    photos = _coco(settings, settings.splits[0], cache)
    streets = MaskFolderSource(
        _streets(settings),
        class_names,
        PENN_FUDAN_COMPLETE,
        only_complete=True,
        part=settings.part,
        cache=cache,
    )
    backgrounds = MixedBackgrounds(
        [
            PhotoBackgrounds(photos),
            PhotoBackgrounds(streets, largest_share=1.0, tallest_person=1.0),
            GroundBackgrounds(photos),
        ],
        [0.4, 0.12, 0.48],
    )
    return SyntheticSource(
        build_library(settings.root, class_names, settings.part),
        backgrounds,
        class_names,
        SyntheticSettings(
            height=settings.input_height,
            width=settings.input_width,
            max_things=settings.max_things,
            max_frame_distance=settings.max_frame_distance,
        ),
    )


def build_library(
    root: Path, class_names: tuple[str, ...], part: Part = 'training'
) -> CutoutLibrary:
    """All cut-outs of the data root, or those that training does not see.

    The walkers of Penn-Fudan weigh more: they are what trackers see, while Clothing Co-Parsing
    is people who pose.
    """
    entries = [
        *person_crop_entries(root / 'cutouts' / 'clothing_co_parsing', part=part),
        *numbered_mask_entries(root / 'cutouts' / 'penn_fudan', weight=3.0, part=part),
    ]
    if part != 'held_out':
        coco = root / 'coco128'
        entries += coco_polygon_entries(
            coco / 'annotations' / 'instances_train2017.json',
            coco / 'images' / 'train2017',
            class_names,
        )
    return CutoutLibrary(entries)


def category_names(annotation_path: Path) -> tuple[str, ...]:
    """Names of a COCO file's categories in the order of their ids."""
    content = json.loads(annotation_path.read_text(encoding='utf-8'))
    ordered = sorted(content['categories'], key=lambda category: category['id'])
    return tuple(category['name'] for category in ordered)


def _coco(settings: DataSettings, split: str, cache: ImageCache) -> CocoVideoSource:
    return CocoVideoSource(
        _annotations(settings, split),
        settings.root / 'coco128' / 'images' / split,
        _class_names(settings),
        max_frame_distance=settings.max_frame_distance,
        cache=cache,
    )


def _class_names(settings: DataSettings) -> tuple[str, ...]:
    return category_names(_annotations(settings, settings.splits[0]))


def _annotations(settings: DataSettings, split: str) -> Path:
    return settings.root / 'coco128' / 'annotations' / f'instances_{split}.json'


def _streets(settings: DataSettings) -> Path:
    return settings.root / 'cutouts' / 'penn_fudan'
