"""The graph in PyTorch behind the runtime's engine contract, plain and with the flip test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from centertrack_ros.datatypes import Candidates, Image
from centertrack_ros.engines import create_engine
from centertrack_ros.engines.base import Engine, candidates_from_outputs
from centertrack_ros.factory import find_model
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import with_mirrored
from training.checkpoint import Checkpoint
from training.data.labels import mirrored_joints
from training.models.flip import activate_maps, merge_flipped
from training.models.graph import TrackerGraph


class TorchEngine:
    """Runs a graph on inputs of any size that the network takes.

    Args:
        graph: put into evaluation mode and moved to `device`.
        device: `cpu`, `cuda` or `cuda:N`.

    Raises:
        ValueError: there is no such device.
    """

    def __init__(self, graph: TrackerGraph, device: str = 'cpu') -> None:
        self._device = torch_device(device)
        self.device = str(self._device)
        self.name = f'pytorch {torch.__version__}'
        self.precision, self.max_batch = 'fp32', None
        self._graph = graph.eval().to(self._device)

    def run(
        self, image: Image, previous_image: Image, prior_heatmap: NDArray[np.float32]
    ) -> Candidates:
        """Run the graph; see `engines.base.Engine.run`."""
        given = {'image': image, 'previous_image': previous_image, 'prior_heatmap': prior_heatmap}
        with torch.inference_mode():
            inputs = (torch.from_numpy(given[name]) for name in self._graph.inputs)
            outputs = self._graph(*(value.to(self._device) for value in inputs))
        names = self._graph.outputs
        return candidates_from_outputs(
            {name: output.cpu().numpy() for name, output in zip(names, outputs, strict=True)}
        )

    def close(self) -> None:
        """Nothing is held."""


class FlipTestEngine(TorchEngine):
    """The flip test of the originals: an image and its mirror image, decoded as one.

    Images, previous images and prior heatmaps are mirrored, maps merged as
    `training.models.flip` says; joints are swapped by their names.

    Args:
        network: see `TrackerGraph`.
        spec: of the network.
        device: as in `TorchEngine`.

    Raises:
        ValueError: there is no such device, or a joint on one side has no partner.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec, device: str = 'cpu') -> None:
        super().__init__(_FlipTestGraph(network, spec), device)
        self.name = f'{self.name}, flip test'

    def run(
        self, image: Image, previous_image: Image, prior_heatmap: NDArray[np.float32]
    ) -> Candidates:
        """Run both halves as one batch; see `engines.base.Engine.run`."""
        return super().run(
            with_mirrored(image, 2),
            with_mirrored(previous_image, 2),
            with_mirrored(prior_heatmap, 3),
        )


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes:
        engine: runs it.
        spec: of the model.
        size_multiple: of which the sides of its inputs have to be.
    """

    engine: Engine
    spec: ModelSpec
    size_multiple: int


def load_checkpoint_model(path: Path, *, device: str = 'auto', flip: bool = False) -> LoadedModel:
    """The averaged weights of a checkpoint.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or there is no such device.
    """
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    checkpoint = Checkpoint.load(path)
    network, spec = checkpoint.network(), checkpoint.spec
    engine: Engine
    if flip:
        engine = FlipTestEngine(network, spec, device)
    else:
        engine = TorchEngine(TrackerGraph(network, spec), device)
    return LoadedModel(engine, spec, size_multiple=network.size_multiple)


def load_onnx_model(model: str, *, device: str = 'auto') -> LoadedModel:
    """An exported model by its path, or a shipped one by its name.

    Raises:
        FileNotFoundError, ValueError, ImportError: see `factory.build_pipeline`.
    """
    path = find_model(model)
    spec = ModelSpec.load(path)
    # Figures are to be those of the model, not of what is the fastest on this machine.
    engine = create_engine(
        path, spec, engine='onnxruntime', device=device, precision='fp32', threads=0
    )
    return LoadedModel(engine, spec, size_multiple=32)


class _FlipTestGraph(TrackerGraph):
    """Takes images and then their mirror images, gives the rows of the images."""

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__(network, spec)
        self._joint_pairs = mirrored_joints(spec.joints)

    def rows(self, maps: Mapping[str, Tensor], *, activated: bool = False) -> dict[str, Tensor]:
        """Rows of the merged maps."""
        merged = merge_flipped(activate_maps(maps), self._joint_pairs)
        return super().rows(merged, activated=True)


def torch_device(name: str) -> torch.device:
    """The device `cpu`, `cuda`, `cuda:N`, or for `auto` the GPU where there is one.

    Raises:
        ValueError: no such device, or this machine has none.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    kind, _, index = name.partition(':')
    if kind not in ('cpu', 'cuda') or not (index or '0').isdigit():
        raise ValueError(f'device: expected auto, cpu, cuda or cuda:N, received {name!r}')
    if kind == 'cuda' and int(index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f'device {name!r}: PyTorch finds {torch.cuda.device_count()} GPUs; set it to cpu'
        )
    return torch.device(name)
