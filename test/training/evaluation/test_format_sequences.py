from __future__ import annotations

from dataclasses import replace

import pytest
from format_scenes import make_set

from training.evaluation.sequences import image_numbers


def _numbers(names, first, frames=None):
    evaluation_set = make_set(names, videos={'S': list(range(len(names)))})
    if frames is not None:
        pairs = zip(evaluation_set.records, frames, strict=True)
        records = tuple(replace(record, frame=frame) for record, frame in pairs)
        evaluation_set = replace(evaluation_set, records=records)
    return image_numbers(evaluation_set, evaluation_set.videos[0], first)


@pytest.mark.parametrize(
    ('names', 'first', 'frames', 'expected'),
    [
        # A whole sequence, and the second half of one.
        (['000001.jpg', '000002.jpg'], 1, None, (1, 2)),
        (['000000.png', '000001.png'], 0, None, (0, 1)),
        (['000077.png', '000078.png'], 0, None, (77, 78)),
        # A frame is missing.
        (['000077.png', '000079.png'], 0, (1, 3), (77, 79)),
        # Names that say nothing of the order, or are times.
        (['b.jpg', 'a.jpg'], 1, None, (1, 2)),
        (['b.jpg', 'a.jpg'], 0, None, (0, 1)),
        (['000007.jpg', '000009.jpg'], 1, None, (1, 2)),
        (['1700000001.jpg', '1700000002.jpg'], 1, None, (1, 2)),
        # Counted from 0, which MOTChallenge does not have.
        (['000000.jpg', '000001.jpg'], 1, (0, 1), (1, 2)),
        (['a.jpg', 'b.jpg'], 1, (0, 2), (1, 3)),
    ],
)
def test_numbers_in_the_files_of_the_benchmark(names, first, frames, expected):
    assert _numbers(names, first, frames) == expected
