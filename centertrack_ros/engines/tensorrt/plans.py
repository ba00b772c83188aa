"""Serialized engines of one model: from the cache where one fits, otherwise built and kept."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from centertrack_ros.engines.files import check_precision, model_file
from centertrack_ros.engines.tensorrt.build import BuildOptions, ParsedModel
from centertrack_ros.engines.tensorrt.cache import (
    Header,
    Identity,
    find_engines,
    read_header,
    tightest,
    write_engine,
)
from centertrack_ros.engines.tensorrt.cuda import Gpu, find_gpu
from centertrack_ros.engines.tensorrt.library import PORTABLE, Library, load_library
from centertrack_ros.engines.tensorrt.profiles import (
    Profile,
    Range,
    default_profile,
    exact_profile,
)
from centertrack_ros.engines.tensorrt.progress import Report
from centertrack_ros.files import cache_folder, file_digest
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import Size, input_size

_LOGGER = logging.getLogger(__name__)
PRECISIONS = ('auto', 'fp32', 'fp16', 'int8')


class PlanStore:
    """The engines of one model file for one library and GPU.

    Attributes:
        model: the ONNX file.
    """

    def __init__(
        self,
        model: Path,
        spec: ModelSpec,
        library: Library,
        gpu: Gpu | None,
        *,
        folder: Path,
        options: BuildOptions,
        report: Report = _LOGGER.info,
    ) -> None:
        """Look at nothing but the model file yet.

        Args:
            model: ONNX file of the precision that `options` say.
            spec: ModelSpec of the model.
            library: what builds and runs.
            gpu: what it runs on; None: nowhere here, TensorRT for RTX builds without one.
            folder: of the cache.
            options: how to build.
            report: gets the progress of builds.
        """
        self.model = model
        self._spec, self._library, self._gpu = spec, library, gpu
        self._folder, self._options, self._report = folder, options, report
        self._identity = Identity(
            source=str(model.resolve()),
            model=file_digest(model),
            library=library.name,
            version=library.version,
            precision=options.precision,
            target=_target(library, gpu, options),
        )

    def first(self) -> Path:
        """Any engine of the model, or one built for `default_profile`."""
        engines = find_engines(self._folder, self._identity, self._runs_here)
        if engines:
            return max(engines, key=lambda entry: entry[1].height.largest)[0]
        parsed = ParsedModel(self._library, self.model, self._spec)
        return self._build(parsed, default_profile(self._spec, parsed.fixed_batch or 1))

    def covering(self, batch: int, height: int, width: int) -> Path:
        """The engine for images (batch, height, width, 3); built for just that if there is none.

        Raises:
            RuntimeError: it could not be built.
            ValueError: the model does not take such an input.
        """
        engines = find_engines(self._folder, self._identity, self._runs_here)
        if (path := tightest(engines, batch, height, width)) is not None:
            return path
        _LOGGER.warning(
            'no engine of %s takes %d images of %dx%d: building one',
            self.model,
            batch,
            height,
            width,
        )
        parsed = ParsedModel(self._library, self.model, self._spec)
        smallest = parsed.fixed_batch or 1
        return self._build(parsed, exact_profile((height, width), (smallest, batch, batch)))

    def ahead(self, batch: Range | None, image_size: Size | None) -> Path:
        """The engine for a range of batches and the images of one size, or all sizes.

        Args:
            batch: images per call; None: what the file says, or 1.
            image_size: of the camera's images, height and width; None: all that the model takes.
        """
        parsed = ParsedModel(self._library, self.model, self._spec)
        batches = batch or Range.only(parsed.fixed_batch or 1)
        profile = (
            default_profile(self._spec, batches)
            if image_size is None
            else exact_profile(input_size(image_size, self._spec), batches)
        )
        for path, cached in find_engines(self._folder, self._identity, self._is_target):
            if cached == profile:
                self._report(f'{path} is up to date')
                return path
        return self._build(parsed, profile)

    def _build(self, parsed: ParsedModel, profile: Profile) -> Path:
        name = f'{self._library.name} {self._library.version}'
        self._report(
            f'building {self.model.name} with {name}: {self._options.precision}, {profile.text}, '
            f'for {self._identity.target}'
        )
        begin = time.monotonic()
        serialized = parsed.serialize(profile, self._options, self._report)
        seconds = time.monotonic() - begin
        path = write_engine(self._folder, Header(self._identity, profile, seconds), serialized)
        size = len(serialized) / 2**20
        self._report(f'built in {seconds:.1f} s: {path} ({size:.1f} MiB)')
        return path

    def _is_target(self, target: str) -> bool:
        return target == self._identity.target

    def _runs_here(self, target: str) -> bool:
        """Whether an engine built for `target` runs on this GPU."""
        if target in (self._identity.target, PORTABLE):
            return True
        return self._gpu is not None and f'sm{self._gpu.capability}' in target.split('+')


def open_store(
    model_path: Path,
    spec: ModelSpec,
    *,
    precision: str,
    gpu: Gpu | None,
    library: Library,
    capabilities: tuple[int, ...] = (),
    folder: Path | None = None,
    workspace_bytes: int = BuildOptions.workspace_bytes,
    report: Report = _LOGGER.info,
) -> tuple[PlanStore, str]:
    """The engines of a model in one precision, and that precision.

    Args:
        model_path: fp32 model; the files of the other precisions lie beside it.
        spec: its ModelSpec.
        precision: `auto` (fp16 where there is a file of it, otherwise fp32), `fp32`, `fp16` or
            `int8`.
        gpu, library, folder, report: see `PlanStore`; without a folder
            `tensorrt` in `files.cache_folder`.
        capabilities, workspace_bytes: see `BuildOptions`.

    Raises:
        FileNotFoundError: there is no file of that precision; the message has how to make it.
        ValueError: unknown precision.
    """
    check_precision(precision, PRECISIONS)
    chosen = 'fp16' if precision == 'auto' else precision
    try:
        model = model_file(model_path, precision=chosen, symmetric=True)
    except FileNotFoundError as error:
        if precision != 'auto':
            raise
        _LOGGER.warning('precision auto: fp32, which is slower, as %s', error)
        chosen, model = 'fp32', model_file(model_path, precision='fp32')
    options = BuildOptions(chosen, capabilities, workspace_bytes)
    store = PlanStore(
        model,
        spec,
        library,
        gpu,
        folder=folder or cache_folder() / 'tensorrt',
        options=options,
        report=report,
    )
    return store, chosen


def build_only(
    model_path: Path,
    spec: ModelSpec,
    *,
    precision: str = 'auto',
    device: str = 'auto',
    library: str = 'auto',
    batch: Range | None = None,
    image_size: Size | None = None,
    capabilities: tuple[int, ...] = (),
    folder: Path | None = None,
    workspace_bytes: int = BuildOptions.workspace_bytes,
    report: Report = _LOGGER.info,
) -> tuple[Path, Header]:
    """Build and cache an engine ahead of time, or find it up to date.

    Args:
        model_path, spec, precision, capabilities, folder, workspace_bytes: see `open_store`.
        device: `auto` or `cuda[:N]`, the GPU to build for; not needed with TensorRT for RTX.
        library: `auto`, `tensorrt` or `tensorrt_rtx`.
        batch, image_size: see `PlanStore.ahead`.
        report: gets the progress.

    Returns:
        The file and its header.

    Raises:
        FileNotFoundError: no model of that precision.
        ImportError: no TensorRT.
        RuntimeError: no GPU where the library needs one, or the build failed.
        ValueError: TensorRT cannot read the model, or what is asked for does not fit it.
    """
    loaded = load_library(library)
    gpu = find_gpu(device) if loaded.needs_gpu_to_build else None
    store, _ = open_store(
        model_path,
        spec,
        precision=precision,
        gpu=gpu,
        library=loaded,
        capabilities=capabilities,
        folder=folder,
        workspace_bytes=workspace_bytes,
        report=report,
    )
    path = store.ahead(batch, image_size)
    return path, read_header(path)


def _target(library: Library, gpu: Gpu | None, options: BuildOptions) -> str:
    if not library.needs_gpu_to_build:
        return '+'.join(f'sm{capability}' for capability in options.capabilities) or PORTABLE
    if gpu is None:
        raise RuntimeError(f'{library.name} builds for the GPU at hand, and there is none')
    return gpu.text
