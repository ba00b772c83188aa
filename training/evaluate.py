"""Evaluates a model on labelled sets: the runtime's pipeline over every image, and its metrics.

`python -m training.evaluate --checkpoint runs/mine/best.pt --dataset val.json --images frames`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.progress import progress_bar
from centertrack_ros.settings import Settings
from training.checkpoint import git_commit
from training.config import CocoSet
from training.config_file import load_config
from training.data.catalogue import missing_data_message
from training.evaluation.engines import LoadedModel, load_checkpoint_model, load_onnx_model
from training.evaluation.families import (
    FAMILIES,
    applicable_families,
    check_families,
    score_families,
)
from training.evaluation.mot import person_class
from training.evaluation.multi_scale import detect_at_scales
from training.evaluation.network import distinct_names
from training.evaluation.options import BENCHMARKS, check_options, parser
from training.evaluation.public import (
    PublicDetectionsTracker,
    feed_public,
    load_public_detections,
)
from training.evaluation.report import JSON_FILE, MARKDOWN_FILE, Report, SetReport
from training.evaluation.result_files import RESULT_FILES
from training.evaluation.runner import FrameResult, run_tracking
from training.evaluation.scores import merged_scores
from training.evaluation.sequences import benchmark_videos
from training.evaluation.sets import EvaluationSet, images_folder

EXIT_EXPLAINED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0, or 2 after a line on stderr that says what is wrong."""
    options = parser(__doc__).parse_args(arguments)
    try:
        report = evaluate(options)
        # Shown before it is written: a full disk must not cost the result of hours.
        report.show(Console())
        if options.output is not None:
            report.write(options.output)
            print(f'{options.output / JSON_FILE} and {MARKDOWN_FILE} written')
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f'training.evaluate: {error}', file=sys.stderr)
        return EXIT_EXPLAINED
    return 0


def evaluate(options: argparse.Namespace) -> Report:
    """Run what the command line asks for; result files are written, the report is not.

    Raises:
        FileNotFoundError, ValueError: a file is missing or wrong, or options contradict.
    """
    check_options(options)
    settings = _settings(options)
    model = _load_model(options)
    sets = _load_sets(options, model.spec)
    names = distinct_names([evaluation_set.name for evaluation_set in sets])
    # Of all sets before the first one runs, which may take hours.
    families = [_families(options, evaluation_set, model.spec) for evaluation_set in sets]
    reports = [
        _evaluate_set(options, model, settings, evaluation_set, name, chosen)
        for name, evaluation_set, chosen in zip(names, sets, families, strict=True)
    ]
    return Report(
        model=model.spec.name,
        file=str(options.checkpoint or options.onnx),
        engine=model.engine.name,
        device=model.engine.device,
        commit=git_commit(),
        options=_told(options, settings),
        sets=reports,
    )


def _evaluate_set(
    options: argparse.Namespace,
    model: LoadedModel,
    settings: Settings,
    evaluation_set: EvaluationSet,
    name: str,
    families: Sequence[str],
) -> SetReport:
    """Run the model on a set, write the result files asked for, and score it."""
    with progress_bar(len(evaluation_set), name) as bar:
        if options.scales:
            results = detect_at_scales(
                model.engine,
                model.spec,
                evaluation_set,
                options.scales,
                resolution=options.resolution,
                size_multiple=model.size_multiple,
                progress=bar.update,
            )
        else:
            results = _track(options, model, settings, evaluation_set, bar.update)
    for kind in options.results:
        RESULT_FILES[kind](options.output / name / kind, evaluation_set, results)
    scores = [score_families(families, evaluation_set, results)]
    scores += [
        BENCHMARKS[metric](options.benchmark_truth, evaluation_set, results)
        for metric in options.metrics
        if metric in BENCHMARKS
    ]
    seconds = sum(result.seconds for result in results)
    resets = sum(bool(result.reset_reason) for result in results)
    merged = merged_scores(scores)
    return SetReport(name, evaluation_set.source, len(results), seconds, merged, resets)


def _track(
    options: argparse.Namespace,
    model: LoadedModel,
    settings: Settings,
    evaluation_set: EvaluationSet,
    progress: Callable[[], object],
) -> list[FrameResult]:
    """The runtime's pipeline over a set."""
    pipeline = assemble_pipeline(model.engine, model.spec, settings)
    # The first run of a network is slow: the node warms it up too.
    pipeline.step(np.zeros((model.spec.input_height, model.spec.input_width, 3), np.uint8), 0.0)
    run = partial(run_tracking, pipeline, evaluation_set, progress=progress)
    if options.public_detections is None:
        return run()
    pipeline.tracker = PublicDetectionsTracker(pipeline.tracker)
    public = load_public_detections(options.public_detections, evaluation_set)
    return run(before_image=feed_public(pipeline, public))


def _load_model(options: argparse.Namespace) -> LoadedModel:
    if options.onnx is not None:
        return load_onnx_model(options.onnx, device=options.device)
    return load_checkpoint_model(options.checkpoint, device=options.device, flip=options.flip)


def _settings(options: argparse.Namespace) -> Settings:
    """Of the tracker, as the node would have them."""
    file = options.params_file
    settings = Settings() if file is None else Settings.from_yaml(file)
    if options.tracker:
        settings = replace(settings, tracker_method=options.tracker)
    if options.classes:
        settings = replace(settings, class_filter=tuple(options.classes))
    if options.public_detections is not None and settings.tracker_method == 'robust':
        raise ValueError(
            '--public-detections: expected --tracker centertrack or centertrack_hungarian, which '
            'have a rule for them, received robust'
        )
    return settings


def _load_sets(options: argparse.Namespace, spec: ModelSpec) -> list[EvaluationSet]:
    load = partial(
        EvaluationSet.load,
        class_names=spec.classes,
        joint_names=spec.joints,
        outlines='conv_weight' in spec.heads,
        faults=options.faults,
    )
    skipped = tuple(options.skip_categories)
    if options.config is None:
        path = options.dataset
        images = options.images or images_folder(path)
        sets = [load(path, images, skipped_categories=skipped)]
    else:
        sets = []
        for entry in _validation_sets(options.config):
            categories = (*entry.skip_categories, *skipped)
            sets.append(
                load(Path(entry.annotations), Path(entry.images), skipped_categories=categories)
            )
    for evaluation_set in sets:
        evaluation_set.check_pictures()
    if options.classes:
        sets = [evaluation_set.of_classes(options.classes) for evaluation_set in sets]
    return sets


def _validation_sets(config: Path) -> tuple[CocoSet, ...]:
    entries = load_config(config).data.validation
    if not entries:
        raise ValueError(f'{config}: data.validation: expected sets to evaluate on, there is none')
    for entry in entries:
        for path in (Path(entry.annotations), Path(entry.images)):
            if not path.exists():
                raise FileNotFoundError(f'{config}: {missing_data_message(entry.source, path)}')
    return entries


def _families(
    options: argparse.Namespace, evaluation_set: EvaluationSet, spec: ModelSpec
) -> tuple[str, ...]:
    """Names of the metrics to compute besides those of benchmarks; all that is asked for fits."""
    kinds = {*options.metrics, *options.results}
    if kinds & {'mot', 'kitti'}:
        benchmark_videos(evaluation_set)
    if 'mot' in kinds:
        person_class(evaluation_set)
    if options.metrics:
        asked = [name for name in options.metrics if name in FAMILIES]
        return check_families(asked, evaluation_set, spec)
    families = applicable_families(evaluation_set, spec, tracked=not options.scales)
    if not families and not options.results:
        raise ValueError(
            f'{evaluation_set.source}: expected labelled objects of the classes measured, there '
            'are none; for a test set without them write its files with --results'
        )
    return families


def _told(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """What the report says of the options."""
    if options.scales:
        told: dict[str, Any] = {'scales': options.scales, 'resolution': options.resolution}
    else:
        told = {'tracker': settings.tracker_method}
    told['flip'] = options.flip
    if options.public_detections:
        told['public_detections'] = str(options.public_detections)
    if options.params_file:
        told['params_file'] = str(options.params_file)
    for name in ('classes', 'skip_categories', 'metrics'):
        if getattr(options, name):
            told[name] = list(getattr(options, name))
    return told


if __name__ == '__main__':
    sys.exit(main())
