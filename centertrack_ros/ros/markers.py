"""Boxes in space for RViz: a translucent cube and a line of text per track."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from centertrack_ros.attributes import attribute_name
from centertrack_ros.box_poses import quaternions_of, sizes_of
from centertrack_ros.datatypes import TrackedBoxes3D, Tracks
from centertrack_ros.drawing import track_color
from centertrack_ros.ros.copying import copied

OPACITY = 0.45
# Metres; as large as can be read at ten metres.
TEXT_HEIGHT = 0.4
TEXT_GAP = 0.3
# Nobody deletes the markers of a node that was killed.
LIFETIME = Duration(sec=2)


class Markers:
    """Markers of one camera; knows which it has shown, to delete those of tracks that are gone."""

    def __init__(self, camera: str, class_names: Sequence[str]) -> None:
        """Begin with nothing shown.

        Args:
            camera: name that begins the namespaces of the markers, '' for the only camera.
            class_names: of the model.
        """
        prefix = f'{camera}/' if camera else ''
        self._namespaces = (f'{prefix}boxes', f'{prefix}labels')
        self._class_names = class_names
        self._shown: set[int] = set()

    def to_msg(self, tracks: Tracks, boxes: TrackedBoxes3D, header: Header) -> MarkerArray:
        """Message that shows the reported tracks whose place is known, and no others.

        A cube has the box's own axes (`box_poses`); the text above it is id, class and speed
        relative to the camera, and the attribute where there is one.

        Args:
            tracks: state after an image.
            boxes: of the tracks, row for row.
            header: of the image.
        """
        rows = np.flatnonzero(tracks.reported & boxes.known)
        ids = tracks.ids[rows].tolist()
        names = [self._class_names[index] for index in tracks.classes[rows].tolist()]
        shown = boxes[rows]
        speeds = np.linalg.norm(shown.velocities, axis=1).tolist()
        cubes = self._cubes(ids, shown, header)
        labels = self._labels(ids, shown, header)
        for label, track_id, name, speed in zip(labels, ids, names, speeds, strict=True):
            label.text = f'{track_id} {name} {speed:.1f} m/s'
        if shown.attributes is not None:
            for label, attribute in zip(labels, shown.attributes.tolist(), strict=True):
                label.text = f'{label.text} {attribute_name(attribute)}'.rstrip()
        gone = self._shown.difference(ids)
        self._shown = set(ids)
        return MarkerArray(markers=[*self._deletions(gone, header), *cubes, *labels])

    def clear(self) -> MarkerArray | None:
        """Message that deletes all that was shown; None where nothing was."""
        gone, self._shown = self._shown, set()
        return MarkerArray(markers=self._deletions(gone, Header())) if gone else None

    def _cubes(self, ids: Sequence[int], boxes: TrackedBoxes3D, header: Header) -> list[Marker]:
        first = Marker(header=header, ns=self._namespaces[0], type=Marker.CUBE, lifetime=LIFETIME)
        places = zip(
            ids,
            boxes.middles.tolist(),
            quaternions_of(boxes.yaws).tolist(),
            sizes_of(boxes).tolist(),
            strict=True,
        )
        cubes = []
        for track_id, middle, quaternion, size in places:
            cube, pose = copied(first), copied(first.pose)
            cube.id = track_id
            cube.pose, cube.scale = pose, copied(first.scale)
            point = pose.position = copied(pose.position)
            point.x, point.y, point.z = middle
            turn = pose.orientation = copied(pose.orientation)
            turn.x, turn.y, turn.z, turn.w = quaternion
            cube.scale.x, cube.scale.y, cube.scale.z = size
            cube.color = _color(track_id, OPACITY)
            cubes.append(cube)
        return cubes

    def _labels(self, ids: Sequence[int], boxes: TrackedBoxes3D, header: Header) -> list[Marker]:
        """Above the boxes, which is where y is smaller; without their texts."""
        kind = Marker.TEXT_VIEW_FACING
        first = Marker(header=header, ns=self._namespaces[1], type=kind, lifetime=LIFETIME)
        first.scale.z = TEXT_HEIGHT
        above = boxes.middles.copy()
        above[:, 1] -= boxes.dimensions[:, 0] / 2 + TEXT_GAP
        labels = []
        for track_id, place in zip(ids, above.tolist(), strict=True):
            label, pose = copied(first), copied(first.pose)
            label.id, label.pose = track_id, pose
            point = pose.position = copied(pose.position)
            point.x, point.y, point.z = place
            label.color = _color(track_id, 1.0)
            labels.append(label)
        return labels

    def _deletions(self, ids: set[int], header: Header) -> list[Marker]:
        return [
            Marker(header=header, ns=namespace, id=track_id, action=Marker.DELETE)
            for track_id in sorted(ids)
            for namespace in self._namespaces
        ]


def _color(track_id: int, opacity: float) -> ColorRGBA:
    """That of the overlay."""
    blue, green, red = track_color(track_id)
    return ColorRGBA(r=red / 255, g=green / 255, b=blue / 255, a=opacity)
