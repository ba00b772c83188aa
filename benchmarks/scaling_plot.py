"""The plot of `benchmarks.scaling`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Part of the document -> what its x axis counts, and the axis's title.
AXES = {
    'objects': ('objects', 'objects in the image'),
    'images': ('pixels', 'pixels of the image'),
    'network': ('pixels', 'pixels of the network input'),
}


def write_plot(document: dict[str, Any], path: Path) -> None:
    """Milliseconds of each stage over what they grow with, both logarithmic.

    Args:
        document: what `benchmarks.scaling --json` writes.
        path: its suffix says the format.
    """
    figure = Figure(figsize=(13.0, 4.2), layout='constrained')
    for axes, (name, (column, label)) in zip(figure.subplots(1, 3), AXES.items(), strict=True):
        _draw(axes, document[name], document['exponents'][name], column)
        axes.set_xlabel(label)
        axes.set_ylabel('milliseconds')
    figure.savefig(path, dpi=110)


def _draw(
    axes: Axes, rows: list[dict[str, Any]], exponents: dict[str, float], column: str
) -> None:
    """One line per stage; its exponent stands in the legend."""
    for name in (name for name in rows[0] if name.endswith('_ms')):
        stage = name.removesuffix('_ms')
        power = f', exponent {exponents[stage]:.2f}' if stage in exponents else ''
        axes.plot(
            [row[column] for row in rows],
            [row[name] for row in rows],
            marker='o',
            markersize=3,
            linewidth=2.2 if stage == 'total' else 1.2,
            label=stage.replace('_', ' ') + power,
        )
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.grid(visible=True, which='both', linewidth=0.4, color='#e3e6ea')
    axes.legend(fontsize=8)
