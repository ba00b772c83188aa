"""The benchmark of the node, run for real and for a second."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_rows_say_what_went_through_the_node(tmp_path):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    pytest.importorskip('vision_msgs', reason='needs vision_msgs')
    command = [sys.executable, '-m', 'benchmarks.node', '--sizes', '320x240']
    command += ['--transports', 'compressed', '--cameras', '2', '--rate', '4', '--seconds', '2']
    command += ['--engine', 'onnxruntime', '--threads', '1', '--json', str(tmp_path / 'node.json')]
    # Without a domain of the user's the benchmark takes one of its own.
    environment = {name: value for name, value in os.environ.items() if name != 'ROS_DOMAIN_ID'}
    reply = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert reply.returncode == 0, reply.stderr
    document = json.loads((tmp_path / 'node.json').read_text())
    (row,) = document['rows']
    assert (row['size'], row['transport'], row['cameras']) == ('320x240', 'compressed', 2)
    assert row['sent'] == 16
    assert 0 < row['answered'] == row['sent'] - row['dropped']
    assert 0 < row['p50_ms'] <= row['p95_ms']
    assert row['most_fps'] > 0
    assert row['rss_mib'] > 50
    assert row['stage_ms']['network'] > 0
    assert 'onnxruntime' in row['engine']
    assert '320x240' in reply.stdout
