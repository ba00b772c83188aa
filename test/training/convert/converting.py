"""Helpers of the tests of converters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.convert.__main__ import main
from training.data.coco_reader import FrameRecord, ReadingRules, read_coco_video


def picture(path: Path, height: int = 48, width: int = 64) -> Path:
    """A grey picture in a new folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    return path


def text_file(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
    return path


def convert(*arguments: Any) -> int:
    return main([str(argument) for argument in arguments])


def content_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return content


def records_of(path: Path, class_names: tuple[str, ...], **rules: Any) -> list[FrameRecord]:
    """What training reads of a written file."""
    return read_coco_video(path, path.parent, class_names, ReadingRules(**rules))
