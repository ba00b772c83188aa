"""decode.npz, decode.json: from head maps to rows, objects in image pixels, masks.

| original | here |
|---|---|
| `_nms` | `training.models.peaks.suppress_neighbours` |
| `_topk`, `_topk_channel` | `training.models.peaks.best_peaks` (rule `class`), `channel_peaks` |
| `generic_decode`, `ctdet_decode`, `ddd_decode` | `training.models.decode.candidate_rows` |
| `multi_pose_decode`, `_update_kps_with_hm` | `candidate_rows` with `training.models.joints` |
| `ctseg_decode` | `candidate_rows` with `training.models.masks.dynamic_masks` |
| `_sigmoid_output` | `training.models.flip.activate_maps` |
| `Detector._flip_output`, `process` with flip test | `training.models.flip.merge_flipped` |
| `generic_post_process`, `*_post_process` | `centertrack_ros.decoding.decode` |
| `ddd2locrot` in it | `centertrack_ros.lifting.lift_detections` |
| masks in `ctseg_post_process` | `centertrack_ros.masks.masks_to_image` |
| `CtdetDetector.post_process`, `merge_outputs` | `training.merging` |

The rules that tell the originals apart are fields of `centertrack_ros.model_spec.DecodeRules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from training.conformance import _decode_centernet, _decode_centertrack
from training.conformance._decode_common import ARRAYS, DOCUMENT, Recorded, Run
from training.conformance.vectors import Case, Comparison, Vectors, owned

CENTERNET_LIKE = ('centernet', 'simple', 'condinst')


def required_files(vectors: Vectors) -> Sequence[str]:
    """Both files."""
    return [ARRAYS, DOCUMENT]


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case for each pair of repository and name, in the arrays or in the JSON."""
    arrays, document = vectors.arrays(ARRAYS), vectors.document(DOCUMENT)
    names = {'/'.join(name.split('/')[:2]) for name in arrays} | set(document)
    for name in sorted(names):
        recorded = Recorded(name, vectors, document.get(name, {}))
        yield Case(ARRAYS, name, owned(arrays, name), partial(_run, recorded))


def _run(recorded: Recorded) -> Iterator[Comparison]:
    yield from _run_of(recorded.name)(recorded)


def _run_of(name: str) -> Run:
    repository, _, case = name.partition('/')
    if repository == 'centertrack':
        return _decode_centertrack.run_of(case)
    if repository in CENTERNET_LIKE:
        return _decode_centernet.run_of(repository, case)
    raise ValueError(f'{name}: nobody knows this repository')
