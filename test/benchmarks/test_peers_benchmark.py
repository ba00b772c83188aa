"""Children and their protocol, the comparison, and that the peer stays outside the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.peers import OURS, compared, main, peer_threads
from benchmarks.speed.arguments import DEFAULT_VIDEO
from benchmarks.speed.peer_environment import make_environment
from benchmarks.speed.protocol import Worker, WorkerError
from benchmarks.speed.turns import IMAGES_PER_TURN, Outcome, Samples, take_turns
from benchmarks.speed.ultralytics_worker import greedy_nms
from centertrack_ros.replay.metrics import overlaps
from centertrack_ros.replay.sources import open_source

ROOT = Path(__file__).resolve().parents[2]
# Counts images, and pretends that each takes some milliseconds.
CHILD = """
import os, sys
from benchmarks.speed.frames import read_turn
from benchmarks.speed.protocol import serve
state = {}
def begin(milliseconds, most):
    print('not an answer')
    os.write(1, b'nor is this')
    state.update(milliseconds=milliseconds, most=most, seen=0)
    return {'name': 'counter'}
def run(path):
    images, stamps_ns = read_turn(path)
    state['seen'] += len(images)
    if state['seen'] > state['most']:
        raise ValueError(f"no more than {state['most']} images")
    sizes = [int(image.shape[1]) for image in images]
    times = [state['milliseconds']] * len(images)
    return {'step_ms': times, 'stage_ms': {'width': sizes}, 'objects': [state['seen']]}
def leave():
    sys.exit('it is late')
serve({'open': begin, 'run': run, 'leave': leave}, expected=(ValueError,))
"""


@pytest.fixture
def start(tmp_path):
    """Start a child with the module above."""
    (tmp_path / 'counting_worker.py').write_text(CHILD)
    workers = []

    def begin(milliseconds=1.0, most=1000):
        worker = Worker('counting_worker', environment={'PYTHONPATH': str(tmp_path)})
        workers.append(worker)
        assert worker.ask('open', milliseconds=milliseconds, most=most) == {'name': 'counter'}
        return worker

    yield begin
    for worker in workers:
        worker.close()


def test_children_take_turns_with_the_same_images(start):
    images = IMAGES_PER_TURN + 3
    workers = {'a': start(2.0), 'b': start(8.0)}
    outcome = take_turns(workers, open_source(DEFAULT_VIDEO), limit=images)
    assert outcome.images == images
    assert not outcome.errors
    assert outcome.samples['a'].objects == [IMAGES_PER_TURN, images]
    assert set(outcome.samples['b'].stage_ms['width']) == {768}
    assert outcome.samples['b'].step_ms() == [8.0] * (images - 2 * 2)


def test_child_that_fails_leaves_the_others_alone(start):
    workers = {'short': start(most=IMAGES_PER_TURN), 'long': start()}
    outcome = take_turns(workers, open_source(DEFAULT_VIDEO), limit=2 * IMAGES_PER_TURN)
    assert outcome.errors == {'short': f'no more than {IMAGES_PER_TURN} images'}
    assert outcome.samples['long'].objects[-1] == 2 * IMAGES_PER_TURN


def test_end_of_a_child_is_told_with_its_last_words(start):
    worker = start()
    with pytest.raises(WorkerError, match=r'code 1: not an answer\s+nor is this\s*it is late'):
        worker.ask('leave')
    with pytest.raises(WorkerError, match='it is late'):
        worker.ask('run', path='')


def test_child_ends_with_its_block(start):
    with start() as worker:
        pid = worker.pid
        assert Path(f'/proc/{pid}').exists()
    assert not Path(f'/proc/{pid}').exists()


def outcome_of(milliseconds):
    samples = {}
    for name, value in milliseconds.items():
        samples[name] = Samples()
        samples[name].add(
            {
                'step_ms': [value] * 5,
                'stage_ms': {'network': [value / 2] * 5},
                'objects': [3] * 5,
            }
        )
    return Outcome(samples, {}, 5)


def test_ratio_is_against_the_faster_of_the_peers_rows():
    document = compared(outcome_of({OURS: 10.0, 'peer a': 50.0, 'peer b': 80.0}), 640)
    assert [row.get('ratio') for row in document['rows']] == [None, 5.0, 8.0]
    assert document['ratio'] == 5.0
    assert document['rows'][0]['fps'] == 100.0
    assert document['rows'][0]['other_percent'] == 50.0
    assert any('random' in text for text in document['not_compared'])


def test_comparison_without_one_of_them_is_refused():
    outcome = outcome_of({OURS: 10.0})
    with pytest.raises(WorkerError, match='peer: it stopped'):
        compared(Outcome(outcome.samples, {'peer': 'it stopped'}, 5), 640)


def test_peer_gets_as_many_threads_as_ours_and_its_own_choice():
    assert list(peer_threads(3).values()) == [3, 0]
    assert min(next(iter(peer_threads(0).values())), 1) == 1


def test_suppression_keeps_the_best_of_each_group():
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 60, (80, 2))
    boxes = np.hstack([corners, corners + generator.uniform(5, 40, (80, 2))])
    scores = generator.permutation(80) / 80
    kept = greedy_nms(torch.tensor(boxes), torch.tensor(scores), 0.4).tolist()
    shared = overlaps(boxes, boxes)
    assert scores[kept].tolist() == sorted(scores[kept], reverse=True)
    assert (shared[np.ix_(kept, kept)] > 0.4).sum() == len(kept)
    for index in set(range(80)) - set(kept):
        assert any(shared[index, k] > 0.4 and scores[k] > scores[index] for k in kept)
    assert len(greedy_nms(torch.zeros(0, 4), torch.zeros(0), 0.4)) == 0


def test_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / 'letter.txt').write_text('dear')
    with pytest.raises(ValueError, match='--venv'):
        make_environment(tmp_path)
    assert main(['--venv', str(tmp_path)]) == 1
    assert '--venv' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['letter.txt']


def test_peer_is_no_dependency():
    """Ultralytics is under the AGPL."""
    lists = [*ROOT.glob('requirements/*.txt'), ROOT / 'setup.py', ROOT / 'package.xml']
    assert len(lists) > 5
    assert not [path for path in lists if 'ultralytics' in path.read_text().lower()]
    files = [
        path
        for folder in ('centertrack_ros', 'training')
        for path in (ROOT / folder).rglob('*.py')
    ]
    assert not [path for path in files if 'import ultralytics' in path.read_text()]
