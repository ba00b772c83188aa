"""What is exported: a checkpoint of a training, or a model that was exported before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from centertrack_ros.factory import find_model
from centertrack_ros.model_spec import ModelSpec
from training.checkpoint import Checkpoint
from training.models import build_network
from training.models.exported_weights import read_exported_model
from training.models.network import CenterTrackNetwork


@dataclass(frozen=True)
class Source:
    """A network with its weights, in evaluation mode, and the spec of the model."""

    network: CenterTrackNetwork
    spec: ModelSpec


def load_source(source: str) -> Source:
    """Read what is to be exported.

    Args:
        source: path of a checkpoint, path of an `.onnx` file of `training.export` with its
            ModelSpec JSON beside it, or the name of a shipped model.

    Raises:
        FileNotFoundError: there is no such file or shipped model.
        ValueError: the file is neither, or weights are missing in it.
    """
    path = Path(source).expanduser()
    if path.suffix == '.onnx' or not (path.suffix or path.is_file()):
        return _exported(find_model(source))
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    checkpoint = Checkpoint.load(path)
    provenance = {
        **checkpoint.spec.provenance,
        'training_commit': checkpoint.commit,
        'training_steps': str(checkpoint.step),
        'seed': str(checkpoint.seed),
    }
    return Source(checkpoint.network(), replace(checkpoint.spec, provenance=provenance))


def _exported(path: Path) -> Source:
    spec, weights = read_exported_model(path)
    network = build_network(spec)
    missing, unknown = network.load_state_dict(weights, strict=False)
    # A head that no output of the graph reads is not in the file, nor are counters of batches.
    lost = [
        name
        for name in missing
        if not name.startswith('heads.') and not name.endswith('.num_batches_tracked')
    ]
    if lost or unknown:
        raise ValueError(
            f'{path}: expected the weights of a {spec.architecture} written by training.export; '
            f'missing {lost[:4]}, unknown {unknown[:4]}'
        )
    return Source(network.eval(), spec)
