"""Ours and what a user would pick instead, on the same images: `python -m benchmarks.peers`.

The peer is Ultralytics YOLO11n with ByteTrack through its own `track()`, run in an environment
that this benchmark makes (`--venv`; the first time that takes minutes and 1 GB). Ultralytics is
under the AGPL: it is no dependency of the project and nothing of it is copied; it is installed
by whoever runs this, and timed in a process of its own.

Speed only: its network is built from its YAML file with random weights, so it finds next to
nothing, and its post-processing and its tracker have less to do than with trained weights. Ours
runs with its real weights and all of its tracks. Both take turns with the same images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.speed.arguments import (
    add_recording_arguments,
    check_files,
    positive,
    write_document,
)
from benchmarks.speed.figures import (
    machine,
    network_figures,
    speed_figures,
    stage_table,
    text_table,
)
from benchmarks.speed.peer_environment import default_folder, make_environment
from benchmarks.speed.protocol import Answer, Worker, WorkerError
from benchmarks.speed.turns import Outcome, speed_ratio, take_turns
from centertrack_ros.engines.hardware import core_count
from centertrack_ros.factory import find_model
from centertrack_ros.replay.progress import progress_bar
from centertrack_ros.replay.sources import open_source
from centertrack_ros.settings import Settings

OURS = 'ours'
NETWORK = 'yolo11n.yaml'
PERSON = 'person'
NOT_COMPARED = (
    'accuracy: the weights of the peer are random',
    'post-processing and tracking of the peer: random weights give them next to nothing to do',
)


def peer_threads(threads: int) -> dict[str, int]:
    """Title -> threads of PyTorch: as many as ours, and what Ultralytics takes by itself (0).

    Args:
        threads: of our engine, 0 = all cores.
    """
    cores = core_count()
    title = f'Ultralytics {Path(NETWORK).stem} + ByteTrack'
    return {f'{title}, {threads or cores} threads': threads or cores, f'{title}, as it comes': 0}


def open_workers(stack: ExitStack, options: argparse.Namespace) -> dict[str, Worker]:
    """Ours and the peer's, all loaded; their answers are printed.

    Raises:
        ValueError: `--venv` is another folder.
        WorkerError: one of them cannot be loaded.
    """
    model = str(find_model(options.model).resolve())
    folder = options.venv.expanduser().absolute()
    python = make_environment(folder)
    workers = {OURS: stack.enter_context(Worker('benchmarks.speed.tracking_worker'))}
    settings = {
        'model': model,
        'engine': options.engine,
        'precision': options.precision,
        'device': options.device,
        'threads': options.threads,
        'class_filter': [PERSON],
    }
    _announce(OURS, workers[OURS].ask('open', settings=settings, cameras=1))
    environment = {
        'YOLO_CONFIG_DIR': str(folder / 'settings'),
        'YOLO_AUTOINSTALL': 'false',
        'YOLO_OFFLINE': 'true',
    }
    (folder / 'settings').mkdir(exist_ok=True)
    for title, threads in peer_threads(options.threads).items():
        peer = Worker(
            'benchmarks.speed.ultralytics_worker', python=python, environment=environment
        )
        workers[title] = stack.enter_context(peer)
        answer = peer.ask(
            'open',
            network=NETWORK,
            image_size=options.image_size,
            threads=threads,
            device=options.device,
        )
        _announce(title, answer)
    return workers


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The document that `--json` writes.

    Raises:
        FileNotFoundError, ValueError, WorkerError: see what it calls.
    """
    source = open_source(options.video)
    check_files(options, source, find_model(options.model), [PERSON])
    images = min(options.limit or sys.maxsize, source.count or sys.maxsize)
    with ExitStack() as stack:
        workers = open_workers(stack, options)
        with progress_bar(None if images == sys.maxsize else images, 'peers') as bar:
            outcome = take_turns(workers, source, limit=options.limit, progress=bar.update)
        scores: Answer = {}
        if options.ground_truth and OURS in outcome.samples:
            truth = str(options.ground_truth.resolve())
            scores = workers[OURS].ask('score', ground_truth=truth)
    document = compared(outcome, options.image_size)
    document['rows'][0] |= scores
    return {'benchmark': 'peers', 'video': source.description, **document}


def compared(outcome: Outcome[str], image_size: int) -> dict[str, Any]:
    """Rows, ours first, and `ratio`: ours against the fastest of the peer's rows.

    Raises:
        WorkerError: one of them did not come through.
    """
    if outcome.errors:
        raise WorkerError('; '.join(f'{name}: {text}' for name, text in outcome.errors.items()))
    ours = outcome.samples[OURS]
    rows = []
    for title, samples in outcome.samples.items():
        row: dict[str, Any] = {'tracker': title, **speed_figures(samples)}
        if title == OURS:
            row |= network_figures(samples)
        else:
            row['ratio'] = round(speed_ratio(ours, samples), 3)
        rows.append(row)
    return {
        'peer_image_size': image_size,
        'rows': rows,
        'ratio': min(row['ratio'] for row in rows if 'ratio' in row),
        'not_compared': list(NOT_COMPARED),
        'environment': machine(),
    }


def print_tables(document: dict[str, Any]) -> None:
    """Figures, stages, the ratio, and what it does not say."""
    rows = document['rows']
    columns = ('fps', 'p50_ms', 'p95_ms', 'objects', 'ratio')
    print(f'{document["video"]}; ratio: how many times as fast ours is')
    lines = [[row['tracker'], *(row.get(column) for column in columns)] for row in rows]
    print(text_table(['', *columns], lines), end='\n\n')
    print(stage_table([(row['tracker'], row['stage_ms']) for row in rows]), end='\n\n')
    ours = rows[0]
    print(f'ours: all but the network takes {ours["other_percent"]:.1f} % of the step')
    if 'hota' in ours:
        print(f'ours: HOTA {ours["hota"]:.1f}, MOTA {ours["mota"]:.1f}, IDF1 {ours["idf1"]:.1f}')
    print(f'ours/theirs, the faster of theirs: {document["ratio"]:.2f}')
    for text in document['not_compared']:
        print(f'not compared: {text}')


def _announce(title: str, answer: Answer) -> None:
    suppression = f', non-maximum suppression by {answer["nms"]}' if 'nms' in answer else ''
    print(f'{title}: {answer["name"]} on {answer["device"]}{suppression}', file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 1 for what the user can put right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_recording_arguments(parser)
    parser.add_argument('--model', default=Settings().model, help='of ours')
    parser.add_argument('--engine', default='auto', help='of ours')
    parser.add_argument('--precision', default='auto', help='of ours')
    parser.add_argument('--device', default='cpu', help='of both')
    parser.add_argument('--image-size', type=positive, default=640, help='of the peer')
    parser.add_argument(
        '--venv', type=Path, default=default_folder(), metavar='FOLDER',
        help='environment of the peer, made where it is missing (default: %(default)s)',
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        document = measure(options)
    except (ValueError, FileNotFoundError, WorkerError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print_tables(document)
    write_document(options.json, document)
    return 0


if __name__ == '__main__':
    sys.exit(main())
