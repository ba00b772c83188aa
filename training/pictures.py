"""What the network sees, should say and says, side by side, for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from centertrack_ros.datatypes import Image
from centertrack_ros.model_spec import ModelSpec
from training.activations import activate
from training.data.preview import draw_sample, overlay_heatmap
from training.models.decode import candidate_rows
from training.trainer import Trainer

_BOX_COLOUR = (255, 255, 255)
_ARROW_COLOUR = (0, 255, 255)

Arrays = Mapping[str, NDArray[Any]]


@torch.no_grad()
def draw_predictions(trainer: Trainer, samples: Sequence[Arrays]) -> list[Image]:
    """One picture (H, 3 W, 3) BGR per sample, by the averaged weights.

    From the left: the previous picture with the prior heatmap; the current one with the targets;
    the current one with the predicted heatmap, the boxes above the detection threshold, and
    arrows to where they are said to have been.

    Args:
        trainer: of the network; used by one process alone.
        samples: of `training.data.dataset`.
    """
    spec = trainer.spec
    batch = torch.utils.data.default_collate(list(samples))
    with trainer.evaluating() as objective:
        maps = objective.stacks(trainer.to_device(batch))[-1]
    heatmaps = activate('hm', maps['hm'].float()).amax(dim=1)
    rows = candidate_rows(maps, spec.max_candidates, box=spec.box, rules=spec.decode)
    pictures = []
    for number, sample in enumerate(samples):
        found = {name: _array(rows[name][number]) for name in rows}
        wanted = draw_sample(sample, spec.classes, spec.stride, edges=spec.decode.edges)
        said = _draw_rows(sample['image'], _array(heatmaps[number]), found, spec)
        pictures.append(np.hstack([wanted, said]))
    return pictures


def _draw_rows(image: Image, heatmap: NDArray[Any], found: Arrays, spec: ModelSpec) -> Image:
    canvas = overlay_heatmap(image, heatmap)
    for row in np.flatnonzero(found['scores'] >= spec.thresholds.detection):
        box = np.round(found['boxes'][row] * spec.stride).astype(int).tolist()
        cv2.rectangle(canvas, box[:2], box[2:], _BOX_COLOUR, 1)
        text = f'{spec.classes[int(found["classes"][row])]} {found["scores"][row]:.2f}'
        corner = (box[0], box[1] + 9)
        cv2.putText(canvas, text, corner, cv2.FONT_HERSHEY_PLAIN, 0.7, _BOX_COLOUR)
        if 'tracking' in found:
            cell = found['cells'][row]
            before = np.round((cell + found['tracking'][row]) * spec.stride).astype(int).tolist()
            now = np.round(cell * spec.stride).astype(int).tolist()
            cv2.arrowedLine(canvas, now, before, _ARROW_COLOUR, 1, tipLength=0.2)
    return canvas


def _array(values: Tensor) -> NDArray[Any]:
    result: NDArray[Any] = values.float().cpu().numpy()
    return result
