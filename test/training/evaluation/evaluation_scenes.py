"""A small set on disk whose pictures say their number, and an engine that knows the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from centertrack_ros.datatypes import Candidates
from centertrack_ros.model_spec import ModelSpec

HEIGHT, WIDTH = 96, 160
VIDEOS, FRAMES, OBJECTS = 2, 6, 3


def moving_boxes(video: int, frame: int) -> list[list[float]]:
    """Left, top, width, height of three objects of a video; frames count from 1."""
    return [
        [8.0 + 4 * frame, 10.0 + 4 * video, 30.0, 40.0],
        [90.0 - 3 * frame, 44.0, 36.0, 44.0],
        [120.0, 6.0 + 2 * frame, 24.0, 30.0],
    ]


def scene_content(frames: int = FRAMES) -> dict[str, Any]:
    """A COCO-video file of two videos; the third object of each is a car."""
    images, annotations = [], []
    for video in range(1, VIDEOS + 1):
        for frame in range(1, frames + 1):
            number = len(images) + 1
            images.append(
                {
                    'id': number,
                    'file_name': f'{number:03d}.png',
                    'height': HEIGHT,
                    'width': WIDTH,
                    'video_id': video,
                    'frame_id': frame,
                }
            )
            for index, box in enumerate(moving_boxes(video, frame)):
                annotations.append(
                    {
                        'id': len(annotations) + 1,
                        'image_id': number,
                        'category_id': 7 if index == 2 else 3,
                        'bbox': box,
                        'track_id': index + 1,
                    }
                )
    return {
        'categories': [{'id': 3, 'name': 'person'}, {'id': 7, 'name': 'car'}],
        'videos': [{'id': n, 'file_name': f'video{n}'} for n in range(1, VIDEOS + 1)],
        'images': images,
        'annotations': annotations,
    }


def write_scene(folder: Path, content: dict[str, Any]) -> Path:
    """`folder/annotations/val.json` and `folder/images`, whose pictures have one grey level."""
    (folder / 'annotations').mkdir(parents=True)
    (folder / 'images').mkdir()
    for image in content['images']:
        picture = np.full((image['height'], image['width'], 3), 2 * image['id'], np.uint8)
        cv2.imwrite(str(folder / 'images' / image['file_name']), picture)
    path = folder / 'annotations' / 'val.json'
    path.write_text(json.dumps(content))
    return path


class Oracle:
    """Reads the number of a picture from its grey level and returns its true objects.

    Attributes:
        spec: of the model that it stands for; the input has the size of the pictures.
        objects: picture id -> rows of left, top, width, height, class index, score, and x and y
            of the middle in the picture before.
    """

    name, device = 'oracle', 'cpu'

    def __init__(self, content: dict[str, Any], spec: ModelSpec) -> None:
        self.spec = spec
        self.calls = 0
        self.objects: dict[int, list[list[float]]] = {
            image['id']: [] for image in content['images']
        }
        names = {entry['id']: entry['name'] for entry in content['categories']}
        video_of = {image['id']: image.get('video_id', image['id']) for image in content['images']}
        before: dict[tuple[int, int], list[float]] = {}
        for entry in content['annotations']:
            if entry.get('iscrowd', 0) or names[entry['category_id']] not in spec.classes:
                continue
            number = entry['image_id']
            track = (video_of[number], entry.get('track_id', entry['id']))
            left, top, width, height = entry['bbox']
            middle = [left + width / 2, top + height / 2]
            class_index = spec.classes.index(names[entry['category_id']])
            row = [*entry['bbox'], class_index, 0.9, *before.get(track, middle)]
            self.objects[number].append(row)
            before[track] = middle

    def run(self, image, previous_image, prior_heatmap) -> Candidates:
        """Rows of the picture, best first, padded with rows of no score."""
        self.calls += 1
        number = round(int(image[0, image.shape[1] // 2, image.shape[2] // 2, 0]) / 2)
        rows = np.array(self.objects.get(number, []), np.float32).reshape(-1, 8)
        rows = rows[np.argsort(-rows[:, 5], kind='stable')]
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        corners = corners / self.spec.stride
        cells = np.floor((corners[:, :2] + corners[:, 2:]) / 2)
        return Candidates(
            scores=self._padded(rows[:, 5]),
            classes=self._padded(rows[:, 4], np.int64),
            cells=self._padded(cells),
            boxes=self._padded(corners),
            tracking=self._padded(rows[:, 6:] / self.spec.stride - cells),
            **self._more(number, len(rows)),
        )

    def _more(self, number: int, count: int) -> dict[str, Any]:
        """Optional rows of pictures; none here."""
        return {}

    def _padded(self, values: np.ndarray, dtype=np.float32) -> np.ndarray:
        result = np.zeros((1, self.spec.max_candidates, *values.shape[1:]), dtype)
        result[0, : len(values)] = values
        return result

    def close(self) -> None:
        """Nothing is held."""
