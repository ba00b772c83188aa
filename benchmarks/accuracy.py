"""Trackers x detections x sequences in one table: `python -m benchmarks.accuracy`.

Ours as it ships, ours with one part taken away, and ByteTrack, OC-SORT, BoT-SORT and SORT of
roboflow `trackers` fed with exactly our detections; with confidence intervals by bootstrap over
tracks. Without --sequences: the PETS video, and the suite of synthetic sequences.

    python -m benchmarks.accuracy --tune --json FILE --contact-sheet FILE.jpg
    python -m benchmarks.accuracy --trackers ours peers --sequences MOT17/train
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.comparison.bootstrap import RESAMPLES
from benchmarks.comparison.contact_sheet import write_contact_sheet
from benchmarks.comparison.peers import PEERS, Peer, run_peer
from benchmarks.comparison.recordings import Recording, source_digest
from benchmarks.comparison.rows import Row, recorded, score_rows
from benchmarks.comparison.scoring import frames_of_class
from benchmarks.comparison.sequences import (
    LabelledSequence,
    default_sequences,
    find_sequences,
)
from benchmarks.comparison.tables import HEADER, document, interval_tables, sequence_tables
from benchmarks.comparison.tuning import Motions, motions_of, tune
from benchmarks.comparison.variants import Variant, build_variant, variants
from centertrack_ros.engines import create_engine
from centertrack_ros.factory import find_model
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.progress import progress_bar
from centertrack_ros.replay.summary import environment
from centertrack_ros.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PERSON = 'person'
SHIPPED = 'ours'

Recordings = dict[str, list[Recording]]


def chosen_keys(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Keys of our variants and of peers for names on the command line; `ours` is always there.

    Raises:
        ValueError: an unknown name.
    """
    own = list(variants())
    groups = {'all': [*own, *PEERS], 'ablations': own, 'peers': list(PEERS)}
    wanted = {key for name in names for key in groups.get(name, [name])} | {SHIPPED}
    if unknown := sorted(wanted - {*own, *PEERS}):
        raise ValueError(
            f'--trackers: expected some of {[*groups, *own, *PEERS]}, received {unknown}'
        )
    return [key for key in own if key in wanted], [key for key in PEERS if key in wanted]


def record_ours(
    keys: Sequence[str], sequences: Sequence[LabelledSequence], options: argparse.Namespace
) -> tuple[Recordings, ModelSpec]:
    """Run our variants over all sequences, or read what an earlier run left."""
    settings = Settings.from_mapping(
        {'model': options.model, 'engine': options.engine, 'threads': options.threads}
    )
    model_path = find_model(settings.model)
    spec = ModelSpec.load(model_path)
    engine = create_engine(model_path, spec, engine=settings.engine, threads=settings.threads)
    rows = {key: variants()[key] for key in keys}
    pipelines = {key: build_variant(row, engine, spec, settings) for key, row in rows.items()}
    identities = {key: _identity(row, settings) for key, row in rows.items()}
    found: Recordings = {key: [] for key in keys}
    folder = options.output / 'recordings'
    for sequence in sequences:
        with progress_bar(sequence.source.count, sequence.name) as bar:
            of_sequence = recorded(pipelines, identities, sequence, model_path, folder, bar.update)
        for key, recording in of_sequence.items():
            found[key].append(recording)
    engine.close()
    return found, spec


def peer_rows(
    peer: Peer,
    key: str,
    recordings: Sequence[Recording],
    sequences: Sequence[LabelledSequence],
    class_index: int,
    *,
    motions: Motions | None,
    tuned: bool,
) -> list[Row]:
    """A peer with its defaults and, if asked for, with the best thresholds of its grid."""
    settings: list[tuple[str, dict[str, Any]]] = [('', {})]
    if tuned:
        best, _ = tune(
            peer,
            sequences,
            recordings,
            class_index,
            motions,
            progress=lambda line: print(line, file=sys.stderr),
        )
        settings.append((', tuned', best))
    rows = []
    for suffix, parameters in settings:
        runs = [
            run_peer(
                peer,
                recording,
                class_index,
                sequence.source.fps,
                source=sequence.source,
                parameters=parameters,
            )
            for sequence, recording in zip(sequences, recordings, strict=True)
        ]
        title = f'{peer.title}{suffix}' + ('' if key == SHIPPED else f' [{key}]')
        times = [float(run.tracker_ms.mean()) for run in runs]
        frames = [run.frames for run in runs]
        rows.append(Row(title, recordings, frames, times, parameters, is_peer=True))
    return rows


def build_rows(
    options: argparse.Namespace, sequences: Sequence[LabelledSequence]
) -> tuple[list[Row], ModelSpec]:
    """All rows that the command line asks for, ours first."""
    own, peers = chosen_keys(options.trackers)
    needed = [key for key in variants() if key in {*own, *options.detections}]
    recordings, spec = record_ours(needed, sequences, options)
    class_index = spec.classes.index(PERSON)
    rows = [
        Row(
            variants()[key].title,
            recordings[key],
            [frames_of_class(recording, class_index) for recording in recordings[key]],
            [float(recording.tracker_ms.mean()) for recording in recordings[key]],
        )
        for key in own
    ]
    uses_images = any(PEERS[key].uses_image for key in peers)
    motions = motions_of(sequences) if options.tune and uses_images else None
    for detections in options.detections:
        for key in peers:
            rows += peer_rows(
                PEERS[key],
                detections,
                recordings[detections],
                sequences,
                class_index,
                motions=motions if PEERS[key].uses_image else None,
                tuned=options.tune,
            )
    return rows, spec


def run(options: argparse.Namespace) -> None:
    """Make the rows, score them, print and write.

    Raises:
        FileNotFoundError, ValueError, ImportError: see what it calls.
    """
    chosen_keys(options.trackers)
    source_digest()
    options.output.mkdir(parents=True, exist_ok=True)
    paths = list(options.sequences or ())
    if not paths:
        paths = default_sequences(options.data, options.suite, options.output, options.draw)
    elif options.suite is not None:
        paths.append(options.suite)
    sequences = find_sequences(paths)
    rows, spec = build_rows(options, sequences)
    class_index = spec.classes.index(PERSON)
    results = score_rows(
        rows, sequences, class_index, seed=options.seed, resamples=options.resamples
    )
    print(f'{spec.name}, {len(sequences)} sequences\n{HEADER}\n')
    print(sequence_tables(rows, sequences, results))
    print(f'\n{interval_tables(rows, results)}')
    for row in rows:
        if row.parameters:
            print(f'{row.title}: {row.parameters}')
    if options.json:
        content = document(
            rows,
            sequences,
            results,
            model=spec.name,
            model_thresholds=asdict(spec.thresholds),
            resamples=options.resamples,
            seed=options.seed,
            environment=environment(),
        )
        options.json.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    if options.contact_sheet:
        write_contact_sheet(options.contact_sheet, sequences, rows[0], class_index, spec.classes)


def _identity(variant: Variant, settings: Settings) -> tuple[object, ...]:
    """On what a recording depends apart from code, model and images."""
    return (
        variant.key,
        sorted(variant.settings.items()),
        sorted(variant.tuning.items()),
        sorted(asdict(settings).items()),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 1 for what the user can put right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = list(variants())
    parser.add_argument('--model', default=Settings().model, help='name or path of an .onnx file')
    parser.add_argument('--engine', default='onnxruntime', help='figures depend on it a little')
    parser.add_argument('--threads', type=int, default=0, help='of the engine, 0 = all cores')
    parser.add_argument(
        '--sequences', nargs='+', type=Path, metavar='PATH',
        help='MOT folders, videos with gt/gt.txt beside them, or folders of such',
    )  # fmt: skip
    parser.add_argument(
        '--suite', type=Path, metavar='DIR',
        help='written by training.data.suite; without it (and --sequences) it is written',
    )  # fmt: skip
    parser.add_argument(
        '--draw', type=int, default=1,
        help='of the suite; the constants of the default tracker were chosen on draw 0',
    )  # fmt: skip
    parser.add_argument('--data', type=Path, default=ROOT.parent / 'shared' / 'data')
    parser.add_argument(
        '--trackers', nargs='+', default=['all'], metavar='NAME',
        help=f'all, ablations, peers, {", ".join([*own, *PEERS])}',
    )  # fmt: skip
    parser.add_argument(
        '--detections', nargs='+', default=[SHIPPED], choices=own,
        help='whose detections the peers are fed with',
    )  # fmt: skip
    parser.add_argument('--tune', action='store_true', help="choose the peers' thresholds")
    parser.add_argument('--resamples', type=int, default=RESAMPLES, help='of the bootstrap')
    parser.add_argument('--seed', type=int, default=0, help='of the bootstrap')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    parser.add_argument('--contact-sheet', type=Path, metavar='FILE.jpg', help='hard moments')
    parser.add_argument(
        '--output', type=Path, default=ROOT / 'out' / 'accuracy', metavar='DIR',
        help='keeps detections and tracks, so that a second run takes seconds',
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
