"""A rosbag2 of camera images from a video: `python -m centertrack_ros.replay.make_bag`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from centertrack_ros.camera_info import Calibration
from centertrack_ros.replay.bag_types import (
    CAMERA_INFO_TYPE,
    COMPRESSED_TYPE,
    IMAGE_TYPE,
    typestore,
)
from centertrack_ros.replay.intrinsics import (
    MEANING,
    OPTION,
    camera_info_topic,
    find_calibration,
)
from centertrack_ros.replay.progress import progress_bar
from centertrack_ros.replay.result_bag import BAG_VERSION, header
from centertrack_ros.replay.sources import (
    DEFAULT_FRAME_ID,
    NANOSECONDS,
    Frame,
    Source,
    open_source,
)

STORAGES = {'sqlite3': StoragePlugin.SQLITE3, 'mcap': StoragePlugin.MCAP}
TRANSPORTS = ('raw', 'compressed')
DEFAULT_TOPICS = {'raw': '/camera/image_raw', 'compressed': '/camera/image_raw/compressed'}
JPEG_QUALITY = 90
# Where the stamps of a video begin: zero means "not set" in ROS, and the time of day would give
# another bag every time.
START_NS = 1_000_000_000 * NANOSECONDS


def make_bag(
    source: Source,
    path: Path,
    *,
    storage: str = 'sqlite3',
    transport: str = 'raw',
    topic: str | None = None,
    frame_id: str = DEFAULT_FRAME_ID,
    force: bool = False,
    calibration: Calibration | None = None,
    progress: Callable[[], object] = lambda: None,
) -> int:
    """Write the images of a recording as a bag; nothing is left behind on failure.

    Args:
        source: the recording.
        path: folder of the new bag.
        storage: `sqlite3` or `mcap`.
        transport: `raw` for sensor_msgs/Image (bgr8), `compressed` for CompressedImage (JPEG).
        topic: name of the topic; None takes the usual one of the transport.
        frame_id: camera frame.
        force: replace a bag that is at `path`.
        calibration: of the camera; written as a CameraInfo with each image, on the topic beside
            that of the images.
        progress: called after each image.

    Returns:
        Number of images written.

    Raises:
        FileExistsError: `path` exists, and is no bag or not to be replaced.
        ValueError: the recording is broken or empty, or an argument unknown.
    """
    if storage not in STORAGES:
        raise ValueError(f'storage: expected one of {sorted(STORAGES)}, received {storage!r}')
    if transport not in TRANSPORTS:
        raise ValueError(f'transport: expected one of {TRANSPORTS}, received {transport!r}')
    if path.exists() and not (force and (path / 'metadata.yaml').is_file()):
        raise FileExistsError(
            f'{path} exists already: name another folder, or replace a bag with --force'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f'.{path.name}.partial-') as staging:
        # The storage file is named after its folder, so the folder has its final name already.
        staged = Path(staging) / path.name
        with Writer(staged, version=BAG_VERSION, storage_plugin=STORAGES[storage]) as writer:
            topic = topic or DEFAULT_TOPICS[transport]
            count = _write_images(
                writer, source, transport, topic, frame_id, calibration, progress
            )
        if count == 0:
            raise ValueError(f'{source.description}: expected images, found none')
        if path.exists():
            path.rename(Path(staging) / 'replaced')
        staged.rename(path)
    return count


def _write_images(
    writer: Writer,
    source: Source,
    transport: str,
    topic: str,
    frame_id: str,
    calibration: Calibration | None,
    progress: Callable[[], object],
) -> int:
    """Write all images to one topic; returns how many there were."""
    message_type = IMAGE_TYPE if transport == 'raw' else COMPRESSED_TYPE
    to_message = _image_message if transport == 'raw' else _compressed_message
    store = typestore()
    connection = writer.add_connection(topic, message_type, typestore=store)
    if calibration is not None:
        info_topic = camera_info_topic(topic)
        info_connection = writer.add_connection(info_topic, CAMERA_INFO_TYPE, typestore=store)
    count = start_ns = 0
    for frame in source:
        if count == 0 and frame.stamp_ns == 0:
            start_ns = START_NS
        stamp_ns = start_ns + frame.stamp_ns
        message = to_message(frame, stamp_ns, frame_id)
        writer.write(connection, stamp_ns, store.serialize_cdr(message, message_type))
        if calibration is not None:
            info = camera_info_message(calibration, frame.image.shape, stamp_ns, frame_id)
            data = store.serialize_cdr(info, CAMERA_INFO_TYPE)
            writer.write(info_connection, stamp_ns, data)
        count += 1
        progress()
    return count


def camera_info_message(
    calibration: Calibration, shape: tuple[int, ...], stamp_ns: int, frame_id: str
) -> Any:
    """A CameraInfo of rectified images of `shape` (height, width), which the calibration fits."""
    height, width = shape[:2]
    matrix = calibration.for_image(width, height).astype(np.float64)
    types = typestore().types
    return types[CAMERA_INFO_TYPE](
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=matrix[:, :3].reshape(-1),
        r=np.eye(3).reshape(-1),
        p=matrix.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


def _image_message(frame: Frame, stamp_ns: int, frame_id: str) -> Any:
    height, width = frame.image.shape[:2]
    return typestore().types[IMAGE_TYPE](
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='bgr8',
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(frame.image).reshape(-1),
    )


def _compressed_message(frame: Frame, stamp_ns: int, frame_id: str) -> Any:
    encoded, data = cv2.imencode('.jpg', frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError(f'image at {frame.stamp:.3f} s: OpenCV cannot write it as JPEG')
    return typestore().types[COMPRESSED_TYPE](
        header=header(stamp_ns, frame_id),
        format='bgr8; jpeg compressed bgr8',
        data=np.asarray(data, dtype=np.uint8).reshape(-1),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m centertrack_ros.replay.make_bag',
        description='Write a rosbag2 of camera images from a video or a folder of images.',
    )
    parser.add_argument('video', type=Path, metavar='VIDEO', help='video file or image folder')
    parser.add_argument('output', type=Path, metavar='OUTPUT', help='folder of the new bag')
    parser.add_argument('--storage', choices=sorted(STORAGES), default='sqlite3')
    parser.add_argument(
        '--transport',
        choices=TRANSPORTS,
        default='raw',
        help='raw: sensor_msgs/Image, compressed: CompressedImage with JPEG',
    )
    parser.add_argument('--topic', help='default: /camera/image_raw, with /compressed')
    parser.add_argument('--frame-id', default=DEFAULT_FRAME_ID)
    parser.add_argument('--fps', type=float, help='images per second; default: as in the file')
    parser.add_argument(OPTION, nargs='+', metavar='N', help=f'adds camera_info: {MEANING}')
    parser.add_argument('--force', action='store_true', help='replace a bag that is there')
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: 0 = done, 2 = explained on stderr."""
    options = _parser().parse_args(arguments)
    # FFmpeg's own complaints about a broken video would hide the one line that explains it.
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    output: Path = options.output
    try:
        source = open_source(options.video, fps=options.fps)
        calibration = None
        if options.camera_matrix is not None:
            calibration, _ = find_calibration(options.camera_matrix, source)
        with progress_bar(source.count, 'writing bag') as bar:
            count = make_bag(
                source,
                output,
                storage=options.storage,
                transport=options.transport,
                topic=options.topic,
                frame_id=options.frame_id,
                force=options.force,
                calibration=calibration,
                progress=bar.update,
            )
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{output}: {count} images of {source.description}, {source.fps:g} per second')
    return 0


if __name__ == '__main__':
    sys.exit(main())
