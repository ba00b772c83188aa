"""Child process that tracks turns of images with Ultralytics, in an environment of its own.

Run by `benchmarks.peers`, never imported. Ultralytics is under the AGPL: this project neither
depends on it nor holds anything of it; here its public command `track()` is timed.
"""

from __future__ import annotations

import time
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.frames import read_turn
from benchmarks.speed.protocol import Answer, serve

_WARM_UP_IMAGES = 3
_PERSON = 0


def greedy_nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Non-maximum suppression in plain PyTorch, with the arguments of torchvision's operator.

    Args:
        boxes: (N, 4) float xyxy.
        scores: (N,) float.
        iou_threshold: a box with more overlap with a better one is dropped.

    Returns:
        (M,) int64 indices of those kept, best first.
    """
    order = scores.argsort(descending=True).tolist()
    x1, y1, x2, y2 = boxes.double().cpu().numpy().T
    areas = (x2 - x1) * (y2 - y1)
    kept: list[int] = []
    dropped = np.zeros(len(areas), bool)
    for index in order:
        if dropped[index]:
            continue
        kept.append(index)
        width = np.minimum(x2[index], x2) - np.maximum(x1[index], x1)
        height = np.minimum(y2[index], y2) - np.maximum(y1[index], y1)
        shared = width.clip(0) * height.clip(0)
        union = areas[index] + areas - shared
        dropped |= shared > iou_threshold * union
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)


def import_torchvision() -> str:
    """Import torchvision, also where its operators do not load; says which `nms` there is.

    Its builds for CUDA have no operators beside a PyTorch for the CPU, and its import fails on
    their missing schemas. With the schemas declared the Python part imports.
    """
    try:
        # Loads the operators, and does nothing else: its parent package is what fails.
        library = Path(metadata.distribution('torchvision').locate_file('torchvision')) / '_C.so'
        torch.ops.load_library(str(library))
    except OSError:
        schemas = torch.library.Library('torchvision', 'DEF')
        schemas.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        schemas.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        import torchvision

        torchvision.ops.nms = greedy_nms
        # Kept: the schemas go where their library goes.
        torchvision.declared_schemas = schemas
        return 'plain PyTorch (torchvision has no operators for this PyTorch)'
    import torchvision

    return f'torchvision {torchvision.__version__}'


class UltralyticsWorker:
    """Handlers of the questions `open` and `run`."""

    def __init__(self) -> None:
        """Nothing is loaded yet."""
        self._options: dict[str, object] = {}
        self._threads = 0
        self._warm = False

    def open(self, network: str, image_size: int, threads: int, device: str) -> Answer:
        """Build the network with random weights.

        Args:
            network: name of one of its YAML files.
            image_size: longer side of the network input, pixels.
            threads: of PyTorch, 0 = what Ultralytics chooses.
            device: as PyTorch calls it.
        """
        nms = import_torchvision()
        from ultralytics import YOLO, settings

        settings.update({'sync': False})
        torch.manual_seed(0)
        self._model = YOLO(network, task='detect')
        self._threads = threads
        self._options = {
            'imgsz': image_size,
            'device': device,
            'classes': [_PERSON],
            'tracker': 'bytetrack.yaml',
            'persist': True,
            'verbose': False,
        }
        versions = ', '.join(
            f'{name} {metadata.version(name)}' for name in ('ultralytics', 'torch', 'torchvision')
        )
        return {'name': versions, 'nms': nms, 'device': device}

    def run(self, path: str) -> Answer:
        """Track the images of a turn.

        Returns:
            For each image `step_ms`, `stage_ms` (what Ultralytics says of itself, and the rest,
            which is its tracker and its results), `objects`; and the `threads` of PyTorch.
        """
        images, _ = read_turn(Path(path))
        if not self._warm:
            for image in images[:_WARM_UP_IMAGES]:
                self._model.track(image, **self._options)
            self._warm = True
            # Its first call sets them.
            torch.set_num_threads(self._threads or torch.get_num_threads())
        answer: Answer = {'step_ms': [], 'stage_ms': {}, 'objects': []}
        for image in images:
            start = time.perf_counter()
            (result,) = self._model.track(image, **self._options)
            step_ms = (time.perf_counter() - start) * 1e3
            stages = {**result.speed, 'rest': step_ms - sum(result.speed.values())}
            answer['step_ms'].append(step_ms)
            answer['objects'].append(len(result.boxes))
            for stage, value in stages.items():
                answer['stage_ms'].setdefault(stage, []).append(value)
        answer['threads'] = torch.get_num_threads()
        return answer


if __name__ == '__main__':
    worker = UltralyticsWorker()
    serve(
        {'open': worker.open, 'run': worker.run},
        expected=(ImportError, OSError, RuntimeError, ValueError),
    )
