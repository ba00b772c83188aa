"""KITTI: objects in single images (`label_2`) and tracks in videos (`label_02`).

The classes follow CenterTrack: pedestrians, cars and cyclists are learnt; vans and trucks are
ignored regions of cars, sitting persons of pedestrians, `DontCare` of all; the rest is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.camera_geometry import alpha_from_yaw, project_points
from centertrack_ros.replay.sources import IMAGE_SUFFIXES
from training.convert.annotations import AnnotationFile, Half, half_of
from training.convert.files import (
    checked_folder,
    image_size,
    located,
    parse_numbers,
    parse_whole,
    read_lines,
)
from training.convert.kitti_cameras import Calibrations, find_camera

CLASSES = ('pedestrian', 'car', 'cyclist')
_OBJECTS = {'Pedestrian': 1, 'Car': 2, 'Cyclist': 3}
# The labels of the tracks say Person where those of the single images say Person_sitting.
_REGIONS = {
    'Van': (2,), 'Truck': (2,), 'Person_sitting': (1,), 'Person': (1,), 'DontCare': (1, 2, 3),
}  # fmt: skip
_SKIPPED = ('Tram', 'Misc')
_LABEL_COLUMNS = 15
_TRACK_COLUMNS = 17


@dataclass(frozen=True)
class KittiLabel:
    """One line; boxes in pixels, lengths in metres, angles in radians, camera frame.

    Attributes:
        kind: name of the class.
        truncated, occluded: as in the file.
        alpha: observation angle.
        box: left, top, width, height.
        dimensions: height, width, length.
        location: middle of the bottom of the box in space.
        rotation_y: yaw.
    """

    kind: str
    truncated: float
    occluded: int
    alpha: float
    box: list[float]
    dimensions: list[float]
    location: list[float]
    rotation_y: float


def convert_kitti_tracking(
    images: Path,
    labels: Path | None = None,
    calibrations: Calibrations = None,
    *,
    sequences: Sequence[str] = (),
    half: Half | None = None,
) -> AnnotationFile:
    """Videos of the tracking benchmark.

    Args:
        images: `image_02`, with a folder of pictures from 000000 for each sequence.
        labels: `label_02`; None for test sets.
        calibrations: folder with a file for each sequence, one file for all of them, or `known`:
            the cameras of the 21 training videos. For `calib`, and so that what is learnt leads
            back to the labels (`space_fields`).
        sequences: names of some; all without.
        half: the first n // 2 images of each sequence or the rest, as CenterTrack halves them;
            frames count from 1 in both.

    Raises:
        FileNotFoundError: a folder or file is missing.
        ValueError: a file is malformed; the text has its name and the line.
    """
    checked_folder(images, 'the sequences')
    output = AnnotationFile.numbered(CLASSES)
    names = sequences or sorted(path.name for path in images.iterdir() if path.is_dir())
    if not names:
        raise FileNotFoundError(f'{images}: expected a folder for each sequence, found none')
    for name in names:
        files = _image_files(checked_folder(images / name, 'the images of a sequence'))
        matrix = find_camera(calibrations, name)
        fields = {} if matrix is None else {'calib': matrix.tolist()}
        video = output.add_video(name)
        image_ids = {
            index: output.add_image(
                f'{name}/{files[index].name}', image_size(files[index]), video=video,
                frame=frame, **fields,
            )
            for frame, index in enumerate(half_of(len(files), half, len(files) // 2), start=1)
        }  # fmt: skip
        if labels is not None:
            _add_tracks(output, labels / f'{name}.txt', image_ids, len(files), matrix)
    return output


def convert_kitti(
    images: Path,
    labels: Path,
    calibrations: Calibrations = None,
    *,
    listed: Path | None = None,
) -> AnnotationFile:
    """Single images of the object benchmark.

    Args:
        images: `image_2`.
        labels: `label_2`, a file for each image.
        calibrations: `calib`, a file for each image, or one file for all of them.
        listed: text file with the names of the images of a split; all images without.

    Raises:
        FileNotFoundError: a folder or file is missing.
        ValueError: a file is malformed; the text has its name and the line.
    """
    files = {path.stem: path for path in _pictures(checked_folder(images, 'images'))}
    names = sorted(files)
    if listed is not None:
        names = [line for _, line in read_lines(listed, 'names of images')]
    output = AnnotationFile.numbered(CLASSES)
    for name in names:
        if name not in files:
            raise FileNotFoundError(f'{images}: expected the image {name}, which is missing')
        matrix = find_camera(calibrations, name)
        fields = {} if matrix is None else {'calib': matrix.tolist()}
        image_id = output.add_image(files[name].name, image_size(files[name]), **fields)
        path = labels / f'{name}.txt'
        for number, line in read_lines(path, 'the labels of an image'):
            with located(path, number):
                columns = _columns(line, _LABEL_COLUMNS)
                _add_label(output, image_id, parse_label(columns), matrix)
    return output


def parse_label(columns: Sequence[str]) -> KittiLabel:
    """The 15 columns from the class on; ValueError where they are no label."""
    kind = columns[0]
    if kind not in _OBJECTS and kind not in _REGIONS and kind not in _SKIPPED:
        known = [*_OBJECTS, *_REGIONS, *_SKIPPED]
        raise ValueError(f'class: expected one of {known}, received {kind!r}')
    values = parse_numbers(columns[1:], f'{_LABEL_COLUMNS - 1} numbers after the class')
    left, top, right, bottom = values[3:7]
    return KittiLabel(
        kind=kind,
        truncated=values[0],
        occluded=parse_whole(values[1], 'occluded', -1),
        alpha=values[2],
        box=[left, top, right - left, bottom - top],
        dimensions=values[7:10],
        location=values[10:13],
        rotation_y=values[13],
    )


def space_fields(label: KittiLabel, matrix: NDArray[np.float64] | None) -> dict[str, Any]:
    """Fields of the annotation that hold the box in space; none where the label has no such box.

    Without a camera they are those of the label. With one, depth and angle are what that camera
    sees, from which `lifting.lift_detections` gets location and yaw back exactly: the labels
    are in the frame of another camera, 6 cm to the side, and in the videos `alpha` is up to 0.12
    radians (median 0.004) from what `rotation_y` and the location say, which it follows from.
    CenterTrack takes depth and `alpha` as they stand.

    Args:
        label: one line.
        matrix: (3, 4) of the camera.
    """
    # Unknown boxes have sizes of -1 and lie at -1000.
    if min(label.dimensions) <= 0 or label.location[2] <= 0:
        return {}
    fields = {
        'dim': label.dimensions,
        'location': label.location,
        'depth': label.location[2],
        'alpha': label.alpha,
        'rotation_y': label.rotation_y,
    }
    if matrix is not None:
        x, y, z = label.location
        center = project_points(np.array([x, y - label.dimensions[0] / 2, z]), matrix)
        yaw = np.array([label.rotation_y])
        fields |= {
            'amodel_center': center.tolist(),
            'depth': z + float(matrix[2, 3]),
            'alpha': float(alpha_from_yaw(yaw, center[:1], matrix)[0]),
        }
    return fields


def _add_tracks(
    output: AnnotationFile,
    path: Path,
    image_ids: dict[int, int],
    length: int,
    matrix: NDArray[np.float64] | None,
) -> None:
    for number, line in read_lines(path, 'the labels of a sequence'):
        with located(path, number):
            columns = _columns(line, _TRACK_COLUMNS)
            frame, track = parse_numbers(columns[:2], 'frame and track')
            index = parse_whole(frame, 'frame', 0)
            if index >= length:
                raise ValueError(f'frame: expected at most {length - 1}, received {index}')
            track_id = parse_whole(track, 'track', -1)
            label = parse_label(columns[2:])
            if label.kind in _OBJECTS and track_id < 0:
                raise ValueError(f'track: expected 0 or more, received {track_id}')
            if index in image_ids:
                # From 1, as CenterTrack counts them: 0 stands for no track.
                fields = {'track_id': track_id + 1} if track_id >= 0 else {}
                _add_label(output, image_ids[index], label, matrix, **fields)


def _add_label(
    output: AnnotationFile,
    image_id: int,
    label: KittiLabel,
    matrix: NDArray[np.float64] | None,
    **fields: Any,
) -> None:
    if label.kind in _SKIPPED:
        output.skip(f'class {label.kind}')
        return
    if label.kind in _REGIONS:
        output.add_region(image_id, _REGIONS[label.kind], label.box, **fields)
        return
    fields |= {'truncated': label.truncated, 'occluded': label.occluded}
    fields |= space_fields(label, matrix)
    output.add_box(image_id, _OBJECTS[label.kind], label.box, **fields)


def _columns(line: str, count: int) -> list[str]:
    columns = line.split()
    if len(columns) != count:
        raise ValueError(f'expected {count} columns, received {len(columns)}')
    return columns


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def _image_files(folder: Path) -> list[Path]:
    """Images of a sequence, which are numbered from 0 without gaps."""
    files = _pictures(folder)
    if not files or [path.stem for path in files] != [f'{i:06d}' for i in range(len(files))]:
        raise ValueError(
            f'{folder}: expected images numbered from 000000 without gaps, '
            f'received {[path.name for path in files[:3]]} of {len(files)}'
        )
    return files
