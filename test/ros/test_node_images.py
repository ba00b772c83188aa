"""Images in, tracks out, through real topics."""

import array

import cv2
import numpy as np
import pytest
from harness import (
    BEST_EFFORT,
    FRAME_ID,
    RELIABLE,
    boxes,
    clip_frames,
    ids,
    make_header,
    make_image,
    make_jpeg,
    running,
)
from sensor_msgs.msg import CompressedImage, Image

from centertrack_ros.factory import build_pipeline
from centertrack_ros.image_messages import ENCODINGS
from centertrack_ros.settings import Settings

LOSSLESS = ('rgb8', 'bgra8', 'rgba8', '8UC3', '8UC4', 'bgr16', 'rgb16', 'bgra16', 'rgba16')


def encoded(frame, encoding, seconds):
    """The message of `frame` in some encoding, with a padded step."""
    bgra = cv2.cvtColor(frame, cv2.COLOR_BGR2BGRA)
    rgba = cv2.cvtColor(frame, cv2.COLOR_BGR2RGBA)
    name = encoding.removesuffix('16').removesuffix('8')
    if name.startswith('bayer'):
        pixels = mosaic(frame, name.removeprefix('bayer_'))
    elif encoding in ('yuv422', 'uyvy'):
        pixels = cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_UYVY)
    elif encoding in ('yuv422_yuy2', 'yuyv'):
        pixels = cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_YUY2)
    else:
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        known = {'bgr': frame, 'rgb': rgba[..., :3], 'bgra': bgra, 'rgba': rgba, 'mono': gray}
        known |= {'8UC1': gray, '8UC3': frame, '8UC4': bgra}
        pixels = known[encoding if encoding.startswith('8UC') else name]
    if encoding.endswith('16'):
        pixels = pixels.astype('>u2') * 257
    height, width = frame.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, 12)), constant_values=255)
    message = Image(header=make_header(seconds), height=height, width=width, encoding=encoding)
    message.step, message.is_bigendian = rows.shape[1], int(encoding.endswith('16'))
    message.data.frombytes(rows.tobytes())
    return message


def mosaic(frame, pattern):
    """What a Bayer sensor with this pattern sees of a frame."""
    channels = {'b': 0, 'g': 1, 'r': 2}
    result = np.empty(frame.shape[:2], np.uint8)
    for index, color in enumerate(pattern):
        row, column = divmod(index, 2)
        result[row::2, column::2] = frame[row::2, column::2, channels[color]]
    return result


def test_one_image_gives_one_array_with_its_header(domain_id):
    frame = clip_frames(1)[0]
    with running(domain_id) as test:
        answer = test.client.send(make_image(frame, 12.25))
        test.client.spin(0.3)
        assert len(test.client.tracks) == 1
    assert answer.header == make_header(12.25)
    assert answer.header.frame_id == FRAME_ID
    assert len(answer.detections) >= 3
    assert len(ids(answer)) == len(answer.detections)
    for detection in answer.detections:
        assert detection.header == answer.header
        assert int(detection.id) > 0
        assert len(detection.results) == 1
        assert detection.results[0].hypothesis.class_id == 'person'
        assert 0 < detection.results[0].hypothesis.score <= 1
    centers, sizes = np.hsplit(boxes(answer), 2)
    assert (centers - sizes / 2 >= -0.01).all()
    assert (centers + sizes / 2 <= (768.01, 576.01)).all()


def test_nothing_to_see_gives_an_empty_array(domain_id):
    with running(domain_id) as test:
        answer = test.client.send(make_image(np.zeros((240, 320, 3), np.uint8), 1.0))
    assert answer.header == make_header(1.0)
    assert answer.detections == []


def test_node_and_pipeline_give_the_same_tracks_and_ids_are_stable(domain_id):
    frames = clip_frames(40)
    with running(domain_id) as test:
        answers = test.client.send_frames(frames)
    pipeline = build_pipeline(Settings(threads=1))
    for index, (frame, answer) in enumerate(zip(frames, answers, strict=True)):
        tracks = pipeline.step(frame, 1.0 + index * 0.1).tracks
        tracks = tracks[tracks.reported]
        assert [detection.id for detection in answer.detections] == [str(i) for i in tracks.ids]
        sizes = tracks.boxes[:, 2:] - tracks.boxes[:, :2]
        expected = np.hstack([tracks.boxes[:, :2] + sizes / 2, sizes])
        np.testing.assert_allclose(boxes(answer), expected, atol=1e-3)
    # Four seconds with five to eight people: most of them stay, and keep their id.
    lives = [sum(track_id in ids(answer) for answer in answers) for track_id in ids(answers[-1])]
    assert sum(life > 20 for life in lives) >= 3
    assert len(set().union(*map(ids, answers))) <= 20


def test_every_encoding(domain_id):
    frame = clip_frames(1)[0]
    with running(domain_id) as test:
        expected = test.client.send(make_image(frame, 1.0))
        for index, encoding in enumerate(ENCODINGS):
            # The same first image for each: reset by a stamp that goes back.
            answer = test.client.send(encoded(frame, encoding, 0.9 - index * 0.01))
            assert answer.header.stamp.nanosec > 0
            if encoding in LOSSLESS:
                np.testing.assert_allclose(boxes(answer), boxes(expected), atol=1e-3)
            else:
                assert abs(len(answer.detections) - len(expected.detections)) <= 4, encoding


def test_compressed(domain_id):
    frames = clip_frames(3)
    with running(domain_id, kind=CompressedImage, image_transport='compressed') as test:
        answers = [
            test.client.send(make_jpeg(frame, 1 + index * 0.1))
            for index, frame in enumerate(frames)
        ]
        broken = make_jpeg(frames[0], 2.0)
        broken.data = array.array('B', b'no image at all')
        values = test.client.send_bad(broken, CompressedImage(header=make_header(2.1)))
    assert all(len(answer.detections) >= 3 for answer in answers)
    assert answers[0].header == make_header(1.0)
    assert (values['rejected/decode'], values['rejected/empty']) == ('1', '1')


def test_bad_images_are_counted_by_reason_and_the_node_goes_on(domain_id):
    frame = clip_frames(1)[0]
    truncated = make_image(frame, 2.0)
    del truncated.data[-1]
    empty = Image(header=make_header(2.0), encoding='bgr8')
    unknown = make_image(frame, 2.0)
    unknown.encoding = '32FC1'
    narrow = make_image(frame, 2.0)
    narrow.step = 100
    odd = Image(header=make_header(2.0), encoding='yuv422', width=3, height=2, step=6)
    odd.data = array.array('B', bytes(12))
    huge = Image(header=make_header(2.0), encoding='bgr8', width=2**32 - 1, height=2**32 - 1)
    huge.step = 2**32 - 1
    with running(domain_id) as test:
        first = test.client.send(make_image(frame, 1.0))
        bad = (truncated, empty, unknown, narrow, odd, huge)
        values = test.client.send_bad(*bad)
        after = test.client.send(make_image(frame, 1.1))
        assert len(test.client.tracks) == 2
    rejected = {key: value for key, value in values.items() if key.startswith('rejected/')}
    assert rejected == {
        'rejected/truncated': '1',
        'rejected/empty': '1',
        'rejected/encoding': '1',
        'rejected/step': '2',
        'rejected/size': '1',
    }
    # What lay between the two good images has not disturbed the tracks.
    assert ids(first) & ids(after)


def test_random_garbage_does_not_stop_the_node(domain_id):
    frame = clip_frames(1)[0]
    random = np.random.default_rng(0)
    with running(domain_id) as test:
        for _ in range(60):
            message = Image(
                header=make_header(float(random.integers(0, 5))),
                height=int(random.integers(0, 40)),
                width=int(random.integers(0, 40)),
                step=int(random.integers(0, 200)),
                encoding=str(random.choice([*ENCODINGS, '', 'bgr8 ', 'ÿ'])),
                is_bigendian=int(random.integers(0, 2)),
            )
            message.data.frombytes(random.bytes(int(random.integers(0, 4000))))
            test.client.images.publish(message)
            test.client.spin(0.03)
        test.client.spin(0.5)
        count = len(test.client.tracks)
        answer = test.client.send(make_image(frame, 100.0))
        assert count < len(test.client.tracks)
        assert len(answer.detections) >= 3


@pytest.mark.parametrize('image_qos', [RELIABLE, BEST_EFFORT], ids=['reliable', 'best_effort'])
@pytest.mark.parametrize('tracks_qos', [RELIABLE, BEST_EFFORT], ids=['reliable', 'best_effort'])
def test_every_qos_connects(domain_id, image_qos, tracks_qos):
    frame = np.zeros((120, 160, 3), np.uint8)
    with running(domain_id, image_qos=image_qos, tracks_qos=tracks_qos) as test:
        assert test.client.send(make_image(frame, 1.0)).header == make_header(1.0)


@pytest.mark.parametrize('image_reliability', ['reliable', 'best_effort'])
def test_chosen_reliability(domain_id, image_reliability):
    frame = np.zeros((120, 160, 3), np.uint8)
    with running(domain_id, image_reliability=image_reliability) as test:
        assert test.client.send(make_image(frame, 1.0)).header == make_header(1.0)
        (subscription,) = (
            entry for entry in test.node.subscriptions if entry.topic_name == '/image'
        )
        assert subscription.qos_profile.reliability.name == image_reliability.upper()


def test_a_best_effort_publisher_is_found_out_and_told_once(domain_id, capfd):
    frame = np.zeros((120, 160, 3), np.uint8)
    with running(domain_id, image_qos=BEST_EFFORT) as test:
        test.client.send_frames([frame] * 3)
    output = capfd.readouterr().err
    assert output.count('a publisher of /image offers best effort only') == 1
    assert '[tracker]: New publisher discovered' not in output
