"""Ground, skyline and sky, which stay where they are while the camera moves."""

from __future__ import annotations

import cv2
import numpy as np

from centertrack_ros.datatypes import FloatArray, Image
from training.data.labels import Reals
from training.data.world.camera import View

# Texels of the ground, which repeats itself after so many metres.
_TEXELS, _PERIOD = 1024, 40.0
# The panorama: all directions, from below the horizon to above; degrees and texels.
_LOWEST, _HIGHEST, _ROWS, _COLUMNS = -4.0, 34.0, 192, 1536
# The directions of pixels vary slowly: every so many are computed.
_STEP = 8


class Backdrop:
    """What is behind all bodies; random but for the same Generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._ground = _ground(generator)
        side = _TEXELS // 8
        self._far_ground = cv2.resize(self._ground, (side, side), interpolation=cv2.INTER_AREA)
        self._panorama = _panorama(generator)
        self.haze = np.float32(self._panorama[_ROWS // 2 :].mean(axis=(0, 1)))

    def draw(self, view: View, matrix: Reals, size: tuple[int, int]) -> Image:
        """The picture of `size` (height, width) through the camera `matrix` (3, 3)."""
        rays = np.linalg.inv(matrix @ view.rotation)
        behind = self._sky(view, rays, size)
        x, y = np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32)[:, None]
        # Of the point on the ground that a pixel shows; negative above the horizon.
        nearness = np.float32(rays[1] / -view.position[1])
        nearness = nearness[0] * x + nearness[1] * y + nearness[2]
        fine = self._plane(self._ground, view, rays, size)
        coarse = self._plane(self._far_ground, view, rays, size)
        ground = _mixed(coarse, fine, np.clip(nearness * 14 - 0.6, 0, 1))
        ground = _mixed(_filled(ground, self.haze), ground, np.clip(nearness * 40, 0, 1))
        shown = nearness > 0
        behind[shown] = ground[shown]
        return behind

    def _plane(self, texture: Image, view: View, rays: Reals, size: tuple[int, int]) -> Image:
        """The ground (H, W, 3), nonsense above the horizon."""
        scale = len(texture) / _PERIOD
        offset = np.mod(view.position[[0, 2]], _PERIOD)
        # Ray (x, y, z) to the ground at -y of the camera: x h / y, z h / y.
        height = -view.position[1]
        to_texels = np.array(
            [[height, offset[0], 0], [0, offset[1], height], [0, 1, 0]]
        ) * np.array([[scale], [scale], [1]])
        return cv2.warpPerspective(
            texture,
            to_texels @ rays,
            size[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )

    def _sky(self, view: View, rays: Reals, size: tuple[int, int]) -> Image:
        y, x = np.mgrid[0 : size[0] + _STEP : _STEP, 0 : size[1] + _STEP : _STEP]
        ways = np.stack([x, y, np.ones(x.shape)], axis=2) @ rays.T
        across = np.arctan2(ways[..., 0], ways[..., 2])
        # No jump where the directions begin again.
        across = np.mod(across - view.heading + np.pi, 2 * np.pi) - np.pi + view.heading
        up = np.degrees(np.arctan2(-ways[..., 1], np.hypot(ways[..., 0], ways[..., 2])))
        columns = across / (2 * np.pi) * _COLUMNS
        rows = (_HIGHEST - up) / (_HIGHEST - _LOWEST) * _ROWS
        maps = [self._dense(values, size) for values in (columns, np.clip(rows, 0, _ROWS - 1))]
        return cv2.remap(
            self._panorama, *maps, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )

    @staticmethod
    def _dense(values: Reals, size: tuple[int, int]) -> FloatArray:
        """Values at every `_STEP` pixels as values (H, W) at all."""
        y, x = (np.arange(length, dtype=np.float32) / _STEP for length in size)
        grid = np.meshgrid(x, y)
        return cv2.remap(np.float32(values), *grid, interpolation=cv2.INTER_LINEAR)


def _mixed(first: Image, second: Image, share: FloatArray) -> Image:
    """`second` to `share` (H, W), the rest `first`."""
    return cv2.blendLinear(first, second, np.float32(1 - share), np.float32(share))


def _filled(like: Image, colour: FloatArray) -> Image:
    return np.full_like(like, np.clip(colour, 0, 255).astype(np.uint8))


def _ground(generator: np.random.Generator) -> Image:
    """Asphalt, earth or grass with spots, seams and painted lines; its edges fit together."""
    colour = generator.uniform(60, 130) + generator.normal(0, 10, 3)
    tone = np.ones((_TEXELS, _TEXELS), np.float32)
    for cells, contrast in ((8, 0.08), (64, 0.07), (256, 0.07)):
        coarse = generator.normal(0, contrast, (cells, cells)).astype(np.float32)
        tone += _repeated(coarse, (_TEXELS, _TEXELS))
    ground = np.clip(tone[..., None] * colour, 0, 255).astype(np.uint8)
    for _ in range(generator.integers(2, 9)):
        paint = (generator.uniform(0.5, 0.8) if generator.random() < 0.5 else 1.6) * colour
        low = generator.integers(0, _TEXELS, 2)
        extent = [generator.integers(3, 9), generator.integers(100, _TEXELS)]
        high = low + (extent if generator.random() < 0.5 else extent[::-1])
        cv2.rectangle(ground, low.tolist(), high.tolist(), np.clip(paint, 0, 250).tolist(), -1)
    return ground


def _repeated(coarse: FloatArray, size: tuple[int, int]) -> FloatArray:
    """A coarse pattern on `size` (rows, columns) texels, multiples of its own; edges fit."""
    rows, columns = size[0] // coarse.shape[0], size[1] // coarse.shape[1]
    padded = np.pad(coarse, 2, mode='wrap')
    whole = (padded.shape[1] * columns, padded.shape[0] * rows)
    large = cv2.resize(padded, whole, interpolation=cv2.INTER_CUBIC)
    return large[2 * rows : 2 * rows + size[0], 2 * columns : 2 * columns + size[1]]


def _panorama(generator: np.random.Generator) -> Image:
    """Sky with clouds over a line of buildings and hills."""
    top, low = generator.uniform((150, 110, 60), (245, 190, 150)), generator.uniform(150, 235, 3)
    share = np.linspace(0, 1, _ROWS)[:, None, None]
    sky = top * (1 - share) + low * share
    clouds = _repeated(generator.normal(0, 1, (12, 48)).astype(np.float32), (_ROWS, _COLUMNS))
    sky = sky + 22 * np.clip(clouds, 0, 2)[..., None]
    panorama = np.clip(sky, 0, 255).astype(np.uint8)
    horizon = round(_HIGHEST / (_HIGHEST - _LOWEST) * _ROWS)
    per_degree = _ROWS / (_HIGHEST - _LOWEST)
    for _ in range(generator.integers(15, 60)):
        left, width = generator.integers(_COLUMNS), generator.integers(10, 120)
        high = int(generator.uniform(0.5, 9) * per_degree)
        colour = (generator.uniform(70, 170) + generator.normal(0, 12, 3)).clip(30, 220)
        _house(panorama, int(left), int(width), horizon - high, colour, generator)
    panorama[horizon + 4 :] = panorama[horizon + 3]
    return panorama


def _house(
    panorama: Image, left: int, width: int, top: int, colour: Reals, generator: np.random.Generator
) -> None:
    """Draws a wall with windows; it may go on at the other end."""
    columns = np.arange(left, left + width) % _COLUMNS
    panorama[top:, columns] = colour
    dark, step = colour * 0.7, int(generator.integers(5, 10))
    for row in range(top + 3, len(panorama) - 3, step):
        panorama[row : row + 2, columns[(np.arange(width) % step) < step // 2]] = dark
