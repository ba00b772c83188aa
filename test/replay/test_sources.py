from __future__ import annotations

import cv2
import numpy as np
import pytest
from replay_helpers import FPS, FRAME_COUNT

from centertrack_ros.replay.make_bag import DEFAULT_TOPICS, START_NS, make_bag
from centertrack_ros.replay.sources import open_source


def _write_images(folder, frames, pattern='{:06d}.png', first=1):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=first):
        assert cv2.imwrite(str(folder / pattern.format(number)), frame)


def _write_sequence(folder, frames, text=None):
    _write_images(folder / 'img1', frames)
    text = text or f'[Sequence]\nname=S\nimDir=img1\nframeRate=7\nseqLength={len(frames)}\n'
    (folder / 'seqinfo.ini').write_text(text)


def test_video(video_path, frames):
    source = open_source(video_path)
    assert (source.fps, source.count) == (FPS, FRAME_COUNT)
    for _ in range(2):  # every loop starts at the first image
        read = list(source)
        assert len(read) == FRAME_COUNT
        for frame, expected in zip(read, frames, strict=True):
            np.testing.assert_array_equal(frame.image, expected)
    assert [frame.stamp for frame in read[:3]] == [0.0, 0.1, 0.2]
    assert read[3].stamp_ns == 300_000_000
    assert 'short.avi' in source.description


def test_video_with_another_rate(video_path):
    source = open_source(video_path, fps=25.0)
    assert source.fps == 25.0
    assert [frame.stamp_ns for frame in source][:3] == [0, 40_000_000, 80_000_000]


def test_image_folder_in_the_order_of_numbers(tmp_path, frames):
    _write_images(tmp_path / 'images', frames, pattern='image_{}.png', first=1)
    (tmp_path / 'images' / 'notes.txt').write_text('not an image')
    source = open_source(tmp_path / 'images', fps=5.0)
    assert (source.fps, source.count) == (5.0, FRAME_COUNT)
    for frame, expected in zip(source, frames, strict=True):
        np.testing.assert_array_equal(frame.image, expected)


def test_image_folder_has_a_usual_rate(tmp_path, frames):
    _write_images(tmp_path / 'images', frames[:2])
    assert open_source(tmp_path / 'images').fps == 30.0


def test_grey_images_become_bgr(tmp_path, frames):
    grey = cv2.cvtColor(frames[0], cv2.COLOR_BGR2GRAY)
    _write_images(tmp_path / 'images', [grey])
    (frame,) = open_source(tmp_path / 'images')
    np.testing.assert_array_equal(frame.image, np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.parametrize('inside', ['', 'img1'])
def test_mot_sequence_by_its_folder_or_its_images(tmp_path, frames, inside):
    _write_sequence(tmp_path / 'seq', frames)
    source = open_source(tmp_path / 'seq' / inside)
    assert (source.fps, source.count) == (7.0, FRAME_COUNT)
    read = list(source)
    np.testing.assert_array_equal(read[-1].image, frames[-1])
    assert read[7].stamp_ns == 1_000_000_000


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_bag(tmp_path, video_path, frames, storage, transport):
    path = tmp_path / 'bag'
    count = make_bag(
        open_source(video_path), path, storage=storage, transport=transport, frame_id='cam'
    )
    assert count == FRAME_COUNT
    source = open_source(path)
    assert (source.fps, source.count) == (pytest.approx(FPS), FRAME_COUNT)
    assert DEFAULT_TOPICS[transport] in source.description
    read = list(source)
    assert [frame.stamp_ns - START_NS for frame in read[:3]] == [0, 100_000_000, 200_000_000]
    assert {frame.frame_id for frame in read} == {'cam'}
    for frame, expected in zip(read, frames, strict=True):
        if transport == 'raw':
            np.testing.assert_array_equal(frame.image, expected)
        else:
            assert np.abs(frame.image.astype(int) - expected).mean() < 4.0


def test_file_of_a_bag(tmp_path, video_path):
    make_bag(open_source(video_path), tmp_path / 'bag', storage='mcap')
    assert open_source(tmp_path / 'bag' / 'bag.mcap').count == FRAME_COUNT
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    assert len(list(open_source(tmp_path / 'bag' / 'bag.mcap'))) == FRAME_COUNT


def test_bag_with_several_image_topics(tmp_path, video_path, frames):
    from rosbags.rosbag2 import StoragePlugin, Writer

    from centertrack_ros.replay.bag_types import IMAGE_TYPE, typestore
    from centertrack_ros.replay.make_bag import _image_message
    from centertrack_ros.replay.sources import Frame

    store = typestore()
    with Writer(tmp_path / 'two', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, image in (('/left', frames[0]), ('/right', frames[1])):
            connection = writer.add_connection(topic, IMAGE_TYPE, typestore=store)
            # The stamp 0 means that the driver set none: the time of recording counts.
            message = _image_message(Frame(image, 0), 0, 'cam')
            writer.write(connection, 42, store.serialize_cdr(message, IMAGE_TYPE))
    with pytest.raises(ValueError, match=r"\['/left', '/right'\]; choose with --topic"):
        open_source(tmp_path / 'two')
    with pytest.raises(ValueError, match="topic '/up' is not"):
        open_source(tmp_path / 'two', topic='/up')
    (frame,) = open_source(tmp_path / 'two', topic='/right')
    np.testing.assert_array_equal(frame.image, frames[1])
    assert frame.stamp_ns == 42


def test_bag_with_a_truncated_image(tmp_path, frames):
    from rosbags.rosbag2 import StoragePlugin, Writer

    from centertrack_ros.replay.bag_types import IMAGE_TYPE, typestore
    from centertrack_ros.replay.make_bag import _image_message
    from centertrack_ros.replay.sources import Frame

    store = typestore()
    with Writer(tmp_path / 'bad', version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection('/image', IMAGE_TYPE, typestore=store)
        message = _image_message(Frame(frames[0], 0), 1, 'cam')
        message.data = message.data[:1000]
        writer.write(connection, 1, store.serialize_cdr(message, IMAGE_TYPE))
    with pytest.raises(ValueError, match=r'image 1 of /image: .*needs .* bytes, received 1000'):
        list(open_source(tmp_path / 'bad'))


def _cut(source, target, size):
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(source.read_bytes()[:size])
    return target


def test_broken_videos(tmp_path, clip_path, video_path):
    (tmp_path / 'text.mp4').write_text('hello')
    with pytest.raises(ValueError, match='cannot open it as a video'):
        open_source(tmp_path / 'text.mp4')
    # An AVI keeps its index at the end: the head alone promises images that are not there.
    cut = _cut(video_path, tmp_path / 'cut.avi', video_path.stat().st_size // 2)
    with pytest.raises(ValueError, match='breaks off after'):
        list(open_source(cut))


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_broken_bags(tmp_path, video_path, storage):
    suffix = {'sqlite3': '.db3', 'mcap': '.mcap'}[storage]
    make_bag(open_source(video_path), tmp_path / 'bag', storage=storage, transport='compressed')
    whole = (tmp_path / 'bag' / f'bag{suffix}').stat().st_size
    for size in (0, 50, whole // 2):
        _cut(tmp_path / 'bag' / f'bag{suffix}', tmp_path / f'cut{size}' / f'bag{suffix}', size)
        metadata = (tmp_path / 'bag' / 'metadata.yaml').read_text()
        (tmp_path / f'cut{size}' / 'metadata.yaml').write_text(metadata)
        with pytest.raises(ValueError, match=f'cut{size}'):
            list(open_source(tmp_path / f'cut{size}'))
    (tmp_path / 'bag' / 'metadata.yaml').write_text('nonsense')
    with pytest.raises(ValueError, match='expected a rosbag2'):
        open_source(tmp_path / 'bag')


def test_bag_without_images(tmp_path):
    from centertrack_ros.replay.result_bag import write_result_bag

    write_result_bag(tmp_path / 'empty', [], ['person'])
    with pytest.raises(ValueError, match='expected a topic with'):
        open_source(tmp_path / 'empty')


def test_what_is_no_recording(tmp_path, frames, video_path):
    with pytest.raises(FileNotFoundError, match='does not exist'):
        open_source(tmp_path / 'nothing')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='found none of them'):
        open_source(tmp_path / 'empty')
    with pytest.raises(ValueError, match='it has no topic'):
        open_source(video_path, topic='/image')
    with pytest.raises(ValueError, match='fps: expected'):
        open_source(video_path, fps=0.0)
    _write_images(tmp_path / 'bad', frames[:1])
    (tmp_path / 'bad' / '000002.png').write_text('hello')
    with pytest.raises(ValueError, match=r'000002\.png: expected an image'):
        list(open_source(tmp_path / 'bad'))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('frameRate=7\n', r'\[Sequence\]'),
        ('[Sequence]\nframeRate=fast\n', r'\[Sequence\]'),
        ('[Sequence]\nframeRate=0\n', 'frameRate'),
        ('[Sequence]\nimDir=elsewhere\n', 'elsewhere'),
        ('[Sequence]\nseqLength=99\n', 'seqLength = 99'),
    ],
)
def test_broken_sequence_files(tmp_path, frames, text, message):
    _write_sequence(tmp_path / 'seq', frames[:2], text)
    with pytest.raises(ValueError, match=message):
        open_source(tmp_path / 'seq')


def test_mot_sequence_with_dropped_images_has_their_times(tmp_path, frames):
    _write_sequence(tmp_path / 'seq', frames[:4])
    (tmp_path / 'seq' / 'timestamps.txt').write_text('10.0\n10.1\n10.45\n10.5\n')
    source = open_source(tmp_path / 'seq' / 'img1')
    assert (source.fps, source.count) == (7.0, 4)
    stamps = [10_000_000_000, 10_100_000_000, 10_450_000_000, 10_500_000_000]
    for _ in range(2):
        assert [frame.stamp_ns for frame in source] == stamps
    evenly = open_source(tmp_path / 'seq', fps=10.0)
    assert [frame.stamp_ns for frame in evenly] == [0, 100_000_000, 200_000_000, 300_000_000]


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('0.0\n0.1\n', 'the times of 4 images, received 2'),
        ('0.0\n0.2\n0.1\n0.3\n', 'rising times'),
        ('0.0\n0.2\nnan\n0.3\n', 'rising times'),
        ('0.0\n0.1\n0.2\nnoon\n', 'one time in seconds a line.*noon'),
    ],
)
def test_faulty_times_are_refused(tmp_path, frames, text, expected):
    _write_sequence(tmp_path / 'seq', frames[:4])
    (tmp_path / 'seq' / 'timestamps.txt').write_text(text)
    with pytest.raises(ValueError, match=expected):
        open_source(tmp_path / 'seq')
