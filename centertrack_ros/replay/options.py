"""Options of the replay's command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from centertrack_ros.replay.intrinsics import MEANING, OPTION
from centertrack_ros.replay.output import VIDEO_FILE
from centertrack_ros.settings import parameters


def replay_parser() -> argparse.ArgumentParser:
    """The parser of `python -m centertrack_ros.replay`."""
    choices = {row.name: row.choices for row in parameters()}
    parser = argparse.ArgumentParser(
        prog='python -m centertrack_ros.replay',
        description='Track a recording and report how well and how fast.',
    )
    parser.add_argument(
        'input',
        type=Path,
        metavar='INPUT',
        help='rosbag2, video file, image folder or MOT sequence folder',
    )
    parser.add_argument('--output', type=Path, required=True, metavar='DIR')
    parser.add_argument(
        '--mode',
        choices=('offline', 'live'),
        default='offline',
        help='offline: every image, as fast as possible, the same result every time; live: '
        'through DDS and the real node at the recorded rate',
    )
    parser.add_argument(
        '--rate', type=_rate, metavar='R', help='live: speed relative to the recording, default 1'
    )
    parser.add_argument(
        '--backdate',
        action='store_true',
        help='offline: report tracks from their first detection on, not from when the tracker is '
        'sure of them; no node can do that',
    )
    parser.add_argument('--gt', type=Path, metavar='FILE', help='ground truth, a MOT text file')
    parser.add_argument(
        '--gt-class', metavar='NAME', help='class of the ground truth, default person'
    )
    parser.add_argument('--model', metavar='M', help='name of a shipped model, or an .onnx file')
    parser.add_argument('--engine', choices=choices['engine'])
    parser.add_argument('--precision', choices=choices['precision'])
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='classes to track, default all of the model'
    )
    parser.add_argument(
        '--params-file', type=Path, metavar='F', help='parameters of the node as YAML'
    )
    parser.add_argument('--video', action='store_true', help=f'write {VIDEO_FILE} too')
    parser.add_argument(
        OPTION,
        nargs='+',
        metavar='N',
        help=f'for models with boxes in space: {MEANING}; default: the camera_info of a bag',
    )
    parser.add_argument('--topic', metavar='T', help='image topic of a bag with several')
    parser.add_argument(
        '--fps', type=float, metavar='F', help='images per second of a video or folder'
    )
    return parser


def _rate(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'expected more than 0, received {text}')
    return value
