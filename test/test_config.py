"""The shipped configuration agrees with the code."""

from dataclasses import replace
from pathlib import Path

import yaml

from centertrack_ros.replay.sources import DEFAULT_FRAME_ID
from centertrack_ros.settings import Settings

CONFIG = Path(__file__).parents[1] / 'config'


def test_tracker_yaml_holds_the_defaults():
    settings = Settings.from_yaml(CONFIG / 'tracker.yaml')
    # An empty list of strings cannot be written in a ROS 2 parameter file.
    assert replace(settings, class_filter=()) == Settings()
    assert not any(settings.class_filter)


def test_rviz_shows_overlay_boxes_and_markers_reliably():
    document = yaml.safe_load((CONFIG / 'tracker.rviz').read_text(encoding='utf-8'))
    manager = document['Visualization Manager']
    displays = {
        display['Topic']['Value']: display for display in manager['Displays'] if 'Topic' in display
    }
    classes = {topic: display['Class'] for topic, display in displays.items()}
    assert classes == {
        '/overlay': 'rviz_default_plugins/Image',
        '/tracks_3d': 'vision_msgs_rviz_plugins/Detection3DArray',
        '/markers': 'rviz_default_plugins/MarkerArray',
    }
    for display in displays.values():
        assert display['Enabled'] is True
        assert display['Topic']['Reliability Policy'] == 'Reliable'
    assert manager['Global Options']['Fixed Frame'] == DEFAULT_FRAME_ID
    panels = [panel['Class'] for panel in document['Panels']]
    assert all(name.startswith('rviz_common/') for name in panels)
