from __future__ import annotations

import numpy as np
import torch

from training.models.graph import TrackerGraph, candidate_rows


def _maps(height=8, width=10):
    return {
        'hm': torch.full((1, 3, height, width), -5.0),
        'ltrb': torch.zeros(1, 4, height, width),
        'reg': torch.zeros(1, 2, height, width),
        'wh': torch.zeros(1, 2, height, width),
        'tracking': torch.zeros(1, 2, height, width),
    }


def test_peaks_come_best_first_with_what_the_heads_say():
    maps = _maps()
    maps['hm'][0, 1, 2, 3] = 2.0
    maps['hm'][0, 0, 6, 8] = 3.0
    maps['hm'][0, 1, 2, 4] = 1.0  # beside a higher cell: no peak
    maps['ltrb'][0, :, 2, 3] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    maps['tracking'][0, :, 6, 8] = torch.tensor([-1.5, 0.5])
    scores, classes, cells, boxes, tracking = candidate_rows(maps, 5, 'ltrb')
    np.testing.assert_allclose(scores[0, :2], torch.sigmoid(torch.tensor([3.0, 2.0])))
    assert scores[0, 2] < 0.01
    assert classes[0, :2].tolist() == [0, 1]
    assert cells[0, :2].tolist() == [[8, 6], [3, 2]]
    assert boxes[0, 1].tolist() == [2, 0, 6, 6]
    assert tracking[0, 0].tolist() == [-1.5, 0.5]


def test_wh_boxes_sit_around_the_sub_pixel_centre():
    maps = _maps()
    maps['hm'][0, 0, 4, 5] = 2.0
    maps['wh'][0, :, 4, 5] = torch.tensor([4.0, -2.0])
    maps['reg'][0, :, 4, 5] = torch.tensor([0.5, 0.25])
    boxes = candidate_rows(maps, 1, 'wh')[3]
    assert boxes[0, 0].tolist() == [3.5, 4.25, 7.5, 4.25]  # a negative height counts as none


def test_images_of_a_batch_do_not_mix():
    class Fixed(torch.nn.Module):
        def forward(self, image, previous_image, prior_heatmap):
            maps = {name: value.repeat(2, 1, 1, 1) for name, value in _maps().items()}
            maps['hm'][0, 0, 1, 1] = 4.0
            maps['hm'][1, 2, 7, 9] = 4.0
            return maps

    graph = TrackerGraph(Fixed(), 2, 'ltrb')
    image = torch.zeros(2, 32, 40, 3, dtype=torch.uint8)
    _, classes, cells, _, _ = graph(image, image, torch.zeros(2, 1, 8, 10))
    assert classes[:, 0].tolist() == [0, 2]
    assert cells[:, 0].tolist() == [[1, 1], [9, 7]]
