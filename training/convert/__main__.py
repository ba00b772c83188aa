"""Annotations of other formats for training: `python -m training.convert FORMAT --help`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from centertrack_ros.replay.sources import open_source
from training.convert import mot
from training.convert.annotations import HALVES, AnnotationFile, Counts
from training.convert.bag import SUFFIXES, convert_bag
from training.convert.crowdhuman import convert_crowdhuman
from training.convert.kitti import convert_kitti, convert_kitti_tracking
from training.convert.nuscenes import SPLITS, convert_nuscenes
from training.convert.person_keypoints import convert_person_keypoints
from training.convert.voc import convert_voc
from training.convert.voc_writer import write_voc
from training.convert.yolo import convert_yolo

EXIT_EXPLAINED = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 = done, 2 = failed with a line on stderr that says why, 130 = interrupted.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        counts = options.run(options)
    except (OSError, ValueError) as error:
        print(f'training.convert {options.format}: {error}', file=sys.stderr)
        return EXIT_EXPLAINED
    except KeyboardInterrupt:
        print(f'training.convert {options.format}: interrupted', file=sys.stderr)
        return EXIT_INTERRUPTED
    print(f'{options.output}: {counts}')
    return 0


def _written(output: AnnotationFile, path: Path) -> Counts:
    output.write(path)
    return output.counts


def _run_mot(options: argparse.Namespace) -> Counts:
    rules = mot.MotRules(
        object_classes=options.classes,
        ignore_classes=options.ignore_classes,
        min_visibility=options.min_visibility,
        flagged_only=options.flagged_only,
    )
    output = mot.convert_mot(
        options.folder,
        pattern=options.sequences,
        half=options.half,
        labels=not options.no_labels,
        class_name=options.class_name,
        rules=rules,
    )
    return _written(output, options.output)


def _run_kitti_tracking(options: argparse.Namespace) -> Counts:
    output = convert_kitti_tracking(
        options.images,
        options.labels,
        options.calibrations,
        sequences=options.sequences,
        half=options.half,
    )
    return _written(output, options.output)


def _run_kitti(options: argparse.Namespace) -> Counts:
    output = convert_kitti(
        options.images, options.labels, options.calibrations, listed=options.list
    )
    return _written(output, options.output)


def _run_nuscenes(options: argparse.Namespace) -> Counts:
    output = convert_nuscenes(
        options.root, options.split, scenes=options.scenes, version=options.version
    )
    return _written(output, options.output)


def _run_crowdhuman(options: argparse.Namespace) -> Counts:
    output = convert_crowdhuman(
        options.annotations, options.images, suffix=options.suffix, class_name=options.class_name
    )
    return _written(output, options.output)


def _run_voc(options: argparse.Namespace) -> Counts:
    if options.to_xml:
        if options.classes or options.list:
            raise ValueError('--classes and --list do not go with --to-xml')
        return write_voc(options.source, options.output, results=options.results)
    if options.results:
        raise ValueError('--results goes with --to-xml')
    output = convert_voc(options.source, class_names=options.classes, listed=options.list)
    return _written(output, options.output)


def _run_yolo(options: argparse.Namespace) -> Counts:
    return _written(convert_yolo(options.images, options.labels, options.names), options.output)


def _run_person_keypoints(options: argparse.Namespace) -> Counts:
    output = convert_person_keypoints(
        options.annotations, class_name=options.class_name, min_joints=options.min_joints
    )
    return _written(output, options.output)


def _run_bag(options: argparse.Namespace) -> Counts:
    return convert_bag(
        open_source(options.recording, topic=options.topic),
        options.output,
        options.classes,
        every=options.every,
        suffix=options.suffix,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m training.convert', description=__doc__)
    formats = parser.add_subparsers(dest='format', required=True, metavar='FORMAT')
    _add_mot(formats)
    _add_kitti(formats)
    _add_nuscenes(formats)
    _add_stills(formats)
    _add_bag(formats)
    return parser


class _Formats(Protocol):
    """What `add_subparsers` returns, of which argparse keeps the type to itself."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser:
        """One more subcommand."""
        ...


def _command(
    formats: _Formats,
    name: str,
    run: Callable[[argparse.Namespace], Counts],
    text: str,
    output: str = 'annotation file to write',
) -> argparse.ArgumentParser:
    command = formats.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    command.add_argument('--output', type=Path, required=True, help=output)
    return command


def _add_mot(formats: _Formats) -> None:
    command = _command(formats, 'mot', _run_mot, 'MOT15, 16, 17, 20 and DanceTrack folders')
    command.add_argument('folder', type=Path, help='folder of sequences, or one sequence')
    command.add_argument(
        '--sequences', default='*', help="names of the sequences to take, such as '*-FRCNN'"
    )
    _add_half(command, 'n // 2 + 1')
    command.add_argument(
        '--classes', type=_class_numbers, default=(1,), help='classes to learn (1)'
    )
    command.add_argument(
        '--ignore-classes', type=_class_numbers, default=mot.NEAR_PERSON_CLASSES,
        help='classes that become ignored regions (2,7,8,12)',
    )  # fmt: skip
    command.add_argument(
        '--min-visibility', type=float, default=mot.MIN_VISIBILITY,
        help='skip what is less visible (%(default)s)',
    )  # fmt: skip
    command.add_argument(
        '--flagged-only', action='store_true',
        help='ignored regions need confidence 1 too, as in CenterTrack',
    )  # fmt: skip
    command.add_argument('--no-labels', action='store_true', help='test sets without gt.txt')
    _add_class_name(command)


def _add_kitti(formats: _Formats) -> None:
    for name, run, text, images, labels in (
        ('kitti-tracking', _run_kitti_tracking, 'KITTI videos', 'image_02', 'label_02'),
        ('kitti', _run_kitti, 'KITTI single images', 'image_2', 'label_2'),
    ):
        command = _command(formats, name, run, text)
        command.add_argument('--images', type=Path, required=True, help=images)
        command.add_argument(
            '--labels', type=Path, required=name == 'kitti',
            help=labels if name == 'kitti' else f'{labels}; none for test sets',
        )  # fmt: skip
        cameras = command.add_mutually_exclusive_group()
        cameras.add_argument(
            '--calibrations', type=Path, help='calib, or one file for all; none for boxes alone'
        )
        if name == 'kitti':
            command.add_argument('--list', type=Path, help='names of the images of a split')
            continue
        cameras.add_argument(
            '--known-cameras', action='store_const', const='known', dest='calibrations',
            help='those of the 21 training videos, where calib is missing',
        )  # fmt: skip
        command.add_argument('--sequences', nargs='+', default=(), help='some, such as 0000 0003')
        _add_half(command, 'n // 2')


def _add_nuscenes(formats: _Formats) -> None:
    command = _command(
        formats, 'nuscenes', _run_nuscenes, 'nuScenes: six cameras, boxes in space'
    )  # fmt: skip
    command.add_argument('root', type=Path, help='folder with v1.0-trainval and samples')
    part = command.add_mutually_exclusive_group(required=True)
    part.add_argument('--split', choices=SPLITS, default='', help='official split')
    part.add_argument('--scenes', type=Path, help='text file with names of scenes instead')
    command.add_argument(
        '--version', default='', help='folder of the tables (that of the split; v1.0-trainval)'
    )


def _add_stills(formats: _Formats) -> None:
    command = _command(formats, 'crowdhuman', _run_crowdhuman, 'CrowdHuman (.odgt)')
    command.add_argument('annotations', type=Path, help='annotation_train.odgt')
    command.add_argument('--images', type=Path, required=True, help='folder of the pictures')
    command.add_argument('--suffix', default='.jpg', help='of the pictures (%(default)s)')
    _add_class_name(command)

    command = _command(
        formats, 'voc', _run_voc, 'Pascal VOC (XML), and the way back',
        'annotation file to write; with --to-xml a new folder',
    )  # fmt: skip
    command.add_argument('source', type=Path, help='Annotations; with --to-xml a COCO file')
    command.add_argument('--classes', nargs='+', default=(), help='their order (alphabetical)')
    command.add_argument('--list', type=Path, help='names of the images of a split')
    command.add_argument('--to-xml', action='store_true', help='COCO format to VOC')
    command.add_argument('--results', type=Path, help='COCO results to write as XML')

    command = _command(formats, 'yolo', _run_yolo, 'YOLO text files')
    command.add_argument('--images', type=Path, required=True, help='folder of the pictures')
    command.add_argument('--labels', type=Path, required=True, help='folder of the text files')
    command.add_argument('--names', type=Path, required=True, help='class names, text or YAML')

    command = _command(
        formats, 'coco-person-keypoints', _run_person_keypoints, 'COCO persons with joints'
    )
    command.add_argument('annotations', type=Path, help='person_keypoints_train2017.json')
    command.add_argument(
        '--min-joints', type=int, default=1,
        help='ignore persons with fewer (%(default)s; 0 learns the boxes of all)',
    )  # fmt: skip
    _add_class_name(command)


def _add_bag(formats: _Formats) -> None:
    command = _command(
        formats, 'bag', _run_bag, 'frames of a rosbag2 or video for labelling', 'new folder'
    )
    command.add_argument('recording', type=Path, help='rosbag2, or any recording')
    command.add_argument('--topic', help='image topic of a bag with several')
    command.add_argument('--classes', nargs='+', default=('person',), help='to label (person)')
    command.add_argument('--every', type=int, default=1, help='take every Nth image')
    command.add_argument('--suffix', choices=SUFFIXES, default=SUFFIXES[0], help='(%(default)s)')


def _add_half(command: argparse.ArgumentParser, first: str) -> None:
    command.add_argument(
        '--half', choices=HALVES, help=f'first {first} images of each sequence, or the rest'
    )


def _add_class_name(command: argparse.ArgumentParser) -> None:
    command.add_argument('--class-name', default='person', help='category (%(default)s)')


def _class_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(',') if part)


if __name__ == '__main__':
    sys.exit(main())
