"""Tiny data sets with exact truth, to see a network learn (or not) within minutes.

`python -m training.data.tiny video|pose|boxes3d --output DIR` writes one: moving shapes, walking
figures with joints, or boxes in space in front of a known camera, as COCO-format videos.
"""

from training.data.tiny.writing import KINDS, write_tiny_set

__all__ = ['KINDS', 'write_tiny_set']
