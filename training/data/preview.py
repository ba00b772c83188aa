"""Contact sheets of training samples, for people to look at.

    python -m training.data.preview --data ../shared/data --output DIR [--source synthetic]

Each sample is two pictures side by side: the previous one with the prior heatmap over it, the
current one with boxes, class names, and arrows to where the objects were.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from centertrack_ros.datatypes import FloatArray, Image
from training.augment import AugmentSettings
from training.data.dataset import Sample, TrackingDataset
from training.data.sources import DataSettings, build_sources
from training.targets import PriorNoise, TargetSettings, targets_to_detections


def draw_sample(sample: Sample, class_names: Sequence[str], stride: int = 4) -> Image:
    """Previous and current picture of a sample side by side (H, 2 W, 3), annotated."""
    previous = overlay_heatmap(sample['previous_image'], sample['prior_heatmap'][0])
    current = overlay_heatmap(sample['image'], _shown_heatmap(sample['hm']))
    found = targets_to_detections(sample)
    boxes = np.round(found['boxes'] * stride).astype(int).tolist()
    centers = np.round(found['centers'] * stride).astype(int).tolist()
    places = np.round((found['cells'] + found['tracking']) * stride).astype(int).tolist()
    moved = sample['tracking_mask'][sample['mask'] > 0, 0] > 0
    for row, box in enumerate(boxes):
        index = int(found['classes'][row])
        colour = _colour(index)
        cv2.rectangle(current, box[:2], box[2:], colour, 1)
        corner = (box[0], box[1] + 9)
        cv2.putText(current, class_names[index], corner, cv2.FONT_HERSHEY_PLAIN, 0.7, colour)
        cv2.circle(current, centers[row], 2, colour, -1)
        if moved[row]:
            cv2.arrowedLine(current, centers[row], places[row], (0, 255, 255), 1, tipLength=0.2)
            cv2.circle(previous, places[row], 2, colour, -1)
    return np.hstack([previous, current])


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=Path('../shared/data'), help='data folder')
    parser.add_argument('--output', type=Path, required=True, help='folder for the sheets')
    parser.add_argument('--sheets', type=int, default=4)
    parser.add_argument('--rows', type=int, default=3, help='rows of a sheet, two samples each')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--source', choices=('stills', 'synthetic', 'both'), default='both')
    parser.add_argument('--height', type=int, default=480)
    parser.add_argument('--width', type=int, default=640)
    options = parser.parse_args(arguments)
    shares = {'stills': (1.0, 0.0), 'synthetic': (0.0, 1.0), 'both': (0.5, 0.5)}[options.source]
    settings = DataSettings(
        root=options.data,
        input_height=options.height,
        input_width=options.width,
        still_share=shares[0],
        synthetic_share=shares[1],
    )
    sources, weights, class_names = build_sources(settings)
    dataset = TrackingDataset(
        sources,
        weights,
        length=options.sheets * options.rows * 2,
        seed=options.seed,
        targets=TargetSettings(options.height, options.width, len(class_names)),
        augmentation=AugmentSettings(),
        prior_noise=PriorNoise(),
    )
    options.output.mkdir(parents=True, exist_ok=True)
    drawn = [draw_sample(dataset[index], class_names) for index in range(len(dataset))]
    per_sheet = options.rows * 2
    for sheet in range(options.sheets):
        tiles = drawn[sheet * per_sheet : (sheet + 1) * per_sheet]
        rows = [np.hstack(tiles[row : row + 2]) for row in range(0, per_sheet, 2)]
        cv2.imwrite(str(options.output / f'sheet_{sheet:02d}.png'), np.vstack(rows))


if __name__ == '__main__':
    main()
