"""Every parameter of the tracker, once: default, range, meaning, and whether it may change live.

The node declares its ROS parameters from this table, `config/tracker.yaml` and the table in the
README are generated from it (`python -m centertrack_ros.settings --yaml | --markdown`), and the
replay command reads the same YAML. Settings stop at `factory.py`: modules get plain values.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

FROM_MODEL = -1.0


@dataclass(frozen=True)
class Parameter:
    """One row of the table.

    Attributes:
        name: name of the parameter and of the field of `Settings`.
        default: its value when nothing is said; also fixes the type.
        description: one sentence for people.
        live: True if it can be changed while the node runs.
        minimum, maximum: inclusive bounds of numbers, None = unbounded.
        choices: permitted strings, empty = any.
    """

    name: str
    default: Any
    description: str
    live: bool
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]


def _parameter(
    default: Any,
    description: str,
    *,
    live: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    metadata = {
        'description': description,
        'live': live,
        'minimum': minimum,
        'maximum': maximum,
        'choices': choices,
    }
    return field(default=default, metadata=metadata)


def _threshold(description: str) -> Any:
    return _parameter(
        FROM_MODEL,
        f'{description}; -1 = the value in the model file',
        live=True,
        minimum=-1.0,
        maximum=1.0,
    )


@dataclass(frozen=True)
class Settings:
    """Values of all parameters. Build it with `from_mapping`, which checks them."""

    model: str = _parameter(
        'centertrack_mobilenetv3',
        'name of a shipped model (mobilenetv3, pose, demo_3d), or path of an .onnx or .pt2 file '
        'with its ModelSpec beside it',
    )
    engine: str = _parameter(
        'auto',
        'inference library; auto: the fastest of those installed, measured at the first start',
        choices=('auto', 'onnxruntime', 'openvino', 'tensorrt', 'pytorch'),
    )
    device: str = _parameter(
        'auto',
        'auto, cpu, cuda, cuda:N; tensorrt or tensorrt:N for that provider of onnxruntime',
    )
    precision: str = _parameter(
        'auto',
        'what the network computes in; auto: the fastest that is accurate enough with engine '
        'auto, else fp32 on a CPU and fp16 on a GPU',
        choices=('auto', 'fp32', 'fp16', 'bf16', 'int8'),
    )
    threads: int = _parameter(
        0, 'CPU threads of the engine; 0 = all cores', minimum=0, maximum=1024
    )
    cameras: tuple[str, ...] = _parameter(
        (),
        'names of several cameras that share the model: images on <name>/image, tracks on '
        '<name>/tracks; empty = one camera on image',
    )
    image_transport: str = _parameter(
        'raw', 'raw: sensor_msgs/Image, compressed: CompressedImage', choices=('raw', 'compressed')
    )
    image_reliability: str = _parameter(
        'auto',
        'reliability of the image subscription; auto: reliable, and best effort where a publisher '
        'offers no more',
        choices=('auto', 'best_effort', 'reliable'),
    )
    autostart: bool = _parameter(True, 'configure and activate the lifecycle node at start')
    class_id_format: str = _parameter(
        'name',
        'what class_id holds: the class name or its index in the model',
        choices=('name', 'index'),
    )
    class_filter: tuple[str, ...] = _parameter(
        (), 'class names to track; empty = all classes of the model', live=True
    )
    detection_threshold: float = _threshold('candidates with a lower score are dropped')
    track_threshold: float = _threshold('score from which a detection is associated first')
    birth_threshold: float = _threshold('score above which an unmatched detection starts a track')
    prior_threshold: float = _threshold('score from which a track enters the prior heatmap')
    tracker_method: str = _parameter(
        'robust',
        'robust: offsets, motion, coasting and low-score recovery; centertrack and '
        'centertrack_hungarian: exactly the original rule',
        choices=('robust', 'centertrack', 'centertrack_hungarian'),
    )
    max_age: float = _parameter(
        2.0,
        'seconds for which a lost track is kept (method robust)',
        live=True,
        minimum=0.0,
        maximum=600.0,
    )
    max_age_frames: int = _parameter(
        -1,
        'images for which a lost track is kept (methods centertrack*); -1 = none, as the original',
        live=True,
        minimum=-1,
        maximum=100000,
    )
    joint_threshold: float = _parameter(
        0.2,
        'score from which a joint is seen (models with joints)',
        live=True,
        minimum=0.0,
        maximum=1.0,
    )
    smooth_joints: bool = _parameter(
        True,
        'smooth the joints of each track over time (models with joints); false gives them as the '
        'network sees them',
        live=True,
    )
    camera_motion: bool = _parameter(
        True,
        'follow the motion of the camera (method robust); false saves about a millisecond where '
        'it stands still',
        live=True,
    )
    max_gap: float = _parameter(
        2.0,
        'seconds without an image after which the tracker starts anew',
        live=True,
        minimum=0.0,
        maximum=3600.0,
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Settings:
        """Check and take values by name; the rest keep their defaults.

        Raises:
            ValueError: an unknown name or a value out of range.
            TypeError: a value of the wrong type.
        """
        table = {row.name: row for row in parameters()}
        unknown = sorted(values.keys() - table.keys())
        if unknown:
            raise ValueError(f'unknown parameters {unknown}; known are {sorted(table)}')
        return cls(**{name: _checked(table[name], value) for name, value in values.items()})

    @classmethod
    def from_yaml(cls, path: Path) -> Settings:
        """Read a ROS 2 parameter file (`/**: ros__parameters: ...`) or a plain mapping.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no parameter file, or holds a wrong value; the message names it.
        """
        text = Path(path).read_text(encoding='utf-8')
        try:
            document = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise ValueError(f'{path} is not valid YAML: {error}') from error
        if not isinstance(document, dict):
            raise ValueError(f'{path}: expected a mapping, received {type(document).__name__}')
        values: dict[str, Any] = {}
        for key, entry in document.items():
            if isinstance(entry, dict):
                values.update(entry.get('ros__parameters', {}))
            else:
                values[key] = entry
        values.pop('use_sim_time', None)
        try:
            return cls.from_mapping(values)
        except (ValueError, TypeError) as error:
            raise ValueError(f'{path}: {error}') from error


def parameters() -> tuple[Parameter, ...]:
    """The table, in the order of declaration."""
    return tuple(
        Parameter(name=entry.name, default=entry.default, **entry.metadata)
        for entry in fields(Settings)
    )


def _checked(row: Parameter, value: Any) -> Any:
    kind = type(row.default)
    if kind is tuple:
        if isinstance(value, str) or not all(isinstance(item, str) for item in value):
            raise TypeError(f'{row.name}: expected a list of strings, received {value!r}')
        # ROS cannot tell the type of an empty list; its parameter files hold [''] instead.
        return tuple(item for item in value if item)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise TypeError(
            f'{row.name}: expected {kind.__name__}, received {type(value).__name__} {value!r}'
        )
    if row.choices and value not in row.choices:
        raise ValueError(f'{row.name}: expected one of {list(row.choices)}, received {value!r}')
    below = row.minimum is not None and not value >= row.minimum
    above = row.maximum is not None and not value <= row.maximum
    if below or above:
        raise ValueError(f'{row.name}: expected {row.minimum} to {row.maximum}, received {value}')
    return value


def to_yaml() -> str:
    """`config/tracker.yaml`: every parameter with its default, range and meaning."""
    lines = [
        '# Every parameter of the node with its default.',
        '# Generated: python -m centertrack_ros.settings --yaml > config/tracker.yaml',
        '/**:',
        '  ros__parameters:',
    ]
    for row in parameters():
        lines.append(f'    # {row.description} ({_note(row)})')
        # See `_checked`.
        default = [''] if row.default == () else row.default
        lines.append(f'    {row.name}: {yaml.safe_dump(default, default_flow_style=True).strip()}')
    return '\n'.join(line.removesuffix(' ...').replace('\n...', '') for line in lines) + '\n'


def to_markdown() -> str:
    """The parameter table of the README."""
    lines = ['| parameter | default | range | live | meaning |', '|---|---|---|---|---|']
    for row in parameters():
        default = '[]' if row.default == () else row.default
        live = 'yes' if row.live else 'no'
        span = _span(row)
        lines.append(f'| `{row.name}` | `{default}` | {span} | {live} | {row.description} |')
    return '\n'.join(lines) + '\n'


def _span(row: Parameter) -> str:
    if row.choices:
        return ', '.join(row.choices)
    if row.minimum is None and row.maximum is None:
        return ''
    return f'{row.minimum:g} to {row.maximum:g}'


def _note(row: Parameter) -> str:
    when = 'live' if row.live else 'read-only'
    return f'{_span(row)}; {when}' if _span(row) else when


def main() -> None:
    """Print the table as YAML or Markdown."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument('--yaml', action='store_true', help='config/tracker.yaml')
    group.add_argument('--markdown', action='store_true', help="the README's table")
    print(to_yaml() if parser.parse_args().yaml else to_markdown(), end='')


if __name__ == '__main__':
    main()
