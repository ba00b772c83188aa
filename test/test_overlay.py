"""The vision_msgs in use is the released one as far as any other node can tell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Type name -> RIHS01 hash of vision_msgs 4.1.1 as released.
RELEASED = json.loads((Path(__file__).parent / 'data' / 'vision_msgs.json').read_text())

ROUND_TRIP = """
from rclpy.serialization import deserialize_message, serialize_message
from vision_msgs.msg import Detection2D, Detection2DArray
sent = Detection2DArray()
sent.header.frame_id = 'camera'
sent.detections.append(Detection2D(id='7'))
assert deserialize_message(serialize_message(sent), Detection2DArray) == sent
"""


def type_descriptions() -> Path:
    """Return the folder of the installed package's type description files."""
    import vision_msgs

    for prefix in Path(vision_msgs.__file__).parents:
        folder = prefix / 'share' / 'vision_msgs' / 'msg'
        if folder.is_dir():
            if not list(folder.glob('*.json')):
                pytest.skip('this ROS has no type hashes (they came after Humble)')
            return folder
    raise AssertionError(f'no share/vision_msgs/msg above {vision_msgs.__file__}')


def test_has_the_released_messages_and_no_others():
    assert {path.stem for path in type_descriptions().glob('*.json')} == RELEASED.keys()


@pytest.mark.parametrize('name', RELEASED)
def test_type_hash_equals_the_released_one(name):
    document = json.loads((type_descriptions() / f'{name}.json').read_text())
    hashes = {entry['type_name']: entry['hash_string'] for entry in document['type_hashes']}
    assert hashes[f'vision_msgs/msg/{name}'] == RELEASED[name]


@pytest.mark.skipif('ROS_DISTRO' in os.environ, reason='an installed ROS needs its variables')
def test_plain_interpreter_loads_the_messages_without_any_variable_set(tmp_path):
    reply = subprocess.run(
        [sys.executable, '-c', ROUND_TRIP],
        env={'HOME': str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert reply.returncode == 0, reply.stderr
