"""Synthetic scenes: exact boxes, ids and visible shares, and files that say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data.backgrounds import (
    Background,
    GroundBackgrounds,
    MixedBackgrounds,
    PhotoBackgrounds,
)
from training.data.cutouts import (
    Cutout,
    CutoutEntry,
    CutoutLibrary,
    make_cutout,
    person_crop_entries,
)
from training.data.labels import FrameLabels, LabelledFrame, warp_points
from training.data.mot_writer import write_mot_sequence
from training.data.scene import CameraMotion, Ground, Walk, compose, sample_walk
from training.data.sequence import UNLABELLED, Actor, Light, SyntheticSequence
from training.data.synthetic import SyntheticSettings, SyntheticSource

SIZE = (120, 160)
GROUND = Ground(focal_px=160, center_px=80, horizon_px=20, camera_height=3, nearest=6, farthest=30)
STILL_CAMERA = CameraMotion(
    center=np.array([80.0, 60.0]),
    middle_time=0.0,
    pan=np.zeros(2),
    zoom=0.0,
    roll=0.0,
    shake=np.zeros((1, 2)),
    frequency=np.ones(1),
    phase=np.zeros((1, 2)),
)
MOVING_CAMERA = CameraMotion(
    center=np.array([80.0, 60.0]),
    middle_time=1.0,
    pan=np.array([6.0, -2.0]),
    zoom=0.05,
    roll=0.0,
    shake=np.array([[2.0, 1.0]]),
    frequency=np.array([2.0]),
    phase=np.array([[0.5, 1.0]]),
)
NO_LIGHT = Light(flicker=0.0, shadow=0.0, shadow_slope=np.zeros(2))


class Photos:
    """Grey photos with one labelled thing each."""

    def __init__(self, count: int = 3) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def frame(self, index: int) -> LabelledFrame:
        """One of them."""
        image = np.full((90, 120, 3), 40 + index, np.uint8)
        image[30:50, 60:70] = (0, 0, 255)
        return LabelledFrame(image, FrameLabels.from_rows([[60, 30, 70, 50]], [1], [1]))


def block_cutout(value: int = 255) -> Cutout:
    """An opaque block, half as wide as high."""
    image = np.full((200, 100, 3), value, np.uint8)
    return make_cutout(image, np.full((200, 100), 255, np.uint8), 'person')


def actor(position: tuple[float, float], number: int = 1, **other: object) -> Actor:
    """A block at a place on the ground."""
    values: dict[str, object] = {
        'cutout': block_cutout(),
        'class_index': 0,
        'track_id': number,
        'height': 1.7,
        'walk': Walk(0.0, np.array(position), 0.0, np.zeros(2), np.zeros(2)),
        'mirrored': False,
        'gait': 0.0,
        'pace': 1.0,
        'gains': np.ones(3),
    }
    return Actor(**{**values, **other})  # type: ignore[arg-type]


def scene(*actors: Actor, camera: CameraMotion = STILL_CAMERA) -> SyntheticSequence:
    """Actors before a black background."""
    background = Background(
        LabelledFrame(np.zeros((*SIZE, 3), np.uint8), FrameLabels.from_rows()),
        np.eye(3)[:2],
    )
    return SyntheticSequence(background, GROUND, camera, actors, NO_LIGHT, SIZE, 4.0, 10.0)


def bright_box(image: np.ndarray) -> list[int]:
    """Edges of what is bright."""
    rows, columns = np.nonzero(image[..., 1] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.fixture(scope='module')
def library(data_folder: Path) -> CutoutLibrary:
    """Three real people."""
    return CutoutLibrary(person_crop_entries(data_folder / 'cutouts'))


@pytest.fixture
def source(library: CutoutLibrary) -> SyntheticSource:
    """Small scenes of real people."""
    settings = SyntheticSettings(height=120, width=160, duration=2.0, max_things=8)
    return SyntheticSource(library, PhotoBackgrounds(Photos()), ('person', 'bottle'), settings)


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('place', [(0.0, 8.0), (-2.0, 12.0), (1.5, 20.0)])
def test_box_is_where_the_thing_is_painted(place: tuple[float, float], mirrored: bool) -> None:
    frame = scene(actor(place, mirrored=mirrored)).render_time(0.0)
    np.testing.assert_allclose(frame.labels.boxes[0], bright_box(frame.image), atol=1.0)
    _, y, scale = GROUND.feet_px(np.array(place))
    np.testing.assert_allclose(frame.labels.boxes[0, 3], y, rtol=1e-5)
    np.testing.assert_allclose(np.diff(frame.labels.boxes[0, [1, 3]]), 1.7 * scale, rtol=1e-5)


def test_nearer_things_hide_farther_ones_by_the_exact_share() -> None:
    # Same column; the near block is twice as large and covers the lower part of the far one.
    frame = scene(actor((0, 16), 1), actor((0, 8), 2)).render_time(0.0)
    far, near = (int(np.flatnonzero(frame.labels.track_ids == number)[0]) for number in (1, 2))
    box_far, box_near = frame.labels.boxes[far], frame.labels.boxes[near]
    hidden = (box_far[3] - box_near[1]) / (box_far[3] - box_far[1])
    assert 0 < hidden < 1
    assert frame.labels.visibilities[far] == pytest.approx(1 - hidden, abs=0.04)
    assert frame.labels.visibilities[near] == 1


def test_amodal_box_does_not_change_when_something_passes_before_it() -> None:
    alone = scene(actor((0, 16))).render_time(0.0)
    passed = scene(actor((0, 16)), actor((0.2, 12), 2)).render_time(0.0)
    row = int(np.flatnonzero(passed.labels.track_ids == 1)[0])
    np.testing.assert_array_equal(passed.labels.boxes[row], alone.labels.boxes[0])
    assert passed.labels.visibilities[row] < 0.7


def test_unlabelled_things_hide_but_have_no_label() -> None:
    frame = scene(actor((0, 16)), actor((0.0, 12), 2, class_index=UNLABELLED)).render_time(0.0)
    np.testing.assert_array_equal(frame.labels.track_ids, [1])
    assert frame.labels.visibilities[0] < 0.5


def test_walkers_come_and_go_at_the_edges() -> None:
    walk = Walk(1.0, np.array([0.0, 10.0]), 1.0, np.array([8.0, 0.0]), np.array([8.0, 0.0]))
    sequence = scene(actor((0, 0), walk=walk))
    counts = [len(sequence.render_time(time).labels) for time in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert counts == [0, 1, 1, 1, 0]
    first, second = sequence.render_time(0.9), sequence.render_time(1.0)
    moved = second.labels.boxes - first.labels.boxes
    # The head bobs by up to a hundredth of the height.
    np.testing.assert_allclose(moved[0], [12.8, 0, 12.8, 0], atol=0.28)


def test_walk_stops_turns_and_goes_on() -> None:
    walk = Walk(1.0, np.zeros(2), 2.0, np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    np.testing.assert_allclose(walk.at(0.0), [-1, 0])
    np.testing.assert_allclose(walk.at(2.0), [1, 0])
    np.testing.assert_allclose(walk.at(3.0), [1, 2])
    late = Walk(3.0, np.zeros(2), 2.0, np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    np.testing.assert_allclose(late.at(1.0), [-1, -2])
    assert walk.shifted(np.array([1.0, 1.0])).at(3.0).tolist() == [2, 3]


def test_sampled_walks_are_in_the_picture_at_some_time() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        walk = sample_walk(GROUND, 160, 4.0, 1.8, generator)
        x, y, _ = GROUND.feet_px(walk.at(walk.time))
        assert -10 <= x <= 170
        assert 20 < y <= 20 + 160 * 3 / 6 + 1e-6


@pytest.mark.parametrize('time', [0.0, 0.7, 1.9])
def test_things_of_the_photo_move_with_the_camera(time: float) -> None:
    background = PhotoBackgrounds(Photos(1)).sample(GROUND, *SIZE, np.random.default_rng(0))
    sequence = SyntheticSequence(background, GROUND, MOVING_CAMERA, [], NO_LIGHT, SIZE, 2.0, 10.0)
    frame = sequence.render_time(time)
    red = np.where(frame.image[..., [2]] > 127, np.uint8(255), np.uint8(0))
    np.testing.assert_allclose(
        frame.labels.boxes[0], bright_box(np.repeat(red, 3, axis=2)), atol=2.5
    )
    assert frame.labels.classes.tolist() == [1]


def test_camera_speed_is_the_derivative_of_its_position() -> None:
    before, after = (MOVING_CAMERA.matrix(time) @ [80.0, 60.0, 1.0] for time in (0.49999, 0.50001))
    np.testing.assert_allclose((after - before) / 2e-5, MOVING_CAMERA.speed(0.5), rtol=1e-4)


def test_half_of_the_cameras_stand_still() -> None:
    cameras = [CameraMotion.sample(160, 120, 4.0, np.random.default_rng(i)) for i in range(400)]
    still = sum(np.allclose(camera.matrix(0.3), np.eye(3)[:2]) for camera in cameras)
    assert 200 < still < 280


def test_ids_stay_over_a_sequence_and_scenes_come_back_by_seed(source: SyntheticSource) -> None:
    first = source.sample_sequence(np.random.default_rng(4))
    again = source.sample_sequence(np.random.default_rng(4))
    centers: dict[int, np.ndarray] = {}
    for index in range(len(first)):
        frame, same = first.render(index), again.render(index)
        np.testing.assert_array_equal(frame.image, same.image)
        assert len(set(frame.labels.track_ids.tolist())) == len(frame.labels)
        for number, box in zip(frame.labels.track_ids, frame.labels.boxes, strict=True):
            center = (box[:2] + box[2:]) / 2
            if number in centers:
                assert np.abs(center - centers[number]).max() < 40
            centers[int(number)] = center
    with pytest.raises(IndexError, match='frame'):
        first.render(len(first))


def test_pairs(source: SyntheticSource) -> None:
    generator = np.random.default_rng(0)
    pairs = [source.sample_pair(generator) for _ in range(30)]
    assert all(pair.framed and not pair.simulate_motion for pair in pairs)
    assert all(pair.current.image.shape == (120, 160, 3) for pair in pairs)
    assert 0 < sum(pair.current is pair.previous for pair in pairs) < 20
    shared = [
        set(pair.current.labels.track_ids.tolist()) & set(pair.previous.labels.track_ids.tolist())
        for pair in pairs
    ]
    assert sum(map(bool, shared)) > 20


def test_mot_folder_says_what_was_rendered(source: SyntheticSource, tmp_path: Path) -> None:
    sequence = source.sample_sequence(np.random.default_rng(4))
    folder = tmp_path / 'scene'
    count = write_mot_sequence(folder, sequence, class_index=0)
    rows = np.loadtxt(folder / 'gt' / 'gt.txt', delimiter=',', ndmin=2)
    assert rows.shape == (count, 9)
    assert len(list((folder / 'img1').glob('*.jpg'))) == len(sequence)
    labels = sequence.render(0).labels
    people = labels.select(labels.classes == 0)
    first = rows[rows[:, 0] == 1]
    assert set(first[:, 1]) == set(people.track_ids.tolist())
    assert (rows[:, 4:6] > 0).all()
    assert (rows[:, 2] + rows[:, 4] <= 160.01).all()
    assert f'seqLength={len(sequence)}' in (folder / 'seqinfo.ini').read_text()
    with pytest.raises(FileExistsError):
        write_mot_sequence(folder, sequence, class_index=0)


def test_source_without_people() -> None:
    library = CutoutLibrary([CutoutEntry('car', block_cutout)])
    with pytest.raises(ValueError, match='person'):
        SyntheticSource(library, PhotoBackgrounds(Photos()), ('person',), SyntheticSettings())


def test_backgrounds() -> None:
    generator = np.random.default_rng(0)
    ground = GroundBackgrounds(Photos()).sample(GROUND, *SIZE, generator)
    assert len(ground.frame.labels) == 0
    # Patches avoid the labelled red thing.
    assert not ((ground.frame.image[..., 2] > 200) & (ground.frame.image[..., 0] < 20)).any()
    mixed = MixedBackgrounds([PhotoBackgrounds(Photos()), GroundBackgrounds(Photos())], [1, 0])
    assert len(mixed.sample(GROUND, *SIZE, generator).frame.labels) == 1
    with pytest.raises(ValueError, match='2 and 1'):
        MixedBackgrounds([PhotoBackgrounds(Photos())] * 2, [1])
    with pytest.raises(ValueError, match='large object'):
        PhotoBackgrounds(Photos(), largest_share=0.001)


def test_ground_homography_is_the_inverse_of_the_projection() -> None:
    place = np.array([2.0, 9.0])
    x, y, _ = GROUND.feet_px(place)
    back = GROUND.floor_of_pixel() @ [x, y, 1.0]
    np.testing.assert_allclose(back[:2] / back[2], place)
    assert GROUND.row_at(9.0) == pytest.approx(y)


def test_compose_is_one_map_after_the_other() -> None:
    generator = np.random.default_rng(0)
    outer, inner = generator.normal(size=(2, 2, 3))
    point = np.array([3.0, -2.0])
    expected = warp_points(warp_points(point, inner), outer)
    np.testing.assert_allclose(warp_points(point, compose(outer, inner)), expected, rtol=1e-5)
