"""Cut-outs: cropped, premultiplied, drawn by weight; photos with numbered masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.cutouts import (
    Cutout,
    CutoutEntry,
    CutoutLibrary,
    make_cutout,
    numbered_mask_entries,
    person_crop_entries,
)
from training.data.mask_folder import MaskFolderSource


def block_cutout() -> Cutout:
    """An opaque block."""
    image = np.full((200, 100, 3), 255, np.uint8)
    return make_cutout(image, np.full((200, 100), 255, np.uint8), 'person')


def test_cutout_is_cropped_premultiplied_and_has_levels() -> None:
    image = np.full((100, 80, 3), 200, np.uint8)
    mask = np.zeros((100, 80), np.uint8)
    mask[10:90, 20:60] = 255
    cutout = make_cutout(image, mask, 'person')
    assert cutout.levels[0].shape == (80, 40, 4)
    assert cutout.aspect == 0.5
    assert [level.shape[0] for level in cutout.levels] == [80, 40]
    assert cutout.level_for(30).shape[0] == 40
    assert cutout.level_for(500).shape[0] == 80
    assert (cutout.levels[0][..., :3] <= cutout.levels[0][..., 3:]).all()
    with pytest.raises(ValueError, match='empty mask'):
        make_cutout(image, np.zeros((100, 80), np.uint8), 'person')
    with pytest.raises(ValueError, match=r'\(100, 80\).*\(9, 9\)'):
        make_cutout(image, np.zeros((9, 9), np.uint8), 'person')


def test_library_draws_by_weight_and_forgets_beyond_its_limit() -> None:
    entries = [CutoutEntry('person', block_cutout, weight) for weight in (1.0, 3.0)]
    library = CutoutLibrary(entries, limit_bytes=1)
    generator = np.random.default_rng(0)
    second = library.get('person', 1)
    draws = [library.sample('person', generator) is not None for _ in range(10)]
    assert all(draws)
    library.get('person', 0)
    assert library.get('person', 1) is not second
    with pytest.raises(ValueError, match='at least one'):
        CutoutLibrary([])


def test_real_cutouts_are_people(data_folder: Path) -> None:
    library = CutoutLibrary(person_crop_entries(data_folder / 'cutouts'))
    assert library.count('person') == 3
    for index in range(3):
        cutout = library.get('person', index)
        assert 0.2 < cutout.aspect < 0.8
        filled = (cutout.levels[0][..., 3] > 127).mean()
        assert 0.3 < filled < 0.9


def test_numbered_masks(tmp_path: Path) -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 5:20] = 1
    mask[10:50, 60:80] = 2
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((60, 80, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / 'a_mask.png'), mask)
    # The second one touches the edge.
    assert len(numbered_mask_entries(tmp_path)) == 1
    classes = ('car', 'person')
    complete = MaskFolderSource(tmp_path, classes, {'a'}).frame(0).labels
    np.testing.assert_array_equal(complete.boxes, [[5, 10, 20, 50], [60, 10, 80, 50]])
    np.testing.assert_array_equal(complete.unlabelled_classes, [0])
    partial = MaskFolderSource(tmp_path, classes, set()).frame(0).labels
    np.testing.assert_array_equal(partial.unlabelled_classes, [0, 1])
    with pytest.raises(ValueError, match='none'):
        MaskFolderSource(tmp_path, classes, set(), only_complete=True)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        MaskFolderSource(tmp_path / 'nowhere', classes, set())
