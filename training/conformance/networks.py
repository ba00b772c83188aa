"""networks/: every recorded network, with weights filled by a rule.

For each network there are the names and shapes of its tensors (`keys_<net>.json`), what it is
(`info_<net>.json`) and its outputs (`<net>.npz`). The weights are filled in under the original
names and go through `training.models.original_checkpoint`, as a user's checkpoint does.

| original | in `training/models` |
|---|---|
| `dla.py`, `pose_dla_dcn.py`, `dlav0.py`, `generic_network.py` with DLA | `dla.py` |
| `resdcn.py`, `resnet_dcn.py`, `msra_resnet.py` | `resnet.py` |
| `large_hourglass.py`, simple-CenterNet's `hourglass.py` | `hourglass.py` |
| `generic_network.py` with MobileNetV2 | `mobilenetv2.py` |
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.conformance.vectors import Case, Comparison, Vectors, compare, equal, same
from training.models import ARCHITECTURES, Architecture
from training.models.network import CenterTrackNetwork
from training.models.original_checkpoint import load_checkpoint

FOLDER = 'networks'
# Name of the recorded network, as a regular expression -> architecture and options beside heads
# and inputs.
NETWORKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (r'ct_dla34_conv_.*', 'dla34_plain', {}),
    (r'ct_dla34_gcn_.*', 'dla34_gcn', {}),
    (r'c[tn]_(generic_)?dla34_.*', 'dla34', {}),
    (r'ci_dla34_.*', 'dla34', {'head_style': 'condinst'}),
    (r'c[tn]_dlav0_34_.*', 'dlav0_34', {}),
    (r'(?:ct|cn|sp)_resdcn(\d+)(?:_.*)?', r'resnet\1_deformable', {}),
    (r'cn_res(\d+)_.*', r'resnet\1', {}),
    (r'cn_hourglass104_.*|sp_large_hourglass', 'hourglass104', {}),
    (r'sp_small_hourglass', 'hourglass52', {}),
    (r'ct_generic_mobilenet_dlaup_.*', 'mobilenetv2', {}),
    (r'ct_generic_mobilenet_msraup_.*', 'mobilenetv2_deconvolution', {}),
)
# simple-CenterNet returns a list instead of a dictionary, and only its last stack.
_SIMPLE_HEADS = {'0': 'hm', '1': 'reg', '2': 'wh'}


def required_files(vectors: Vectors) -> Sequence[str]:
    """Three files per network, and the inputs."""
    files = []
    for name in _names(vectors):
        info = f'{FOLDER}/info_{name}.json'
        files += [info, f'{FOLDER}/keys_{name}.json', f'{FOLDER}/{name}.npz']
        if info in vectors.files():
            files.append(f'{FOLDER}/{vectors.document(info)["input_file"]}')
    return sorted(set(files)) or [f'{FOLDER}/*.npz']


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case per network of which all three files are there."""
    files = set(vectors.files())
    for name in _names(vectors):
        file = f'{FOLDER}/{name}.npz'
        if not {file, f'{FOLDER}/info_{name}.json', f'{FOLDER}/keys_{name}.json'} <= files:
            continue
        inputs = f'{FOLDER}/{vectors.document(f"{FOLDER}/info_{name}.json")["input_file"]}'
        yield Case(
            file,
            name,
            tuple(vectors.arrays(file)),
            partial(_run, vectors, name),
            other_arrays=tuple((inputs, array) for array in vectors.arrays(inputs)),
        )


def filled_tensor(key: str, shape: Sequence[int], salt: str, ida_gain: float) -> NDArray[Any]:
    """The weights that a tensor named `key` was recorded with (README of the vectors)."""
    leaf = key.rsplit('.', 1)[-1]
    if leaf == 'num_batches_tracked':
        return np.zeros(shape, np.int64)
    random = np.random.RandomState(zlib.crc32((salt + key).encode('utf-8')))
    fan = float(np.prod(shape[1:]))
    if leaf == 'running_mean':
        values = 0.1 * random.standard_normal(shape)
    elif leaf == 'running_var':
        values = random.uniform(0.5, 1.5, shape)
    elif '.conv_offset_mask.' in key:
        scale = 0.1 / np.sqrt(fan) if leaf == 'weight' else 0.5
        values = random.standard_normal(shape) * scale
    elif len(shape) == 1 and leaf == 'weight':
        values = random.uniform(0.9, 1.1, shape)
        values *= 0.3 if key.endswith(('bn2.weight', 'bn3.weight')) else 1.0
    elif len(shape) == 1:
        values = 0.05 * random.standard_normal(shape)
    else:
        values = random.standard_normal(shape) * np.sqrt(2 / fan)
        values *= ida_gain if 'ida_' in key else 1.0
        values *= 0.15 if key.startswith('cnvs.') else 1.0
    return np.asarray(values).astype(np.float32)


def original_state_dict(vectors: Vectors, name: str) -> dict[str, Tensor]:
    """The recorded network's state dict under its original names."""
    info = vectors.document(f'{FOLDER}/info_{name}.json')
    keys = vectors.document(f'{FOLDER}/keys_{name}.json')
    return {
        key: torch.from_numpy(filled_tensor(key, shape, info['salt'], info['ida_gain']))
        for key, shape, _ in keys
    }


def build(name: str, info: dict[str, Any], heads: dict[str, int]) -> CenterTrackNetwork:
    """Our network for a recorded one.

    Args:
        name: of the recorded network.
        info: what is recorded of it.
        heads: channels of each head.

    Raises:
        ValueError: nothing here corresponds to `name`.
    """
    entry, options = _architecture(name)
    hidden = (info['head_conv'] or {}).get('hm')
    if hidden:
        options = {**options, 'head_channels': hidden[0], 'head_layers': len(hidden)}
    tracks = info['input_kind'] == 'pre'
    return entry.network(
        heads=heads,
        previous_image=tracks,
        prior_heatmap=tracks,
        **{**entry.variant, **options},
    )


def _architecture(name: str) -> tuple[Architecture, dict[str, Any]]:
    for pattern, architecture, options in NETWORKS:
        match = re.fullmatch(pattern, name)
        if match is not None:
            return ARCHITECTURES[match.expand(architecture)], options
    raise ValueError(f'no architecture here corresponds to {name!r}')


def _names(vectors: Vectors) -> list[str]:
    """Networks of which at least one of the three files is there."""
    names = set()
    for path in vectors.files():
        match = re.fullmatch(rf'{FOLDER}/(?:keys_|info_)?(.+)\.(?:npz|json)', path)
        if match and not match[1].startswith('inputs_'):
            names.add(match[1])
    return sorted(names)


def _run(vectors: Vectors, name: str) -> Iterator[Comparison]:
    info = vectors.document(f'{FOLDER}/info_{name}.json')
    state = original_state_dict(vectors, name)
    yield _check_filling(state, info)
    recorded = vectors.arrays(f'{FOLDER}/{name}.npz')
    heads = {
        _SIMPLE_HEADS.get(head, head): array.shape[1]
        for head, array in recorded.under('out/0').items()
    }
    network = build(name, info, heads).eval()
    report = load_checkpoint(network, state)
    # What the loader drops had no influence in the original either. (Batch norm statistics get
    # no gradient, so they are not in the recorded list.)
    unused = set(info['parameters_without_effect'])
    statistics = ('running_mean', 'running_var', 'num_batches_tracked')
    dropped = {key for key, _ in report.dropped if not key.endswith(statistics)}
    yield same('dropped although it has an effect', dropped - unused, set())
    inputs = {
        key: torch.from_numpy(array)
        for key, array in vectors.arrays(f'{FOLDER}/{info["input_file"]}').items()
    }
    calls = {
        'out': ('img', 'pre_img', 'pre_hm'),
        'out_img_only': ('img',),
        'out_no_pre_hm': ('img', 'pre_img'),
    }
    for kind, given in calls.items():
        expected = recorded.under(kind)
        if not expected:
            continue
        with torch.inference_mode():
            stacks = network.forward_stacks(*(inputs[key] for key in given if key in inputs))
        for path, array in expected.items():
            stack, head = path.split('/')
            is_simple = info['repo'] == 'simple'
            received = stacks[-1 if is_simple else int(stack)][_SIMPLE_HEADS.get(head, head)]
            scale = max(1.0, float(np.abs(array).max()))
            yield compare(f'{kind}/{path}', received.numpy(), array, absolute=1e-4 * scale)


def _check_filling(state: dict[str, Tensor], info: dict[str, Any]) -> Comparison:
    """The weights are those of the recording, by their checksums."""
    recorded = info['tensor_check_crc32_first']
    received = [zlib.crc32(state[key].numpy().tobytes()) for key in recorded]
    return equal('filled weights', received, [check[0] for check in recorded.values()])
