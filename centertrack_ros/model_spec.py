"""ModelSpec: the JSON beside a model, the only source of its sizes, classes and thresholds."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

BoxKind = Literal['ltrb', 'wh', 'ltrb_amodal']
ResizeRule = Literal['letterbox', 'adaptive', 'stretch', 'centertrack']
RadiusRule = Literal['centertrack', 'exact']
PeakRule = Literal['cell', 'class']
JointRule = Literal['centertrack', 'centernet', 'movenet']
AmodalReference = Literal['cell', 'box']
EdgeRule = Literal['distances', 'offsets']

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Thresholds:
    """Scores, all in [0, 1], at which this model's candidates begin to count.

    Attributes:
        detection: below it a candidate is dropped.
        track: at or above it a detection takes part in the first association.
        birth: above it an unmatched detection starts a track.
        prior: at or above it a track is drawn into the prior heatmap.
    """

    detection: float
    track: float
    birth: float
    prior: float


@dataclass(frozen=True)
class DecodeRules:
    """Where the originals decode in more than one way, or not as they train.

    Attributes:
        peaks: `cell`: the best class of each cell competes with its neighbours, one row per cell;
            `class`: every class by itself, the best of all of them, as CenterTrack and CenterNet.
        joints: which joint peaks replace regressed joints, see `training.models.joints`.
        amodal_reference: what `amodel_offset` leads away from: `cell`, the integer peak, as all
            networks are trained; `box`, the centre of the box, as CenterTrack decodes.
        edges: what the head `ltrb` holds: `distances` of the four edges from the integer cell,
            positive outwards; `offsets`, edge less cell, as CenterTrack (where left and top are
            negative). The head `ltrb_amodal` always holds offsets.
        clamp_sizes: whether a negative size of the head `wh` counts as 0, as in CenterTrack;
            CenterNet keeps it.
        duplicate_overlap: of two rows of one class whose boxes overlap (IoU) by more, the worse
            one is dropped; 1 = none, as in CenterTrack and CenterNet.
        box_votes: whether an `ltrb` box is the mean of those of the 3x3 cells around the peak,
            weighted by the squares of their scores; the cells have to be trained to tell it.
    """

    peaks: PeakRule = 'cell'
    joints: JointRule = 'centernet'
    amodal_reference: AmodalReference = 'cell'
    edges: EdgeRule = 'distances'
    clamp_sizes: bool = True
    duplicate_overlap: float = 0.7
    box_votes: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.duplicate_overlap <= 1:
            raise ValueError(
                'duplicate_overlap: expected above 0 and up to 1, '
                f'received {self.duplicate_overlap}'
            )
        _check_choices(
            self,
            peaks=get_args(PeakRule),
            joints=get_args(JointRule),
            amodal_reference=get_args(AmodalReference),
            edges=get_args(EdgeRule),
            clamp_sizes=(True, False),
            box_votes=(True, False),
        )


@dataclass(frozen=True)
class ModelSpec:
    """What the runtime must know of a model; see `models/README.md` for the shipped ones.

    Attributes:
        name: file name of the model without its ending.
        architecture: name of the network in `training/models`.
        input_height, input_width: network input, pixels; of an `adaptive` one only their product
            counts, the pixels it should have.
        resize: how an image becomes the input: `letterbox` keeps its shape, `adaptive` as well,
            in an input that has the image's proportions (`preprocessing.input_size`), `stretch`
            fills, `centertrack` fits the longer side to the input's width and crops what sticks
            out.
        stride: input pixels per output cell.
        max_candidates: K, rows returned by the graph.
        classes: class names; `Detections.classes` indexes them.
        heads: channels of each head of the network.
        box: which head the boxes come from.
        joints: joint names, empty for models without key points.
        radius_rule: gaussian radius of a box, see `rendering.gaussian_radius`.
        prior_heatmap_stride: input pixels per cell of the prior heatmap.
        thresholds: default thresholds, chosen by measurement for this model.
        licence: licence of the weights.
        previous_image, prior_heatmap: whether the graph has these inputs.
        channel_mean, channel_std: blue, green, red, in grey levels; the graph subtracts and
            divides. The defaults leave 0..255 as it is.
        network: options of the architecture beside its heads, see `training.models`.
        decode: rules of decoding.
        trained_focal_length: of the camera that a depth was learnt with, in pixels of the network
            input; other cameras' depths are corrected by it (`lifting.depth_scale`).
            None = depths are taken as they are.
        provenance: source of the weights, training command, data, commit.
    """

    name: str
    architecture: str
    input_height: int
    input_width: int
    resize: ResizeRule
    stride: int
    max_candidates: int
    classes: tuple[str, ...]
    heads: dict[str, int]
    box: BoxKind
    radius_rule: RadiusRule
    prior_heatmap_stride: int
    thresholds: Thresholds
    licence: str
    joints: tuple[str, ...] = ()
    previous_image: bool = True
    prior_heatmap: bool = True
    channel_mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channel_std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    network: dict[str, int | bool | str] = field(default_factory=dict)
    decode: DecodeRules = field(default_factory=DecodeRules)
    trained_focal_length: float | None = None
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_choices(
            self,
            resize=get_args(ResizeRule),
            box=get_args(BoxKind),
            radius_rule=get_args(RadiusRule),
            previous_image=(True, False),
            prior_heatmap=(True, False),
        )
        for name in ('stride', 'prior_heatmap_stride', 'max_candidates'):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f'{name}: expected a whole number of at least 1, received {value}'
                )
        for name in ('input_height', 'input_width'):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 32 or value % 32:
                raise ValueError(f'{name}: expected a positive multiple of 32, received {value}')
        if not self.classes:
            raise ValueError('classes: expected at least one class name, received none')
        if self.box not in self.heads:
            raise ValueError(
                f'box: expected one of the heads {sorted(self.heads)}, received {self.box!r}'
            )
        for name in ('channel_mean', 'channel_std'):
            if len(getattr(self, name)) != 3:
                raise ValueError(
                    f'{name}: expected three values (blue, green, red), '
                    f'received {getattr(self, name)}'
                )
        if min(self.channel_std) <= 0:
            raise ValueError(f'channel_std: expected positive values, received {self.channel_std}')
        for name, value in asdict(self.thresholds).items():
            if not 0.0 <= value <= 1.0:
                raise ValueError(f'thresholds.{name}: expected 0 to 1, received {value}')
        focal_length = self.trained_focal_length
        if focal_length is not None and not 0 < focal_length < math.inf:
            raise ValueError(
                f'trained_focal_length: expected pixels above 0 or null, received {focal_length!r}'
            )

    @property
    def has_boxes_3d(self) -> bool:
        """Whether its detections can be lifted into space."""
        return {'dep', 'dim', 'rot'} <= self.heads.keys()

    @property
    def output_height(self) -> int:
        """Rows of the output map."""
        return self.input_height // self.stride

    @property
    def output_width(self) -> int:
        """Columns of the output map."""
        return self.input_width // self.stride

    @property
    def prior_heatmap_shape(self) -> tuple[int, int]:
        """Rows and columns of the prior heatmap."""
        return (
            self.input_height // self.prior_heatmap_stride,
            self.input_width // self.prior_heatmap_stride,
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelSpec:
        """Build a spec from the parsed JSON.

        Raises:
            ValueError: a key is missing, unknown, or holds a value out of range.
        """
        values = dict(values)
        version = values.pop('format', None)
        if version != FORMAT_VERSION:
            raise ValueError(f'format: expected {FORMAT_VERSION}, received {version!r}')
        known = {entry.name for entry in fields(cls)}
        optional = {
            entry.name
            for entry in fields(cls)
            if entry.default is not MISSING or entry.default_factory is not MISSING
        }
        missing = sorted(known - values.keys() - optional)
        unknown = sorted(values.keys() - known)
        if missing or unknown:
            raise ValueError(f'missing keys {missing}, unknown keys {unknown}')
        for name, kind in (('thresholds', Thresholds), ('decode', DecodeRules)):
            try:
                values[name] = kind(**values.get(name, {}))
            except TypeError as error:
                raise ValueError(f'{name}: {error}') from error
        for name in ('classes', 'joints', 'channel_mean', 'channel_std'):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of this spec; `from_dict` reads it back unchanged."""
        return {'format': FORMAT_VERSION, **asdict(self)}

    @classmethod
    def load(cls, path: Path) -> ModelSpec:
        """Read the spec beside a model: of `folder/name.onnx` it is `folder/name.json`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a valid spec; the message names the file and the reason.
        """
        path = Path(path).with_suffix('.json')
        if not path.is_file():
            raise FileNotFoundError(
                f'{path} does not exist: every model needs its ModelSpec JSON beside it '
                '(training.export writes both)'
            )
        try:
            return cls.from_dict(json.loads(path.read_text(encoding='utf-8')))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f'{path} is not a valid ModelSpec: {error}') from error

    def save(self, path: Path) -> None:
        """Write the JSON to `path`."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + '\n'
        Path(path).write_text(text, encoding='utf-8')


def _check_choices(record: Any, **choices: tuple[Any, ...]) -> None:
    """Make sure that the named fields of `record` hold one of their choices."""
    for name, allowed in choices.items():
        if getattr(record, name) not in allowed:
            raise ValueError(
                f'{name}: expected one of {allowed}, received {getattr(record, name)!r}'
            )
