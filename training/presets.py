"""What the released models of CenterTrack and CenterNet were trained for.

Sizes, classes and thresholds as in the originals' `lib/dataset/datasets` and `experiments`.
Means and deviations are those of the programs, in BGR order; CenterNet used ImageNet's RGB
numbers on BGR images for KITTI and VOC, and so must its weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from centertrack_ros.model_spec import Thresholds
from training.classes import (
    COCO_CLASSES,
    COCO_JOINTS,
    KITTI_CLASSES,
    NUSCENES_CLASSES,
    VOC_CLASSES,
)

_COCO_MEAN = (0.40789654, 0.44719302, 0.47026115)
_COCO_STD = (0.28863828, 0.27408164, 0.27809835)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preset:
    """One task of the originals.

    Attributes:
        classes: names, in the order of the channels of `hm`.
        input_height, input_width: pixels.
        joints: names, for pose models.
        track, birth, prior: `track_thresh`, `new_thresh` and `pre_thresh` of the experiments.
        mean, std: per channel, of image / 255.
    """

    classes: tuple[str, ...]
    input_height: int
    input_width: int
    joints: tuple[str, ...] = ()
    track: float = 0.3
    birth: float = 0.3
    prior: float = 0.3
    mean: tuple[float, float, float] = _COCO_MEAN
    std: tuple[float, float, float] = _COCO_STD

    @property
    def thresholds(self) -> Thresholds:
        """The originals publish what they track: `out_thresh` is `track_thresh`."""
        return Thresholds(self.track, self.track, self.birth, self.prior)


PRESETS: dict[str, Preset] = {
    'coco': Preset(COCO_CLASSES, 512, 512),
    'coco_pose': Preset(('person',), 512, 512, joints=COCO_JOINTS),
    'crowdhuman': Preset(('person',), 512, 512),
    'kitti_tracking': Preset(KITTI_CLASSES, 384, 1280, track=0.4, birth=0.4,
                             prior=0.4),
    'kitti_3d': Preset(KITTI_CLASSES, 384, 1280, mean=_IMAGENET_MEAN,
                       std=_IMAGENET_STD),
    'mot': Preset(('person',), 544, 960, track=0.4, birth=0.4, prior=0.5),
    'nuscenes': Preset(NUSCENES_CLASSES, 448, 800, track=0.1, prior=0.1),
    'voc': Preset(VOC_CLASSES, 512, 512, mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
}  # fmt: skip
