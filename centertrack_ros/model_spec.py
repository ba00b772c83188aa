"""ModelSpec: the JSON beside a model, the only source of its sizes, classes and thresholds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

BoxKind = Literal['ltrb', 'wh']
ResizeRule = Literal['letterbox', 'stretch']
RadiusRule = Literal['centertrack', 'exact']

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
class ModelSpec:
    """What the runtime must know of a model; see `models/README.md` for the shipped ones.

    Attributes:
        name: file name of the model without its ending.
        architecture: name of the network in `training/models`.
        input_height, input_width: network input, pixels.
        resize: how an image becomes the input: `letterbox` keeps its shape, `stretch` fills.
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
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, choices in (
            ('resize', get_args(ResizeRule)),
            ('box', get_args(BoxKind)),
            ('radius_rule', get_args(RadiusRule)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f'{name}: expected one of {choices}, received {getattr(self, name)!r}'
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
        for name, value in asdict(self.thresholds).items():
            if not 0.0 <= value <= 1.0:
                raise ValueError(f'thresholds.{name}: expected 0 to 1, received {value}')

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
        missing = sorted(known - values.keys() - {'joints', 'provenance'})
        unknown = sorted(values.keys() - known)
        if missing or unknown:
            raise ValueError(f'missing keys {missing}, unknown keys {unknown}')
        try:
            values['thresholds'] = Thresholds(**values['thresholds'])
        except TypeError as error:
            raise ValueError(f'thresholds: {error}') from error
        values['classes'] = tuple(values['classes'])
        values['joints'] = tuple(values.get('joints', ()))
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
