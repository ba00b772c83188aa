"""`keypoints.json`: the joints of a replay as key point results of COCO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.replay.records import FrameRecord

# Third number of a joint, as in COCO's labels.
UNKNOWN, GUESSED, VISIBLE = 0, 1, 2


def write_keypoints(path: Path, records: Sequence[FrameRecord]) -> None:
    """Write the file: a list with an entry for each person in each image.

    Its keys are those of COCO's results (`image_id` counts from 1, `category_id` is the class of
    the model from 1, `keypoints` x, y and flag of each joint, `score` of the person), and beside
    them `track_id` and `joint_scores`. Flags: 2 = visible; 1 = where the network guesses it, with
    a score below the threshold; 0 = not known (a live replay knows visible ones only).

    Args:
        path: .json file.
        records: one per image; those without joints have no entries.
    """
    entries = [
        entry
        for number, record in enumerate(records, start=1)
        for entry in _entries(number, record)
    ]
    # One person a line: people look for one, and indented numbers fill pages.
    lines = ',\n'.join(json.dumps(entry, allow_nan=False) for entry in entries)
    path.write_text(f'[\n{lines}\n]\n' if entries else '[]\n', encoding='utf-8')


def _entries(image_id: int, record: FrameRecord) -> list[dict[str, Any]]:
    tracks, joints = record.tracks, record.joints
    if joints is None:
        return []
    flags = np.where(joints.visible, VISIBLE, np.where(joints.scores > 0, GUESSED, UNKNOWN))
    # As float64, in which a rounded number has few digits.
    places = joints.positions.astype(np.float64).round(2)
    scores = joints.scores.astype(np.float64).round(4)
    return [
        {
            'image_id': image_id,
            'category_id': int(tracks.classes[row]) + 1,
            'track_id': int(tracks.ids[row]),
            'score': round(float(tracks.scores[row]), 4),
            'keypoints': [
                number
                for (x, y), flag in zip(places[row].tolist(), flags[row].tolist(), strict=True)
                for number in (x, y, flag)
            ],
            'joint_scores': scores[row].tolist(),
        }
        for row in range(len(tracks))
    ]
