"""From settings to a running pipeline: the only place where settings are unpacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from centertrack_ros.datatypes import IntArray
from centertrack_ros.engines import create_engine
from centertrack_ros.engines.base import Engine
from centertrack_ros.engines.files import is_variant
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.settings import FROM_MODEL, Settings
from centertrack_ros.tracker import Tracker, create_tracker

MODEL_SUFFIXES = ('.onnx', '.pt2')
# Shipped models go by what follows it too: `pose`.
PREFIX = 'centertrack_'


def build_pipeline(settings: Settings) -> TrackingPipeline:
    """Load the model and make the loop.

    Raises:
        FileNotFoundError: the model or its spec does not exist.
        ValueError: the spec does not fit the model, or a class name is unknown.
        ImportError: the engine's library is not installed; the message says what to install.
    """
    model_path = find_model(settings.model)
    spec = ModelSpec.load(model_path)
    # Before the engine is loaded, which takes longer than to find a wrong name.
    _class_indices(settings.class_filter, spec)
    engine = create_engine(
        model_path,
        spec,
        engine=settings.engine,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
    )
    return assemble_pipeline(engine, spec, settings)


def assemble_pipeline(engine: Engine, spec: ModelSpec, settings: Settings) -> TrackingPipeline:
    """The loop around an engine that runs already; what `settings` say of it is not used.

    Raises:
        ValueError: a class name is unknown.
    """
    pipeline = TrackingPipeline(
        engine,
        spec,
        build_tracker(settings, spec.thresholds),
        detection_threshold=_threshold(settings.detection_threshold, spec.thresholds.detection),
        class_indices=_class_indices(settings.class_filter, spec),
        max_gap=settings.max_gap,
    )
    _set_joint_filter(pipeline, settings)
    return pipeline


def build_tracker(settings: Settings, thresholds: Thresholds) -> Tracker:
    """Make the tracker that `settings.tracker_method` names."""
    return create_tracker(
        settings.tracker_method,
        track_threshold=_threshold(settings.track_threshold, thresholds.track),
        birth_threshold=_threshold(settings.birth_threshold, thresholds.birth),
        prior_threshold=_threshold(settings.prior_threshold, thresholds.prior),
        max_age=settings.max_age,
        max_age_frames=settings.max_age_frames,
        camera_motion=settings.camera_motion,
    )


def update_pipeline(pipeline: TrackingPipeline, settings: Settings) -> None:
    """Take over the live settings without losing tracks.

    Raises:
        ValueError: a class name is unknown; nothing was changed.
    """
    class_indices = _class_indices(settings.class_filter, pipeline.spec)
    thresholds = pipeline.spec.thresholds
    pipeline.class_indices = class_indices
    pipeline.detection_threshold = _threshold(settings.detection_threshold, thresholds.detection)
    pipeline.max_gap = settings.max_gap
    pipeline.tracker.parameters = build_tracker(settings, thresholds).parameters
    _set_joint_filter(pipeline, settings)


def models_folder() -> Path:
    """Where the shipped models lie: the installed share folder, else the source tree."""
    source = Path(__file__).resolve().parent.parent / 'models'
    if source.is_dir():
        return source
    # Installed by colcon: <prefix>/lib/python3.X/site-packages/centertrack_ros/factory.py.
    prefix = Path(__file__).resolve().parents[4]
    return prefix / 'share' / 'centertrack_ros' / 'models'


def find_model(model: str) -> Path:
    """Path of a model given by path or by the name of a shipped one, also without its prefix.

    Raises:
        FileNotFoundError: neither exists; the message lists what is there.
        ValueError: it is the file of one precision of a model, which is chosen by `precision`.
    """
    path = Path(model).expanduser()
    if path.suffix in MODEL_SUFFIXES:
        if not path.is_file():
            raise FileNotFoundError(f'model {path} does not exist')
        base = path.with_suffix('').with_suffix('.onnx')
        if is_variant(path) and not path.with_suffix('.json').is_file() and base.is_file():
            raise ValueError(
                f'model: expected {base}, with the parameter precision for what lies beside it, '
                f'received {path}'
            )
        return path
    for name in (model, f'{PREFIX}{model}'):
        shipped = models_folder() / f'{name}.onnx'
        if shipped.is_file():
            return shipped
    found = models_folder().glob('*.onnx')
    names = sorted(path.stem.removeprefix(PREFIX) for path in found if not is_variant(path))
    raise FileNotFoundError(
        f'model {model!r}: expected the path of a file ending in {MODEL_SUFFIXES} or one of the '
        f'shipped models {names} in {models_folder()}'
    )


def _set_joint_filter(pipeline: TrackingPipeline, settings: Settings) -> None:
    joints = pipeline.followers.joints
    if joints is not None:
        joints.threshold, joints.smooth = settings.joint_threshold, settings.smooth_joints


def _threshold(value: float, from_model: float) -> float:
    return from_model if value == FROM_MODEL else value


def _class_indices(class_filter: tuple[str, ...], spec: ModelSpec) -> IntArray | None:
    if not class_filter:
        return None
    unknown = sorted(set(class_filter) - set(spec.classes))
    if unknown:
        raise ValueError(
            f'class_filter: {unknown} are not classes of {spec.name}; it knows {spec.classes}'
        )
    return np.array([spec.classes.index(name) for name in class_filter], dtype=np.int64)
