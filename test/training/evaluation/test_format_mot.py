from __future__ import annotations

import pytest
from format_scenes import make_detections, make_result, make_set

from centertrack_ros.replay.metrics import evaluate
from centertrack_ros.replay.mot_files import read_mot
from training.evaluation.mot import mot_scores, person_class, write_mot

LENGTHS = {'TUD-Campus': 71, 'TUD-Stadtmitte': 179}
PERSON, OTHER = [0, 0, 10, 20], [50, 0, 60, 20]


def _tud(data_folder, names, first=1):
    """A tracker's results from image `first` on, as if our model had given them."""
    pictures, results, videos = [], [], {}
    for name in names:
        frames = read_mot(data_folder / 'metrics' / 'results' / f'{name}.txt')
        numbers = range(first, LENGTHS[name] + 1)
        videos[name] = list(range(len(results), len(results) + len(numbers)))
        pictures += [f'{name}/img1/{number:06d}.jpg' for number in numbers]
        found = [make_result(make_detections(f.boxes, f.scores), f.ids) for f in frames]
        found += [make_result()] * (LENGTHS[name] - len(frames))
        results += found[first - 1 :]
    return make_set(pictures, videos=videos), results


def _scores(truth, result_boxes, tmp_path, name='MOT17-02'):
    """Scores of one image with the rows `truth` of `gt.txt`."""
    path = tmp_path / 'gt' / name / 'gt' / 'gt.txt'
    path.parent.mkdir(parents=True)
    path.write_text(truth)
    evaluation_set = make_set([f'{name}/img1/000001.jpg'], videos={name: [0]})
    result = make_result(make_detections(result_boxes))
    return mot_scores(tmp_path / 'gt', evaluation_set, [result]).overall


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['TUD-Campus'], {'MOT_MOTA': 52.6, 'MOT_IDF1': 55.8, 'MOT_FP': 13, 'MOT_FN': 150}),
        (['TUD-Stadtmitte'], {'MOT_MOTA': 56.4, 'MOT_IDF1': 64.5, 'MOT_FP': 45, 'MOT_FN': 452}),
        (list(LENGTHS), {'MOT_MOTA': 55.5, 'MOT_IDF1': 62.4, 'MOT_IDSW': 14}),
    ],
)
def test_published_scores_of_tud(data_folder, names, expected):
    scores = mot_scores(data_folder / 'metrics' / 'gt', *_tud(data_folder, names)).overall
    assert {name: round(scores[name], 1) for name in expected} == expected


def test_files_say_what_was_given(data_folder, tmp_path):
    paths = write_mot(tmp_path / 'out', *_tud(data_folder, list(LENGTHS)))
    assert [path.stem for path in paths] == list(LENGTHS)
    truth = read_mot(data_folder / 'metrics' / 'gt' / 'TUD-Campus' / 'gt' / 'gt.txt')
    scores = evaluate(truth, read_mot(paths[0]))
    assert round(scores['MOTA'], 1) == 52.6


def test_a_half_is_compared_with_its_own_images_and_keeps_their_numbers(data_folder, tmp_path):
    half = _tud(data_folder, ['TUD-Campus'], first=36)
    truth = read_mot(data_folder / 'metrics' / 'gt' / 'TUD-Campus' / 'gt' / 'gt.txt')
    result = read_mot(data_folder / 'metrics' / 'results' / 'TUD-Campus.txt')
    expected = evaluate(truth[35:], result[35:])
    scores = mot_scores(data_folder / 'metrics' / 'gt', *half).overall
    assert scores == {f'MOT_{name}': value for name, value in expected.items()}
    (path,) = write_mot(tmp_path, *half)
    written = read_mot(path)
    assert not any(map(len, written[:35]))
    assert sum(map(len, written[35:])) == sum(map(len, result[35:])) > 0


def test_distractors_count_neither_way_where_the_truth_has_classes(tmp_path):
    truth = '1,1,0,0,10,20,1,1,1\n1,2,50,0,10,20,0,8,1\n'
    scores = _scores(truth, [PERSON, OTHER], tmp_path / 'a')
    assert (scores['MOT_FP'], scores['MOT_FN']) == (0, 0)
    scores = _scores(truth.replace(',0,8,', ',0,3,'), [PERSON, OTHER], tmp_path / 'b')
    assert scores['MOT_FP'] == 1


@pytest.mark.parametrize(('name', 'wrong'), [('MOT17-02', 1), ('MOT20-01', 0)])
def test_other_vehicles_are_distractors_in_mot20(name, wrong, tmp_path):
    truth = '1,1,0,0,10,20,1,1,1\n1,2,50,0,10,20,0,6,1\n'
    assert _scores(truth, [PERSON, OTHER], tmp_path, name)['MOT_FP'] == wrong


def test_malformed_truth_is_named_with_its_line(tmp_path):
    with pytest.raises(ValueError, match=r'gt\.txt, line 2: expected frame, id'):
        _scores('1,1,0,0,10,20,1,1,1\n1,2,x,0,10,20,0,6,1\n', [PERSON], tmp_path / 'a')
    with pytest.raises(ValueError, match=r'MOT17-02: TrackEval refuses.* 14'):
        _scores('1,1,0,0,10,20,1,14,1\n', [PERSON], tmp_path / 'b')
    with pytest.raises(FileNotFoundError, match='ground truth of a sequence'):
        mot_scores(tmp_path, make_set(['000001.jpg'], videos={'S': [0]}), [make_result()])


def test_only_persons_of_several_classes_are_written(tmp_path):
    names = ('car', 'person')
    result = make_result(make_detections([PERSON, OTHER], classes=[0, 1]))
    evaluation_set = make_set(['a.jpg'], class_names=names, videos={'S': [0]})
    (path,) = write_mot(tmp_path, evaluation_set, [result])
    assert path.read_text() == '1,2,50.000,0.000,10.000,20.000,0.9000,-1,-1,-1\n'
    with pytest.raises(ValueError, match='pedestrian'):
        person_class(make_set(['a.jpg'], class_names=('car', 'bus')))


def test_stills_and_videos_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match='1 still pictures'):
        write_mot(tmp_path, make_set(['a.jpg']), [make_result()])
    twice = make_set(['a.jpg', 'b.jpg'], videos={'a/b': [0, 1]})
    with pytest.raises(ValueError, match="'a/b'"):
        write_mot(tmp_path, twice, [make_result()] * 2)
