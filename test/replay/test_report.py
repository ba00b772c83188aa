from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from replay_helpers import make_run, make_tracks

from centertrack_ros.datatypes import Tracks
from centertrack_ros.drawing import track_color
from centertrack_ros.replay import plots
from centertrack_ros.replay.evaluation import GroundTruth
from centertrack_ros.replay.report import write_report
from centertrack_ros.replay.summary import summarize
from centertrack_ros.settings import Settings

SCORES = {
    'HOTA': 55.5, 'DetA': 60.0, 'AssA': 51.25, 'MOTA': 82.04, 'IDF1': 70.0,
    'IDSW': 9, 'FP': 120, 'FN': 345,
}  # fmt: skip


class _Recording:
    description = 'video <b>street</b> & square.mp4'
    fps = 10.0
    count = 4

    def __iter__(self):
        return iter(())


@pytest.fixture
def run():
    tracks = [make_tracks([1, 2]), make_tracks([1]), Tracks.empty(), make_tracks([1, 5])]
    return make_run(tracks, latencies=[20.0, 30.0, None, 40.0], mode='live')


@pytest.fixture
def summary(run, spec):
    settings = Settings.from_mapping({'max_age': 1.5, 'birth_threshold': 0.6})
    truth = {'file': 'gt.txt', 'class': 'person'}
    return summarize(run, _Recording(), settings, spec=spec, scores=SCORES, truth=truth)


def _write(tmp_path, run, summary, **arguments):
    write_report(tmp_path / 'report.html', run, summary, **arguments)
    return (tmp_path / 'report.html').read_text(encoding='utf-8')


def _pictures(html):
    return re.findall(r'src="data:([^;]+);base64,([^"]+)"', html)


def test_summary(summary):
    assert summary['frames'] == 4
    assert summary['dropped'] == 1
    assert summary['tracks'] == 3
    assert summary['boxes'] == 5
    assert summary['fps'] == 1.5
    assert summary['latency_ms'] == {'p50': 30.0, 'p95': 39.0, 'p99': 39.8}
    assert list(summary['stage_ms']) == ['preprocess', 'render', 'network', 'decode', 'track']
    assert summary['stage_ms']['network'] == 15.0
    assert summary['stage_ms']['render'] is None
    assert {name: summary[name] for name in SCORES} == SCORES


def test_summary_of_a_run_without_answers(spec):
    run = make_run([Tracks.empty()] * 2, latencies=[None, None])
    summary = summarize(run, _Recording(), Settings(), spec=spec)
    assert summary['latency_ms'] == {'p50': None, 'p95': None, 'p99': None}
    assert (summary['dropped'], summary['fps'], summary['tracks']) == (2, 0.0, 0)
    assert 'MOTA' not in summary


def test_page_needs_no_other_file(tmp_path, run, summary):
    html = _write(tmp_path, run, summary, sample=np.zeros((20, 30, 3), np.uint8))
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert '<script' not in html
    kinds = [kind for kind, _ in _pictures(html)]
    assert kinds == ['image/jpeg'] + ['image/svg+xml'] * 3
    for kind, data in _pictures(html):
        if kind == 'image/svg+xml':
            ElementTree.fromstring(base64.b64decode(data))


def test_page_has_the_figures(tmp_path, run, summary):
    html = _write(tmp_path, run, summary)
    for text in ('82.0 %', '51.2 %', '345', '39.0 ms', 'test engine', 'gt.txt', 'class person'):
        assert text in html
    assert '0.4 (from the model)' in html  # track_threshold is left to the model
    assert re.search(r'class="changed"><td>max_age</td>\s*<td><code>1.5', html)
    assert re.search(r'class="changed"><td>birth_threshold</td>\s*<td><code>0.6', html)


def test_names_are_text_and_no_html(tmp_path, run, summary):
    html = _write(tmp_path, run, summary)
    assert '<b>street' not in html
    assert '&lt;b&gt;street&lt;/b&gt; &amp; square.mp4' in html


def test_page_without_ground_truth_sample_or_tracks(tmp_path, spec):
    run = make_run([Tracks.empty()])
    html = _write(tmp_path, run, summarize(run, _Recording(), Settings(), spec=spec))
    assert 'ground truth' not in html
    assert 'What it saw' not in html


def test_timeline_has_a_bar_per_stretch_in_the_colour_of_the_id(run):
    svg = plots.timeline_svg(run)
    for track_id in (1, 2, 5):
        blue, green, red = track_color(track_id)
        assert f'#{red:02x}{green:02x}{blue:02x}' in svg
    assert plots._runs([3]) == [(3, 3)]
    assert plots._runs([0, 1, 3, 4, 9]) == [(0, 1), (3, 4), (9, 9)]


def test_counts_are_those_of_the_compared_class():
    run = make_run([make_tracks([1, 2, 3], classes=[0, 1, 1])] * 2)
    truth = GroundTruth(Path('gt.txt'), [run.records[0].boxes()], 'car', 1)
    assert plots.object_counts(run, None) == ([3, 3], None)
    assert plots.object_counts(run, truth) == ([2, 2], [3, 0])
    assert '<svg' in plots.counts_svg(run, truth)
    assert '<svg' in plots.counts_svg(run)


def test_time_axis():
    rising = make_run([Tracks.empty()] * 3)
    times, label = plots.image_times(rising.records)
    assert times == pytest.approx([0.0, 0.1, 0.2])
    assert 's)' in label
    standing = make_run([Tracks.empty()] * 3, step_ns=0)
    assert plots.image_times(standing.records)[0].tolist() == [1, 2, 3]


def test_many_ids(run):
    many = make_run([make_tracks(range(1, 200))])
    assert '<svg' in plots.timeline_svg(many)
