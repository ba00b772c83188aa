"""Names of classes and joints of the public data sets, in the order of the channels."""

COCO_CLASSES = (
    'person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat',
    'traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat', 'dog',
    'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'backpack', 'umbrella',
    'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard', 'sports ball', 'kite',
    'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket', 'bottle',
    'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich',
    'orange', 'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch',
    'potted plant', 'bed', 'dining table', 'toilet', 'tv', 'laptop', 'mouse', 'remote',
    'keyboard', 'cell phone', 'microwave', 'oven', 'toaster', 'sink', 'refrigerator', 'book',
    'clock', 'vase', 'scissors', 'teddy bear', 'hair drier', 'toothbrush',
)  # fmt: skip
VOC_CLASSES = (
    'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
    'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train',
    'tvmonitor',
)  # fmt: skip
KITTI_CLASSES = ('pedestrian', 'car', 'cyclist')
NUSCENES_CLASSES = (
    'car', 'truck', 'bus', 'trailer', 'construction_vehicle', 'pedestrian', 'motorcycle',
    'bicycle', 'traffic_cone', 'barrier',
)  # fmt: skip
COCO_JOINTS = (
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder',
    'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip',
    'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
)  # fmt: skip

# What a configuration may say instead of a list.
CLASS_LISTS: dict[str, tuple[str, ...]] = {
    'coco': COCO_CLASSES,
    'kitti': KITTI_CLASSES,
    'nuscenes': NUSCENES_CLASSES,
    'voc': VOC_CLASSES,
}
JOINT_LISTS: dict[str, tuple[str, ...]] = {'coco': COCO_JOINTS}


def named_list(names: str | tuple[str, ...], lists: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """`names`, or the list that goes by this name.

    Raises:
        ValueError: there is no such list.
    """
    if not isinstance(names, str):
        return names
    if names not in lists:
        raise ValueError(f'expected names or one of the lists {sorted(lists)}, received {names!r}')
    return lists[names]
