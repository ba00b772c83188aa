"""What is read of COCO-format annotations, and how; see `training.data.coco_reader`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from centertrack_ros.datatypes import FloatArray
from training.data.faults import Fault, FaultPolicy
from training.data.labels import FrameLabels

# CenterTrack's numbers of categories: classes from 1, 0 to ignore all classes, -c to ignore
# class c; from here down the annotation is left out.
SKIPPED_NUMBER = -99


@dataclass(frozen=True)
class FrameRecord:
    """One image of the annotation file.

    Attributes:
        path: the picture.
        video: its video, or camera of a video with several.
        frame: number that orders the frames of the video.
        labels: its objects, in pixels of the picture.
        image_id: its id in the file.
        size: (height, width) in pixels, where the file says.
        camera_matrix: (3, 4), where the file says.
        row: place in the list of images of the file.
    """

    path: Path
    video: Any
    frame: int
    labels: FrameLabels
    image_id: Any = None
    size: tuple[int, int] | None = None
    camera_matrix: FloatArray | None = None
    row: int = 0


@dataclass(frozen=True)
class ReadingRules:
    """What a file means and which of its fields are read.

    Attributes:
        skipped_categories: names of categories to leave out although no class has that name.
        category_numbers: category id -> CenterTrack's number of it, see `SKIPPED_NUMBER`;
            instead of the names.
        joint_names: names of the joints in `keypoints`; without them joints are not read.
        outlines: whether polygons of `segmentation` are read.
        boxes_3d: whether the fields for 3D are read.
        lenient: whether boxes without area and repeated tracks stay, as in the original, where
            the former are never learnt and the first of the latter counts.
        faults: what happens at a wrong entry: `fatal` stops, `skip` leaves it out (an image with
            its annotations) and reports it, unless more than a tenth are wrong.
    """

    skipped_categories: Sequence[str] = ()
    category_numbers: Mapping[int, int] | None = None
    joint_names: Sequence[str] = ()
    outlines: bool = False
    boxes_3d: bool = True
    lenient: bool = False
    faults: FaultPolicy = 'fatal'


@dataclass(frozen=True)
class CocoFile:
    """What a COCO-format file says.

    Attributes:
        records: its images in the order of the file, with checked labels.
        faults: its wrong entries, which were left out.
    """

    records: list[FrameRecord]
    faults: tuple[Fault, ...]
