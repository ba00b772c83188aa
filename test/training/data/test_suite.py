"""The suite that trackers are measured on: what it shows, that it is exact, and held out."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from centertrack_ros.replay.mot_files import read_mot
from centertrack_ros.replay.sources import open_source
from training.data import suite_cast
from training.data.cutouts import CutoutEntry, CutoutLibrary, make_cutout, masked_photos
from training.data.labels import clip_boxes
from training.data.scene import Ground
from training.data.suite import (
    LEAST_INSIDE,
    LEAST_VISIBLE,
    SuiteSequence,
    build_sequence,
    kept_frames,
    main,
    write_suite_sequence,
)
from training.data.suite_material import HeldOutMaterial, PhotoPart
from training.data.suite_scenarios import SCENARIOS, Scenario

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture(scope='module')
def material(shared_folder) -> HeldOutMaterial:
    """The held-out photos and people."""
    return HeldOutMaterial(shared_folder / 'data')


def shortened(name: str, seconds: float) -> Scenario:
    """A scenario cut short; its people are elsewhere than in the long one."""
    return replace(BY_NAME[name], scene=replace(BY_NAME[name].scene, duration=seconds))


def picture_motion(sequence: SuiteSequence, first: int, second: int) -> tuple[float, np.ndarray]:
    """Scale and shift (2,) of the middle, by which the still things of two frames differ."""
    grey = [
        cv2.cvtColor(sequence.render(index).image, cv2.COLOR_BGR2GRAY) for index in (first, second)
    ]
    points = cv2.goodFeaturesToTrack(grey[0], 400, 0.01, 8)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(*grey, points, None, winSize=(31, 31))
    kept = found.ravel() == 1
    matrix, _ = cv2.estimateAffinePartial2D(points[kept], moved[kept], ransacReprojThreshold=1.0)
    middle = np.array(grey[0].shape[::-1]) / 2
    shift = matrix[:, :2] @ middle + matrix[:, 2] - middle
    return float(np.hypot(matrix[0, 0], matrix[1, 0])), shift


def test_the_table_covers_what_trackers_meet():
    assert len(SCENARIOS) >= 12
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert len({scenario.seed for scenario in SCENARIOS}) == len(SCENARIOS)
    scenes = [scenario.scene for scenario in SCENARIOS]
    assert {scene.frame_rate for scene in scenes} == {5, 10, 30}
    sizes = {(scene.width, scene.height) for scene in scenes}
    assert sizes == {(640, 480), (768, 576), (960, 540), (1280, 720)}
    assert all(8 <= scene.duration <= 12 for scene in scenes)
    assert min(scene.view.far_height for scene in scenes) <= 25
    assert max(scene.view.near_height for scene in scenes) >= 300
    kinds = {type(part) for scene in scenes for part in scene.cast}
    assert kinds == {
        suite_cast.Approaching,
        suite_cast.Crossing,
        suite_cast.Group,
        suite_cast.Passing,
        suite_cast.PassingBehind,
        suite_cast.StandingRow,
        suite_cast.StopAndTurn,
    }
    assert sum(scenario.longest_gap > 0 for scenario in SCENARIOS) >= 2


def test_people_have_the_sizes_that_the_names_promise(material):
    for name, low, high in (('small_people', 17, 50), ('large_people', 190, 385)):
        labels = build_sequence(BY_NAME[name], material).render(60).labels
        heights = labels.boxes[:, 3] - labels.boxes[:, 1]
        assert len(heights) >= 3
        assert low < heights.min() < heights.max() < high


@pytest.mark.parametrize(
    ('name', 'scale', 'shift'),
    [
        ('crossing_far', 1.0, (0, 0)),
        ('camera_pan', 1.0, (-45 * 10 / 30, 0)),
        ('camera_forward', np.exp(0.055), None),
    ],
)
def test_the_camera_moves_the_background(material, name, scale, shift):
    sequence = build_sequence(BY_NAME[name], material)
    measured_scale, measured_shift = picture_motion(sequence, 40, 50)
    assert measured_scale == pytest.approx(scale, abs=0.005)
    if shift is not None:
        np.testing.assert_allclose(measured_shift, shift, atol=0.5)


def test_a_hand_shakes_the_camera_to_and_fro(material):
    sequence = build_sequence(BY_NAME['camera_shake'], material)
    shifts = [picture_motion(sequence, index, index + 12)[1] for index in range(0, 228, 30)]
    spread = np.max(shifts, axis=0) - np.min(shifts, axis=0)
    assert (spread > 4).all()


def test_pairs_cross_close_to_each_other():
    ground = Ground.through(640, (120, 450), (60, 260), 700)
    stage = suite_cast.Stage(ground, 640, 10.0)
    walks = suite_cast.Crossing(5).walks(stage, np.random.default_rng(3))
    assert len(walks) == 10
    times = np.linspace(0, 10, 401)
    for first, second in zip(walks[::2], walks[1::2], strict=True):
        apart = np.array([first.at(time) - second.at(time) for time in times])
        assert apart[0, 0] * apart[-1, 0] < 0  # they have changed sides
        assert np.hypot(*apart.T).min() < 0.7


@pytest.mark.parametrize(('name', 'step'), [('hidden_by_walls', 1), ('hidden_by_people', 5)])
def test_people_are_hidden_for_long_and_come_back(material, name, step):
    sequence = build_sequence(BY_NAME[name], material)
    shown: dict[int, list[bool]] = {}
    for index in range(0, len(sequence), step):
        labels = sequence.render(index).labels
        for number, share in zip(labels.track_ids.tolist(), labels.visibilities, strict=True):
            shown.setdefault(number, []).append(bool(share >= LEAST_VISIBLE))
    seconds = []
    for states in shown.values():
        runs = [(state, len(list(group))) for state, group in itertools.groupby(states)]
        hidden = [length for state, length in runs[1:-1] if not state]
        seconds.append(max(hidden, default=0) * step / sequence.frame_rate)
    assert sum(longest >= 1.0 for longest in seconds) >= 4
    assert max(seconds) <= 2.5


def test_groups_stay_close_and_hide_each_other(material):
    labels = build_sequence(BY_NAME['dense_groups'], material).render(55).labels
    assert len(labels) == 19
    assert (labels.visibilities < 0.7).mean() > 0.3


def test_dropped_frames_are_missing(material):
    for scenario in SCENARIOS:
        rate = scenario.scene.frame_rate
        times = np.array(build_sequence(scenario, material).times)
        steps = np.rint(np.diff(times) * rate)
        np.testing.assert_allclose(times * rate, np.rint(times * rate), atol=1e-9)
        if scenario.longest_gap == 0:
            assert len(times) == scenario.scene.duration * rate
            assert (steps == 1).all()
        else:
            assert (steps > 1).sum() >= 5
            assert steps.max() == scenario.longest_gap * rate


def test_kept_frames_without_gaps_are_all():
    assert kept_frames(5, 1, 1.0, np.random.default_rng(0)) == [0, 1, 2, 3, 4]


def test_recordings_with_dropped_frames_have_their_stamps(material, tmp_path):
    scenario = shortened('dropped_frames_10fps', 2.0)
    times = build_sequence(scenario, material).times
    assert len(times) < 20
    write_suite_sequence(tmp_path / 'dropped', scenario, material)
    source = open_source(tmp_path / 'dropped')
    frames = list(source)
    assert source.fps == 10
    assert [frame.stamp for frame in frames] == pytest.approx(times)
    truth = read_mot(tmp_path / 'dropped' / 'gt' / 'gt.txt', ground_truth=True)
    assert len(truth) == len(frames)


def test_nothing_of_the_suite_is_seen_in_training(shared_folder, monkeypatch):
    read: set[Path] = set()
    from_file = np.fromfile

    def recording_from_file(path: Path, *arguments: type):
        read.add(path.resolve())
        return from_file(path, *arguments)

    # What `read_image` reads files with.
    monkeypatch.setattr(np, 'fromfile', recording_from_file)
    root = (shared_folder / 'data').resolve()
    material = HeldOutMaterial(root)
    for scenario in SCENARIOS:
        build_sequence(scenario, material)
    trained = set((root / 'coco128' / 'images' / 'train2017').iterdir())
    for name in ('clothing_co_parsing', 'penn_fudan'):
        trained |= set(masked_photos(root / 'cutouts' / name, 'training'))
    photos = {path for path in read if not path.stem.endswith('_mask')}
    assert len(photos & set((root / 'coco128' / 'images' / 'val2017').iterdir())) >= 4
    assert len(photos) > 80
    assert not photos & trained


def test_photos_with_people_are_refused(material):
    with pytest.raises(ValueError, match='without people, it shows some'):
        material.picture(PhotoPart('FudanPed00032'))
    assert material.picture(PhotoPart('FudanPed00032', (0, 0, 0.5, 1))).shape == (474, 304, 3)
    with pytest.raises(ValueError, match="received 'FudanPed00001'"):
        material.picture(PhotoPart('FudanPed00001'))


def test_boxes_are_those_of_the_painted_people(material, monkeypatch):
    red = np.full((300, 120, 3), (0, 0, 255), np.uint8)
    block = make_cutout(red, np.full(red.shape[:2], 255, np.uint8), 'person')
    monkeypatch.setattr(material, 'library', CutoutLibrary([CutoutEntry('person', lambda: block)]))
    camera_forward = BY_NAME['camera_forward']
    scene = replace(camera_forward.scene, cast=(suite_cast.StopAndTurn(1),), shadow=0.0)
    sequence = build_sequence(replace(camera_forward, scene=scene), material)
    compared = 0
    for index in range(0, len(sequence), 6):
        frame = sequence.render(index)
        height, width = frame.image.shape[:2]
        blue, green, colour = (channel.astype(int) for channel in cv2.split(frame.image))
        painted = (colour > 100) & (blue < 0.35 * colour) & (green < 0.35 * colour)
        count, _, areas, _ = cv2.connectedComponentsWithStats(painted.astype(np.uint8))
        boxes = clip_boxes(frame.labels.boxes, width, height)
        if len(boxes) and count > 1:
            x, y, wide, high, _ = areas[1 + areas[1:, cv2.CC_STAT_AREA].argmax()]
            np.testing.assert_allclose(boxes[0], [x, y, x + wide, y + high], atol=1.6)
            compared += 1
    assert compared >= 8


def test_truth_marks_who_cannot_be_found(material, tmp_path):
    scenario = shortened('hidden_by_walls', 1.2)
    write_suite_sequence(tmp_path / 'walls', scenario, material)
    rows = np.loadtxt(tmp_path / 'walls' / 'gt' / 'gt.txt', delimiter=',')
    sequence = build_sequence(scenario, material)
    expected = []
    for index in range(len(sequence)):
        labels = sequence.render(index).labels
        clipped = clip_boxes(labels.boxes, 640, 480)
        whole, inside = ((box[:, 2:] - box[:, :2]).prod(axis=1) for box in (labels.boxes, clipped))
        seen = (labels.visibilities >= LEAST_VISIBLE) & (inside >= LEAST_INSIDE * whole)
        for number, box, counted in zip(labels.track_ids, clipped, seen, strict=True):
            mark = (1, 1) if counted else (0, 8)
            expected.append([index + 1, number, *box[:2], *(box[2:] - box[:2]), *mark])
    np.testing.assert_allclose(rows[:, :8], expected, atol=0.006)
    assert set(rows[:, 7]) == {1, 8}
    counted = read_mot(tmp_path / 'walls' / 'gt' / 'gt.txt', ground_truth=True)
    assert sum(map(len, counted)) == (rows[:, 6] == 1).sum()


def test_the_same_arguments_write_the_same_bytes(shared_folder, tmp_path):
    for copy in ('first', 'second'):
        material = HeldOutMaterial(shared_folder / 'data')
        scenario = shortened('pavement_5fps', 1.0)
        write_suite_sequence(tmp_path / copy / scenario.name, scenario, material)
    files = [path for path in sorted((tmp_path / 'first').rglob('*')) if path.is_file()]
    assert len(files) == 5 + 2
    for path in files:
        twin = tmp_path / 'second' / path.relative_to(tmp_path / 'first')
        assert path.read_bytes() == twin.read_bytes()


def test_command_line_refuses_other_names(shared_folder, tmp_path, capsys):
    data = ['--data', str(shared_folder / 'data')]
    with pytest.raises(SystemExit):
        main([*data, '--output', str(tmp_path / 'suite'), '--only', 'moon_walk'])
    assert 'crossing_far' in capsys.readouterr().err


def test_command_line_writes_a_sequence(shared_folder, tmp_path, capsys):
    folder = tmp_path / 'suite'
    main(
        ['--data', str(shared_folder / 'data'), '--output', str(folder), '--only', 'pavement_5fps']
    )
    assert [path.name for path in folder.iterdir()] == ['pavement_5fps']
    assert len(list(open_source(folder / 'pavement_5fps'))) == 60
    assert 'pavement_5fps' in capsys.readouterr().out
