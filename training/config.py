"""What a training configuration may say; `training.config_file` reads one.

Paths are relative to the working directory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from centertrack_ros.model_spec import BoxKind, JointRule, RadiusRule
from training.augment import AugmentSettings
from training.models.original_checkpoint import NewPart
from training.targets import PriorNoise

# Unknown keys are errors.
_STRICT = {'extra': 'forbid'}
Names: TypeAlias = str | tuple[str, ...]
ChannelValues: TypeAlias = tuple[float, float, float]
Positive: TypeAlias = Annotated[int, Field(ge=1)]
NotNegative: TypeAlias = Annotated[int, Field(ge=0)]
PositiveReal: TypeAlias = Annotated[float, Field(gt=0)]
NotNegativeReal: TypeAlias = Annotated[float, Field(ge=0)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
# 1 would never follow the weights.
Decay: TypeAlias = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class ModelConfig:
    """The model that is trained; most of it becomes its ModelSpec.

    Attributes:
        architecture: see `training.models`.
        classes: names, or the name of a list of `training.classes` (`coco`, `voc`, ...).
        heads: names of `training.heads`; their channels follow from classes and joints.
        box: the head that boxes come from.
        input_height, input_width: pixels of the exported model.
        adaptive: whether its input takes the proportions of each image and has about as many
            pixels, see `preprocessing.input_size`. It is trained at the size above either way.
        box_votes: see `DecodeRules.box_votes`.
        thresholds: defaults at run time.
        licence: of the trained weights.
        joints: names of the joints, or `coco`; for models with key points.
        joint_rule: see `DecodeRules.joints`; of `compat` they are those of CenterTrack.
        offset_per_joint: whether `hp_offset` has a pair of channels for each joint, as in MoveNet.
        network: options of the architecture.
        previous_image, prior_heatmap: which inputs there are beside the image.
        max_candidates: K, rows of the exported graph.
        radius_rule: of the gaussian peaks, where `compat` is false.
        channel_mean, channel_std: blue, green, red, in grey levels; subtracted and divided in the
            graph. The defaults leave 0..255 as it is.
        trained_focal_length: see `ModelSpec.trained_focal_length`; of the camera of the sets.
        provenance: source of weights and data, for people.
    """

    __pydantic_config__ = _STRICT

    architecture: str
    classes: Names
    heads: tuple[str, ...]
    box: BoxKind
    input_height: int
    input_width: int
    thresholds: dict[str, float]
    licence: str
    joints: Names = ()
    joint_rule: JointRule = 'centernet'
    offset_per_joint: bool = False
    network: dict[str, int | bool | str] = field(default_factory=dict)
    previous_image: bool = True
    prior_heatmap: bool = True
    max_candidates: int = 100
    adaptive: bool = False
    box_votes: bool = False
    radius_rule: RadiusRule = 'exact'
    channel_mean: ChannelValues = (0.0, 0.0, 0.0)
    channel_std: ChannelValues = (1.0, 1.0, 1.0)
    trained_focal_length: PositiveReal | None = None
    provenance: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StartConfig:
    """The weights that training begins with.

    Attributes:
        kind: `random`; `checkpoint`: a checkpoint of this project (`*.pt`); `exported`: a model
            that `training.export` wrote, such as a shipped one (`*.onnx`, with its JSON);
            `original`: a file of the original programs or an ImageNet-trained backbone, by the
            rename table of the architecture; `mb3_centernet`, `movenet_multipose`: the published
            detector or pose network in the folder `path`. Classes of checkpoints and exported
            models are found by their names.
        path: file or folder.
        initialise: parts that may be absent from the file, see
            `training.models.original_checkpoint`; all else is strict.
    """

    __pydantic_config__ = _STRICT

    kind: Literal[
        'random', 'checkpoint', 'exported', 'original', 'mb3_centernet', 'movenet_multipose'
    ] = 'random'
    path: str = ''
    initialise: tuple[NewPart, ...] = ()


@dataclass(frozen=True)
class CocoSet:
    """A COCO-format file with or without videos, see `training.data.coco_reader`.

    Attributes:
        annotations: the file.
        images: folder of its pictures.
        weight: share of the samples of an epoch against the other sets; 0 = its number of images.
        source: name in `training.data.catalogue`: what to do when the files are not there.
        mosaic: share of its samples that are mosaics of four pictures.
        skip_categories: categories of the file that the model does not have.
    """

    __pydantic_config__ = _STRICT

    kind: Literal['coco']
    annotations: str
    images: str
    weight: NotNegativeReal = 0.0
    source: str = ''
    mosaic: Share = 0.0
    skip_categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class MixedSet:
    """The project's own mix of stills and synthetic scenes, see `training.data.sources`.

    Attributes:
        root: folder with `coco128` and `cutouts`.
        weight: as in `CocoSet`; 0 is not allowed, because it has no number of images.
        still_share: share of stills with simulated motion; the rest is synthetic video.
    """

    __pydantic_config__ = _STRICT

    kind: Literal['mix']
    root: str
    weight: PositiveReal = 1.0
    still_share: Share = 0.4


DataSet: TypeAlias = Annotated[CocoSet | MixedSet, Field(discriminator='kind')]


@dataclass(frozen=True)
class DataConfig:
    """What is learnt from.

    Attributes:
        train: sets that are mixed by their weights.
        validation: sets that the metric is measured on; without any, other seeds of `train`.
        crop_height, crop_width: pixels of the training crops; 0 = the input of the model.
        epoch_length: samples of an epoch; 0 = as many as `train` has images.
        max_frame_distance: frames of a pair are nearer than this.
        max_objects: rows of the per-object targets.
        faults: what happens at a picture that cannot be read or an annotation that is wrong:
            `fatal` stops, `skip` leaves it out, reports and counts it.
        cache_mb: decoded pictures that each worker keeps, MiB.
    """

    __pydantic_config__ = _STRICT

    train: tuple[DataSet, ...]
    validation: tuple[CocoSet, ...] = ()
    crop_height: int = 0
    crop_width: int = 0
    epoch_length: NotNegative = 0
    max_frame_distance: Positive = 3
    max_objects: Positive = 128
    faults: Literal['fatal', 'skip'] = 'fatal'
    cache_mb: NotNegative = 256


@dataclass(frozen=True)
class OptimisationConfig:
    """How weights are changed.

    Attributes:
        optimiser: adamw, adam, sgd (momentum 0.9).
        learning_rate: of new layers, and of all with a random start.
        reference_batch: batch size that `learning_rate` is meant for; it grows and shrinks with
            the batch in proportion (linear rule). 0 = as it stands.
        pretrained_factor: learning rate of layers that the start brought, against
            `learning_rate`; 0 freezes them.
        weight_decay: of weights; not of biases and normalisation. By default 1e-4, 0 with adam.
        schedule: `cosine` falls to 0 at the end, `step` multiplies by `step_factor` after each of
            the epochs `milestones`, `constant`.
        warmup_steps: linear warm-up before it.
        gradient_clip: largest norm of the gradient; 0 = no limit.
        ema_decay: averaging of the weights that are evaluated and exported; 0 = none.
        batch_norm: `train`; `frozen`: statistics of the start, not updated; `synchronised`:
            statistics of the batches of all processes together. Layers that are frozen by
            `pretrained_factor` keep theirs either way.
    """

    __pydantic_config__ = _STRICT

    optimiser: Literal['adamw', 'adam', 'sgd'] = 'adamw'
    learning_rate: PositiveReal = 1e-3
    reference_batch: NotNegative = 0
    pretrained_factor: NotNegativeReal = 1.0
    weight_decay: NotNegativeReal | None = None
    schedule: Literal['cosine', 'step', 'constant'] = 'cosine'
    milestones: tuple[Positive, ...] = ()
    step_factor: PositiveReal = 0.1
    warmup_steps: NotNegative = 0
    gradient_clip: NotNegativeReal = 10.0
    ema_decay: Decay = 0.998
    batch_norm: Literal['train', 'frozen', 'synchronised'] = 'train'


@dataclass(frozen=True)
class LoopConfig:
    """How long, on what, and what is kept.

    Attributes:
        epochs: length of the training.
        batch_size: samples per step, of all processes together.
        workers: loader processes, of each process; 0 = in the training process.
        device: auto, cpu, cuda.
        precision: fp32, or autocast to bf16 or, on GPUs only, fp16 with loss scaling; weights
            stay fp32.
        channels_last: memory format.
        compile: torch.compile; pays on GPUs, not on CPUs.
        log_every: steps between two lines of the log.
        pictures_every: epochs between two sets of pictures in TensorBoard; 0 = only at the end.
        save_minutes: minutes between two checkpoints; one is saved after every epoch anyway.
        validate_every: epochs between two validations; 0 = only at the end.
        metric: what the best checkpoint is chosen by: `loss` (lowest), or a metric of
            `training.evaluate` (highest).
        patience: validations without a better metric after which training stops; 0 = never.
    """

    __pydantic_config__ = _STRICT

    epochs: Positive
    batch_size: Positive = 8
    workers: NotNegative = 1
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'
    precision: Literal['fp32', 'bf16', 'fp16'] = 'fp32'
    channels_last: bool = True
    compile: bool = False
    log_every: Positive = 20
    pictures_every: NotNegative = 1
    save_minutes: NotNegativeReal = 5.0
    validate_every: NotNegative = 1
    metric: str = 'loss'
    patience: NotNegative = 0


@dataclass(frozen=True)
class TrainConfig:
    """One training.

    Attributes:
        name: of the model, and of the exported files.
        run: folder for checkpoints and logs.
        model, start, data, optimisation, loop: see their classes.
        seed: everything random follows from it.
        compat: encode, learn and decode as the original does, defects included, see
            `training.rules`; the rules that imported weights were trained with.
        augmentation, prior_noise: see `training.augment` and `training.targets`.
        losses: weights of the losses that differ from those of `training.heads`, by head, and of
            the extra ones (`giou`), see `training.losses.weights`; 0 leaves a loss out.
    """

    __pydantic_config__ = _STRICT

    name: str
    run: str
    model: ModelConfig
    data: DataConfig
    loop: LoopConfig
    start: StartConfig = field(default_factory=StartConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)
    augmentation: AugmentSettings = field(default_factory=AugmentSettings)
    prior_noise: PriorNoise = field(default_factory=PriorNoise)
    losses: dict[str, float] = field(default_factory=dict)
    seed: NotNegative = 1
    compat: bool = False
