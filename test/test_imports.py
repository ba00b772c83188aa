"""Who may import what: ROS in one folder, torch in training, and the runtime without training."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = sorted((ROOT / 'centertrack_ros').rglob('*.py'))
ROS = {
    'rclpy', 'sensor_msgs', 'vision_msgs', 'std_msgs', 'std_srvs', 'diagnostic_msgs',
    'geometry_msgs', 'lifecycle_msgs', 'visualization_msgs', 'rcl_interfaces',
    'builtin_interfaces', 'ament_index_python', 'cv_bridge', 'diagnostic_updater',
}  # fmt: skip


def _imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or '').split('.')[0])
    return found


@pytest.mark.parametrize('path', RUNTIME, ids=lambda path: str(path.relative_to(ROOT)))
def test_runtime_module(path):
    imported = _imports(path)
    assert 'training' not in imported
    if 'ros' not in path.relative_to(ROOT).parts:
        assert not imported & ROS
    if path != ROOT / 'centertrack_ros' / 'engines' / 'pytorch.py':
        assert 'torch' not in imported
    # Engines import their library when they are built.
    assert not _imports(path, top_level_only=True) & {'torch', 'onnxruntime', 'openvino'}


def test_training_does_not_import_ros():
    for path in (ROOT / 'training').rglob('*.py'):
        assert not _imports(path) & ROS, path
