"""Boxes that neighbouring cells vote for, against the same mean taken over whole maps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from centertrack_ros.model_spec import DecodeRules
from training.models.box_votes import voted_edges
from training.models.decode import candidate_rows

HEIGHT, WIDTH = 9, 11


def _maps(seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        'hm': 3 * torch.randn(2, 4, HEIGHT, WIDTH, generator=generator),
        'ltrb': 5 * torch.rand(2, 4, HEIGHT, WIDTH, generator=generator),
    }


def _mean_boxes(maps, rule):
    """Voted boxes (B, 4, h, w) xyxy of all cells, by pooling absolute edges."""
    columns = torch.arange(WIDTH).expand(HEIGHT, WIDTH)
    rows = torch.arange(HEIGHT)[:, None].expand(HEIGHT, WIDTH)
    signs = torch.tensor([-1, -1, 1, 1] if rule == 'distances' else [1, 1, 1, 1])
    edges = torch.stack([columns, rows, columns, rows]) + signs[:, None, None] * maps['ltrb']
    weights = maps['hm'].amax(dim=1, keepdim=True).sigmoid().square()
    pooled = [functional.avg_pool2d(x, 3, 1, 1) for x in (edges * weights, weights)]
    return pooled[0] / pooled[1]


@pytest.mark.parametrize('rule', ['distances', 'offsets'])
@pytest.mark.parametrize('seed', [0, 1])
def test_voted_boxes_are_the_weighted_mean_of_nine_cells(rule, seed):
    maps = _maps(seed)
    rules = DecodeRules(edges=rule, box_votes=True)
    rows = candidate_rows(maps, HEIGHT * WIDTH, box='ltrb', rules=rules)
    expected = _mean_boxes(maps, rule)
    cells = rows['cells'].long()
    # All cells are among the rows, those at the border too.
    assert len(torch.unique(cells[0], dim=0)) == HEIGHT * WIDTH
    for image in range(2):
        at_cells = expected[image, :, cells[image, :, 1], cells[image, :, 0]].T
        torch.testing.assert_close(rows['boxes'][image], at_cells, atol=1e-4, rtol=1e-4)


def test_equal_boxes_stay_as_they_are():
    maps = _maps(2)
    columns = torch.arange(WIDTH).expand(HEIGHT, WIDTH)
    rows = torch.arange(HEIGHT)[:, None].expand(HEIGHT, WIDTH)
    one_box = torch.stack([columns - 2, rows - 3, 7 - columns, 8 - rows]).float()
    maps['ltrb'] = one_box.expand(2, -1, -1, -1)
    boxes = candidate_rows(maps, 20, box='ltrb', rules=DecodeRules(box_votes=True))['boxes']
    torch.testing.assert_close(boxes, torch.tensor([2.0, 3.0, 7.0, 8.0]).expand(2, 20, 4))


def test_a_sure_peak_is_not_moved_by_unsure_neighbours():
    maps = _maps(3)
    maps['hm'][:] = -9
    maps['hm'][:, 1, 4, 5] = 4
    rules = DecodeRules(box_votes=True)
    voted = candidate_rows(maps, 1, box='ltrb', rules=rules)['boxes']
    alone = candidate_rows(maps, 1, box='ltrb', rules=replace(rules, box_votes=False))['boxes']
    torch.testing.assert_close(voted, alone, atol=1e-4, rtol=0)


def test_no_score_at_all_gives_the_plain_mean():
    index = torch.tensor([[12]])
    edges = torch.arange(4 * HEIGHT * WIDTH, dtype=torch.float32).view(1, 4, HEIGHT, WIDTH)
    edges = voted_edges(
        edges,
        torch.zeros(1, 1, HEIGHT, WIDTH),
        index,
        torch.tensor([[[1, 1]]]),
        rule='offsets',
        activated=True,
    )
    expected = torch.tensor([0, 1, 2, 3]) * HEIGHT * WIDTH + 12.0
    torch.testing.assert_close(edges[0, 0], expected)
