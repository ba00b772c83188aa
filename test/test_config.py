"""The shipped configuration agrees with the code."""

from dataclasses import replace
from pathlib import Path

import yaml

from centertrack_ros.settings import Settings

CONFIG = Path(__file__).parents[1] / 'config'


def test_tracker_yaml_holds_the_defaults():
    settings = Settings.from_yaml(CONFIG / 'tracker.yaml')
    # An empty list of strings cannot be written in a ROS 2 parameter file.
    assert replace(settings, class_filter=()) == Settings()
    assert not any(settings.class_filter)


def test_rviz_shows_the_overlay_reliably():
    document = yaml.safe_load((CONFIG / 'tracker.rviz').read_text(encoding='utf-8'))
    manager = document['Visualization Manager']
    (display,) = manager['Displays']
    assert display['Class'] == 'rviz_default_plugins/Image'
    assert display['Enabled'] is True
    assert display['Topic']['Value'] == '/overlay'
    assert display['Topic']['Reliability Policy'] == 'Reliable'
    panels = [panel['Class'] for panel in document['Panels']]
    assert all(name.startswith('rviz_common/') for name in panels)
