"""The optional fields of COCO-format annotations: joints, outlines and boxes in space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.labels import FrameLabels, mirrored_joints

# Field of a label -> key in the file, shape, type.
_NUMBERS: dict[str, tuple[str, tuple[int, ...], type]] = {
    'depth': ('depth', (), np.float32),
    'dimensions': ('dim', (3,), np.float32),
    'alpha': ('alpha', (), np.float64),
    'amodal_centers': ('amodel_center', (2,), np.float32),
    'velocity': ('velocity', (3,), np.float32),
    'attributes': ('attributes', (), np.int64),
}
_ATTRIBUTES = range(9)
# nuScenes writes a velocity that it does not know as -10000.
_LEAST_VELOCITY = -1000


@dataclass
class ObjectRows:
    """Objects or ignored regions of one image, collected one by one.

    Attributes:
        places: in the image's list of annotations.
        boxes: xyxy.
        classes, track_ids, visibilities: see `FrameLabels`.
        fields: the optional ones, see `FileFields.parse`.
    """

    places: list[int] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    track_ids: list[int] = field(default_factory=list)
    visibilities: list[float] = field(default_factory=list)
    fields: list[dict[str, Any]] = field(default_factory=list)

    def add(self, place: int, box: list[float], class_index: int, track_id: int) -> None:
        """One more; what is optional is left to the caller."""
        self.places.append(place)
        self.boxes.append(box)
        self.classes.append(class_index)
        self.track_ids.append(track_id)


@dataclass(frozen=True)
class FileFields:
    """Which optional fields the annotations of a file have.

    Attributes:
        numbers: those of `_NUMBERS`.
        joint_names: see `ReadingRules`.
        outlines: whether `segmentation` is read.
    """

    numbers: tuple[str, ...] = ()
    joint_names: tuple[str, ...] = ()
    outlines: bool = False

    @classmethod
    def of(
        cls,
        annotations: Iterable[Any],
        joint_names: Sequence[str],
        outlines: bool,
        boxes_3d: bool = True,
    ) -> FileFields:
        """The fields that at least one of the annotations has."""
        keys: set[str] = set()
        for annotation in annotations if boxes_3d else ():
            if isinstance(annotation, dict):
                keys.update(annotation)
        numbers = tuple(name for name, (key, _, _) in _NUMBERS.items() if key in keys)
        return cls(numbers, tuple(joint_names), outlines)

    def parse(self, annotation: Mapping[str, Any]) -> dict[str, Any]:
        """Values of one annotation, unknown ones as `FrameLabels` says.

        Raises:
            ValueError: a value has another shape or type, or is out of range.
        """
        values: dict[str, Any] = {name: _number(name, annotation) for name in self.numbers}
        if self.joint_names:
            values['joints'] = _joints(annotation, len(self.joint_names))
        if self.outlines:
            values['outlines'] = _outline(annotation)
        return values

    def add_to(self, labels: FrameLabels, objects: ObjectRows, ignored: ObjectRows) -> FrameLabels:
        """`labels` with the optional fields of their objects and regions."""
        found: dict[str, Any] = {
            'rows': np.array(objects.places, np.int64),
            'ignore_rows': np.array(ignored.places, np.int64),
            'ignore_track_ids': np.array(ignored.track_ids, np.int64),
        }
        for name in self.numbers:
            _, shape, kind = _NUMBERS[name]
            values = [fields[name] for fields in objects.fields]
            found[name] = np.array(values, kind).reshape(-1, *shape)
        if self.joint_names:
            joints = [fields['joints'] for fields in objects.fields]
            found['joints'] = np.array(joints, np.float32).reshape(-1, len(self.joint_names), 3)
            found['joint_pairs'] = mirrored_joints(self.joint_names)
        if self.outlines:
            found['outlines'] = tuple(fields['outlines'] for fields in objects.fields)
        return replace(labels, **found)


def _number(name: str, annotation: Mapping[str, Any]) -> NDArray[Any]:
    """One field of `_NUMBERS`."""
    key, shape, kind = _NUMBERS[name]
    if key not in annotation:
        return np.zeros(shape, kind) if name == 'attributes' else np.full(shape, np.nan, kind)
    values = _array(key, annotation[key], kind)
    if name == 'velocity' and values.ndim == 1 and len(values) >= 3:
        # Converters write a fourth number; an unknown one makes all of them unknown.
        values = values[:3] if values.min() > _LEAST_VELOCITY else np.full(3, np.nan, kind)
    if values.shape != shape:
        raise ValueError(f'{key} {annotation[key]!r} has another shape than {shape}')
    if name == 'attributes' and int(values) not in _ATTRIBUTES:
        raise ValueError(f'attributes {annotation[key]!r} is not in 0 to 8')
    return values


def _joints(annotation: Mapping[str, Any], count: int) -> NDArray[np.float32]:
    """(J, 3) x, y, visibility; all 0 where there are none."""
    if 'keypoints' not in annotation:
        return np.zeros((count, 3), np.float32)
    values = _array('keypoints', annotation['keypoints'], np.float32)
    if values.shape != (3 * count,):
        raise ValueError(f'keypoints: expected {3 * count} numbers, received {values.size}')
    joints: NDArray[np.float32] = values.reshape(count, 3)
    if not np.isfinite(joints).all():
        raise ValueError('keypoints: expected finite numbers')
    if not np.isin(joints[:, 2], (0, 1, 2)).all():
        raise ValueError(f'keypoints: expected visibilities 0, 1 or 2, received {joints[:, 2]}')
    return joints


def _outline(annotation: Mapping[str, Any]) -> tuple[NDArray[np.float32], ...]:
    """Polygons (P, 2); none where the shape is missing or stored as a run-length code."""
    polygons = annotation.get('segmentation')
    if not isinstance(polygons, list):
        return ()
    arrays = [_array('segmentation', polygon, np.float32) for polygon in polygons]
    if any(array.ndim != 1 or len(array) < 6 or len(array) % 2 for array in arrays):
        raise ValueError('segmentation: expected polygons of three or more points')
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError('segmentation: expected finite numbers')
    return tuple(array.reshape(-1, 2) for array in arrays)


def _array(key: str, values: Any, kind: type) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(values, kind)
    except (TypeError, ValueError):
        raise ValueError(f'{key} {values!r} is not made of numbers') from None
    except OverflowError:
        raise ValueError(f'{key} {values!r} is too large') from None
    return array
