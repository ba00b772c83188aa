"""Contact sheets of training samples, for people to look at.

    python -m training.data.preview --config FILE --output DIR [key=value ...]
    python -m training.data.preview --data ../shared/data --output DIR [--source synthetic]

The first shows what a training with this configuration would see, the second the project's own
mix. Each sample is two pictures side by side: the previous one with the prior heatmap over it,
the current one with the peaks, boxes, class names, joints, shapes, and arrows to where the
objects were.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Subset

from centertrack_ros.datatypes import FloatArray, Image
from centertrack_ros.model_spec import EdgeRule
from training.augment import AugmentSettings
from training.config_file import load_config
from training.data.build import build_training_set, build_validation_pairs, target_settings
from training.data.dataset import Sample, TrackingDataset
from training.data.sources import DataSettings, build_sources
from training.experiment import model_spec
from training.targets import PriorNoise, TargetSettings, targets_to_detections

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
# Samples, names of the classes, shapes and rules of the targets.
Shown: TypeAlias = tuple[Dataset[Sample], Sequence[str], TargetSettings]
SAMPLES_PER_ROW = 2
_SHAPES_SHARE = 0.4
_JOINT_COLOUR = (255, 255, 255)
_NO_JOINTS = np.zeros((0, 2), np.float32)


def draw_sample(
    sample: Arrays,
    class_names: Sequence[str],
    stride: int = 4,
    edges: EdgeRule = 'distances',
) -> Image:
    """Previous and current picture of a sample side by side (H, 2 W, 3), annotated.

    Args:
        sample: of `training.data.dataset`, with the heads `reg` and `wh`, or `ltrb`.
        class_names: of its classes.
        stride: pixels per cell.
        edges: what `ltrb` holds, see `TargetRules.edges`.
    """
    previous = overlay_heatmap(sample['previous_image'], sample['prior_heatmap'][0])
    current = _with_shapes(overlay_heatmap(sample['image'], _shown_heatmap(sample['hm'])), sample)
    found = targets_to_detections(sample, edges)
    boxes = np.round(found['boxes'] * stride).astype(int).tolist()
    centers = np.round(found['centers'] * stride).astype(int).tolist()
    for row, box in enumerate(boxes):
        index = int(found['classes'][row])
        colour = _colour(index)
        cv2.rectangle(current, box[:2], box[2:], colour, 1)
        corner = (box[0], box[1] + 9)
        cv2.putText(current, class_names[index], corner, cv2.FONT_HERSHEY_PLAIN, 0.7, colour)
        cv2.circle(current, centers[row], 2, colour, -1)
    for x, y in (
        np.round(found.get('hps', _NO_JOINTS).reshape(-1, 2) * stride).astype(int).tolist()
    ):
        if x or y:  # 0 where the joint is unknown
            cv2.circle(current, (x, y), 2, _JOINT_COLOUR, -1)
    if 'tracking' in found:
        known = sample['tracking_mask'][sample['mask'] > 0, 0] > 0
        places = np.round((found['cells'] + found['tracking']) * stride).astype(int).tolist()
        for row in np.flatnonzero(known):
            colour = _colour(int(found['classes'][row]))
            cv2.arrowedLine(current, centers[row], places[row], (0, 255, 255), 1, tipLength=0.2)
            cv2.circle(previous, places[row], 2, colour, -1)
    return np.hstack([previous, current])


def _with_shapes(image: Image, sample: Arrays) -> Image:
    """`image` with the masks of the objects over it in green."""
    if 'masks' not in sample:
        return image
    height, width = image.shape[:2]
    shapes = sample['masks'].max(axis=0, initial=0.0)
    shown = cv2.resize(shapes, (width, height), interpolation=cv2.INTER_NEAREST)[..., None]
    green = np.array([0, 255, 0], np.float32)
    share = _SHAPES_SHARE * shown
    return np.clip(image * (1 - share) + share * green, 0, 255).astype(np.uint8)


def overlay_heatmap(image: Image, heatmap: FloatArray) -> Image:
    """`image` with `heatmap`, in [0, 1] and of any size, over it in red."""
    height, width = image.shape[:2]
    heat = cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_NEAREST)[..., None]
    red = np.array([0, 0, 255], np.float32)
    return np.clip(image * (1 - 0.5 * heat) + 0.5 * heat * red, 0, 255).astype(np.uint8)


def _shown_heatmap(heatmap: FloatArray) -> FloatArray:
    """Highest value over the classes, without channels that are ignored as a whole."""
    learnt = heatmap[heatmap.min(axis=(1, 2)) < 1]
    shown: FloatArray = learnt.max(axis=0, initial=0.0)
    return shown


def _colour(number: int) -> tuple[int, int, int]:
    hue = np.array([[[number * 37 % 180, 200, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def sheets(
    samples: Dataset[Sample], class_names: Sequence[str], rows: int, targets: TargetSettings
) -> Iterator[Image]:
    """Pictures of all samples, `SAMPLES_PER_ROW` beside and `rows` below each other on a sheet."""
    per_sheet = rows * SAMPLES_PER_ROW
    for sheet in range(len(samples) // per_sheet):  # type: ignore[arg-type]
        tiles = [
            draw_sample(samples[index], class_names, targets.stride, edges=targets.rules.edges)
            for index in range(sheet * per_sheet, (sheet + 1) * per_sheet)
        ]
        places = range(0, per_sheet, SAMPLES_PER_ROW)
        yield np.vstack([np.hstack(tiles[place : place + SAMPLES_PER_ROW]) for place in places])


def _own_data(options: argparse.Namespace) -> Shown:
    """The mix of the project."""
    shares = {'stills': (1.0, 0.0), 'synthetic': (0.0, 1.0), 'both': (0.5, 0.5)}[options.source]
    settings = DataSettings(
        root=options.data,
        input_height=options.height,
        input_width=options.width,
        still_share=shares[0],
        synthetic_share=shares[1],
    )
    sources, weights, class_names = build_sources(settings)
    targets = TargetSettings(options.height, options.width, len(class_names))
    dataset = TrackingDataset(
        sources,
        weights,
        epoch_length=_sample_count(options),
        seed=options.seed,
        targets=targets,
        augmentation=AugmentSettings(),
        prior_noise=PriorNoise(),
    )
    return dataset, class_names, targets


def _configured_data(options: argparse.Namespace) -> Shown:
    """What a training with a configuration would see first, or what it is validated with."""
    config = load_config(options.config, options.overrides)
    spec = model_spec(config)
    build = build_validation_pairs if options.validation else build_training_set
    dataset = build(config, spec)
    # From the start again where there are fewer samples.
    shown = [place % len(dataset) for place in range(_sample_count(options))]
    return Subset(dataset, shown), spec.classes, target_settings(config, spec)


def _sample_count(options: argparse.Namespace) -> int:
    count: int = options.sheets * options.rows * SAMPLES_PER_ROW
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the sheets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--config', type=Path, help='training configuration')
    parser.add_argument('--validation', action='store_true', help='its validation pairs instead')
    parser.add_argument('--data', type=Path, default=Path('../shared/data'), help='data folder')
    parser.add_argument('--output', type=Path, required=True, help='folder for the sheets')
    parser.add_argument('--sheets', type=int, default=4)
    parser.add_argument('--rows', type=int, default=3, help='rows of a sheet, two samples each')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--source', choices=('stills', 'synthetic', 'both'), default='both')
    parser.add_argument('--height', type=int, default=480)
    parser.add_argument('--width', type=int, default=640)
    parser.add_argument('overrides', nargs='*', metavar='key=value', help='with --config')
    options = parser.parse_args(arguments)
    try:
        samples, class_names, targets = (
            _configured_data(options) if options.config else _own_data(options)
        )
        options.output.mkdir(parents=True, exist_ok=True)
        pictures = sheets(samples, class_names, options.rows, targets)
        for number, picture in enumerate(pictures):
            cv2.imwrite(str(options.output / f'sheet_{number:02d}.png'), picture)
    except (FileNotFoundError, ValueError) as error:
        print(f'training.data.preview: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
