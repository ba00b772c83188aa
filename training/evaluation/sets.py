"""Labelled sets as evaluation sees them: videos with stamps, labels, and the ids of the file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from training.data.coco_reader import frame_records, load_coco
from training.data.coco_records import FrameRecord, ReadingRules
from training.data.faults import FaultPolicy

# Images per second of videos whose file says nothing of time.
DEFAULT_FPS = 10.0


@dataclass(frozen=True)
class EvaluationVideo:
    """Images that are tracked as one, or a still picture.

    Attributes:
        name: for result files: what the file calls the video, else its id; of a camera of a
            video with several the camera's number is appended. Of stills the name of the picture.
        rows: indices of `EvaluationSet.records`, in the order of time.
        stamps: seconds, one per row.
        still: whether it is a picture by itself.
    """

    name: str
    rows: tuple[int, ...]
    stamps: tuple[float, ...]
    still: bool

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class EvaluationSet:
    """A COCO-format file with or without videos, read for a model.

    The stamp of an image is its `timestamp` (seconds) where the file says; else its `frame_id`
    over the `fps` of its video, or over `DEFAULT_FPS` where that is not said either: a frame
    number that is missing gives a longer step of time.

    Attributes:
        name: of the file, or of its folder where the file has the usual name.
        class_names: of the model, in its order.
        category_ids: the file's id of each class, None for classes that it does not have.
        joint_names: as in the model.
        records: all images in the order of the file, with checked labels. Crowds are ignored
            regions.
        videos: in the order of the file.
        annotations: for each record its annotations as they stand in the file; `labels.rows`
            and `labels.ignore_rows` are places in it. Not to be changed.
        content: the parsed file; not to be changed.
        source: path of the file.
    """

    name: str
    class_names: tuple[str, ...]
    category_ids: tuple[int | None, ...]
    joint_names: tuple[str, ...]
    records: tuple[FrameRecord, ...]
    videos: tuple[EvaluationVideo, ...]
    annotations: tuple[tuple[Mapping[str, Any], ...], ...] = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)
    source: str = ''

    def __len__(self) -> int:
        return len(self.records)

    @property
    def has_motion(self) -> bool:
        """Whether a video has more than one image, so that tracking can be measured."""
        return any(len(video) > 1 for video in self.videos)

    @property
    def has_objects(self) -> bool:
        """Whether an object of a class that is measured is labelled."""
        return self._has_objects(range(len(self)))

    @property
    def has_tracks(self) -> bool:
        """Whether there is motion, and an object in a video."""
        rows = [row for video in self.videos if not video.still for row in video.rows]
        return self.has_motion and self._has_objects(rows)

    @property
    def class_indices(self) -> tuple[int, ...]:
        """Classes of the model that are measured: those that the file has."""
        return tuple(i for i, number in enumerate(self.category_ids) if number is not None)

    def of_classes(self, names: Sequence[str]) -> EvaluationSet:
        """The same set, of which only some classes are measured.

        Raises:
            ValueError: the file has no such category.
        """
        known = {self.class_names[index] for index in self.class_indices}
        if not names or not set(names) <= known:
            raise ValueError(
                f'classes: expected some of {sorted(known)}, which model and {self.name} have, '
                f'received {list(names)}'
            )
        numbers = zip(self.class_names, self.category_ids, strict=True)
        kept = tuple(number if name in names else None for name, number in numbers)
        return replace(self, category_ids=kept)

    def check_pictures(self) -> None:
        """Look for all pictures, but do not open them, before hours of work.

        Raises:
            FileNotFoundError: some do not exist; the text has the first one and how many.
        """
        missing = [record.path for record in self.records if not record.path.is_file()]
        if missing:
            raise FileNotFoundError(
                f'{missing[0]} does not exist; {len(missing)} of the {len(self)} pictures of '
                f'{self.source} are missing'
            )

    def _has_objects(self, rows: Sequence[int]) -> bool:
        labels = (self.records[row].labels for row in rows)
        return any(np.isin(label.classes, self.class_indices).any() for label in labels)

    @classmethod
    def load(
        cls,
        annotations: Path,
        images: Path,
        class_names: Sequence[str],
        *,
        joint_names: Sequence[str] = (),
        outlines: bool = False,
        skipped_categories: Sequence[str] = (),
        faults: FaultPolicy = 'fatal',
    ) -> EvaluationSet:
        """Read a file.

        Args:
            annotations: the JSON.
            images: folder of its `file_name`s.
            class_names: of the model; categories are found by name.
            joint_names: of the model's joints; read where annotations have key points.
            outlines: whether polygons are read into the labels.
            skipped_categories: names of categories that the model lacks and that are left out.
            faults: what happens at a wrong annotation: an error, or it is left out. Pictures
                that cannot be read are errors either way, when they are evaluated.

        Raises:
            FileNotFoundError: file or folder does not exist.
            ValueError: the file is not valid; the text has the file, the list and the index.
        """
        if not images.is_dir():
            raise FileNotFoundError(f'image folder {images} does not exist')
        content = load_coco(annotations)
        rules = ReadingRules(
            skipped_categories=skipped_categories,
            joint_names=joint_names,
            outlines=outlines,
            faults=faults,
        )
        records = tuple(frame_records(content, str(annotations), images, class_names, rules))
        numbers = {entry['name']: entry['id'] for entry in content['categories']}
        of_image = _annotations_of_images(content)
        return cls(
            # `data/own/val/annotations.json`, as our converters write it, is `val`.
            name=annotations.resolve().parent.name
            if annotations.stem == 'annotations'
            else annotations.stem,
            class_names=tuple(class_names),
            category_ids=tuple(numbers.get(name) for name in class_names),
            joint_names=tuple(joint_names),
            records=records,
            videos=_videos(records, content, str(annotations)),
            annotations=tuple(tuple(of_image.get(record.image_id, ())) for record in records),
            content=content,
            source=str(annotations),
        )


def images_folder(annotations: Path) -> Path:
    """Where the pictures of an annotation file lie, if nobody says: beside it, or as in COCO.

    Of `root/annotations/instances_val.json` that is the first of `root/annotations`,
    `root/annotations/images`, `root/images/val`, `root/val`, `root/images` and `root` that has its
    first picture.

    Raises:
        FileNotFoundError: none of them; the text lists them.
        ValueError: the file is not valid.
    """
    content = load_coco(annotations)
    try:
        first = str(content['images'][0]['file_name'])
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError(f'{annotations}: expected images with a file_name') from error
    root, split = annotations.parent.parent, annotations.stem.rpartition('_')[2]
    folders = (
        annotations.parent,
        annotations.parent / 'images',
        root / 'images' / split,
        root / split,
        root / 'images',
        root,
    )
    for folder in folders:
        if (folder / first).is_file():
            return folder
    tried = ', '.join(str(folder) for folder in folders)
    raise FileNotFoundError(
        f'{first}, the first picture of {annotations}, is in none of {tried}; name the folder '
        'with --images'
    )


def _annotations_of_images(content: Mapping[str, Any]) -> dict[Any, list[Mapping[str, Any]]]:
    """Image id -> its annotations, in the order of the file."""
    of_image: dict[Any, list[Mapping[str, Any]]] = {}
    for annotation in content['annotations']:
        # What is not so was left out by the reader too.
        if isinstance(annotation, dict) and isinstance(annotation.get('image_id'), (int, str)):
            of_image.setdefault(annotation['image_id'], []).append(annotation)
    return of_image


def _videos(
    records: Sequence[FrameRecord], content: Mapping[str, Any], source: str
) -> tuple[EvaluationVideo, ...]:
    entries = [content['images'][record.row] for record in records]
    rows: dict[Any, list[int]] = {}
    for row, record in enumerate(records):
        rows.setdefault(record.video, []).append(row)
    named = {entry['id']: entry for entry in content.get('videos', []) if 'id' in entry}
    cameras: dict[Any, int] = {}
    for video, _ in rows:
        cameras[video] = cameras.get(video, 0) + 1
    videos = []
    for (video, camera), members in rows.items():
        still = video == 'still'
        if still:
            path = Path(entries[members[0]]['file_name'])
            videos.append(EvaluationVideo(path.stem, tuple(members), (0.0,), still=True))
            continue
        entry = named.get(video, {})
        name = str(entry.get('name', entry.get('file_name', video)))
        if cameras[video] > 1:
            name = f'{name}_{camera}'
        ordered = sorted(members, key=lambda row: records[row].frame)
        stamps = _stamps(
            [records[row].frame for row in ordered],
            [entries[row].get('timestamp') for row in ordered],
            entry.get('fps', DEFAULT_FPS),
            f'{source}: video {name}',
        )
        videos.append(EvaluationVideo(name, tuple(ordered), stamps, still=False))
    return tuple(videos)


def _stamps(
    frames: Sequence[int], given: Sequence[Any], fps: Any, where: str
) -> tuple[float, ...]:
    """Seconds of the images of one video from their numbers, or from what the file says."""
    if all(stamp is None for stamp in given):
        if not isinstance(fps, (int, float)) or not 0 < fps < math.inf:
            raise ValueError(f'{where}: fps: expected a number above 0, received {fps!r}')
        return tuple(frame / fps for frame in frames)
    if not all(isinstance(stamp, (int, float)) and math.isfinite(stamp) for stamp in given):
        raise ValueError(f'{where}: expected timestamps (seconds) of all of its images or of none')
    if any(later <= earlier for earlier, later in pairwise(given)):
        raise ValueError(f'{where}: expected timestamps that rise with frame_id')
    return tuple(float(stamp) for stamp in given)
