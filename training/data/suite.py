"""The suite: named synthetic sequences with exact truth, to measure trackers on.

Training never sees their people, photos and seeds (`suite_material`). Every sequence is there for
one difficulty, which its name says. The same arguments write the same bytes.

    python -m training.data.suite --data ../shared/data --output DIR [--draw 1]

writes sequences in the layout of MOTChallenge (`img1/`, `gt/gt.txt`, `seqinfo.ini`).

Truth: the box of the whole person, hidden or not, clipped to the image. People less than a tenth
visible or less than half inside the image have confidence 0 and class 8 in `gt.txt`:
`read_mot(..., ground_truth=True)` drops such rows, so that to miss them is no error.

Where frames were dropped, images and truth are numbered on without a gap, as if the camera had
not delivered them, and `timestamps.txt` has the time of each image in seconds, one a line;
`frameRate` stays that of the camera. `open_source` reads both.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from centertrack_ros.replay.sources import TIMESTAMPS_FILE
from training.data.labels import LabelledFrame
from training.data.mot_writer import write_mot_sequence
from training.data.sequence import SyntheticSequence
from training.data.suite_material import HeldOutMaterial
from training.data.suite_scenarios import SCENARIOS, Scenario
from training.data.suite_scene import build_scene

LEAST_VISIBLE = 0.1
LEAST_INSIDE = 0.5
_GAPS_PER_SECOND = 1.2


@dataclass(frozen=True)
class SuiteSequence:
    """One sequence of the suite.

    Attributes:
        scene: what can be seen.
        frame_rate: frames per second of the camera, of which some may have been dropped.
        times: seconds at which the frames are taken.
    """

    scene: SyntheticSequence
    frame_rate: float
    times: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.times)

    def render(self, index: int) -> LabelledFrame:
        """Frame `index`, 0 <= index < len(self)."""
        return self.scene.render_time(self.times[index])


def build_sequence(scenario: Scenario, material: HeldOutMaterial, draw: int = 0) -> SuiteSequence:
    """The sequence of a scenario; the same one every time.

    Args:
        scenario: what it shows.
        material: people and photos.
        draw: other numbers draw other people, ways and gaps for the same scenario. The constants
            of the default tracker were chosen on draw 0, so it is compared on others.
    """
    generator = np.random.default_rng([scenario.seed, 0, draw])
    scene = build_scene(scenario.scene, material, generator)
    # A stream of its own: a change of the cast does not change which frames are dropped.
    kept = kept_frames(
        len(scene),
        int(scenario.longest_gap * scene.frame_rate),
        _GAPS_PER_SECOND / scene.frame_rate,
        np.random.default_rng([scenario.seed, 1, draw]),
    )
    times = tuple(index / scene.frame_rate for index in kept)
    return SuiteSequence(scene, scene.frame_rate, times)


def kept_frames(
    count: int, longest_step: int, gap_share: float, generator: np.random.Generator
) -> list[int]:
    """Which of `count` frames arrive.

    Args:
        count: frames that the camera takes.
        longest_step: most frames from one that arrives to the next; below 2 all arrive.
        gap_share: chance that some are dropped after a frame.
        generator: randomness.
    """
    if longest_step < 2:
        return list(range(count))
    kept = [0]
    while True:
        gap = generator.random() < gap_share
        step = int(generator.integers(2, longest_step + 1)) if gap else 1
        if kept[-1] + step >= count:
            return kept
        kept.append(kept[-1] + step)


def write_suite_sequence(
    folder: Path, scenario: Scenario, material: HeldOutMaterial, draw: int = 0
) -> int:
    """Write one sequence, see the text above and `build_sequence`.

    Returns:
        Number of lines of the truth.

    Raises:
        FileExistsError: the folder exists.
        OSError: a picture could not be written.
    """
    sequence = build_sequence(scenario, material, draw)
    lines = write_mot_sequence(
        folder,
        sequence,
        material.person_class,
        least_visible=LEAST_VISIBLE,
        least_inside=LEAST_INSIDE,
    )
    if scenario.longest_gap > 0:
        text = ''.join(f'{time:.9f}\n' for time in sequence.times)
        (folder / TIMESTAMPS_FILE).write_text(text, encoding='utf-8')
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the suite."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('../shared/data'), help='data folder')
    parser.add_argument('--output', type=Path, required=True, help='folder for the sequences')
    parser.add_argument(
        '--only', nargs='+', choices=names, default=names, metavar='NAME',
        help='names of the sequences to write, all by default: ' + ', '.join(names),
    )  # fmt: skip
    parser.add_argument('--draw', type=int, default=0, help='other people in the same scenarios')
    options = parser.parse_args(arguments)
    material = HeldOutMaterial(options.data)
    for scenario in SCENARIOS:
        if scenario.name in options.only:
            lines = write_suite_sequence(
                options.output / scenario.name, scenario, material, options.draw
            )
            print(f'{options.output / scenario.name}: {lines} boxes')


if __name__ == '__main__':
    main()
