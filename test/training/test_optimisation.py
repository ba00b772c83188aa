"""Learning rates, groups of parameters, averaged weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from training.optimisation import (
    AveragedWeights,
    Schedule,
    linear_rule,
    make_optimiser,
    parameter_groups,
    set_learning_rates,
)


def small_network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))


def test_cosine_after_a_warm_up():
    schedule = Schedule('cosine', total_steps=14, warmup_steps=4)
    factors = [schedule.factor(step) for step in range(14)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    for done in range(10):
        assert factors[4 + done] == pytest.approx(0.5 + 0.5 * math.cos(math.pi * done / 10))
    assert schedule.factor(14) == pytest.approx(0, abs=1e-12)


def test_steps_at_milestones():
    schedule = Schedule('step', total_steps=10, milestones=(3, 6), step_factor=0.1)
    assert [schedule.factor(step) for step in (0, 2, 3, 5, 6, 9)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )
    # Two warm-ups never add up: the milestone counts when the warm-up is over.
    late = Schedule('step', total_steps=10, warmup_steps=4, milestones=(3,), step_factor=0.5)
    assert [late.factor(step) for step in (0, 3, 4)] == [0.25, 1.0, 0.5]


def test_constant():
    schedule = Schedule('constant', total_steps=5, warmup_steps=1)
    assert [schedule.factor(step) for step in range(7)] == [1.0] * 7


def test_linear_rule():
    # The original's nuScenes: 2.5e-4 for a batch of 128.
    assert linear_rule(2.5e-4, 32, 128) == pytest.approx(6.25e-5)
    assert linear_rule(2.5e-4, 256, 128) == pytest.approx(5e-4)
    assert linear_rule(2.5e-4, 8, 0) == 2.5e-4


def test_groups_of_parameters():
    network = small_network()
    groups = parameter_groups(
        network, {'2.weight', '2.bias'}, learning_rate=1.0, pretrained_factor=0.1, weight_decay=0.5
    )
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {
        (group['lr'], group['weight_decay']): {names[id(one)] for one in group['params']}
        for group in groups
    }
    assert found == {
        (0.1, 0.5): {'0.weight'},
        (0.1, 0.0): {'0.bias', '1.weight', '1.bias'},
        (1.0, 0.5): {'2.weight'},
        (1.0, 0.0): {'2.bias'},
    }
    optimiser = make_optimiser('sgd', groups)
    set_learning_rates(optimiser, 0.25)
    assert sorted(group['lr'] for group in optimiser.param_groups) == [0.025, 0.025, 0.25, 0.25]
    assert all(group['momentum'] == 0.9 for group in optimiser.param_groups)


def test_a_factor_of_0_freezes():
    network = small_network()
    rates = {'learning_rate': 1.0, 'pretrained_factor': 0.0, 'weight_decay': 0.0}
    groups = parameter_groups(network, {'2.weight'}, **rates)
    assert [id(one) for group in groups for one in group['params']] == [id(network[2].weight)]
    trained = {name for name, one in network.named_parameters() if one.requires_grad}
    assert trained == {'2.weight'}
    with pytest.raises(ValueError, match='pretrained_factor: with 0 nothing is trained'):
        parameter_groups(small_network(), set(), **rates)


@pytest.mark.parametrize('kind', ['adamw', 'adam', 'sgd'])
def test_weight_decay_of_each_optimiser(kind):
    """Without a gradient only decay changes weights: of weights, not of biases."""
    network = small_network()
    groups = parameter_groups(
        network, {name for name, _ in network.named_parameters()},
        learning_rate=0.1, pretrained_factor=1.0, weight_decay=0.5,
    )  # fmt: skip
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    make_optimiser(kind, groups).step()
    moved = {
        name
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == {'0.weight', '2.weight'}
    if kind == 'adamw':
        torch.testing.assert_close(network[2].weight, before['2.weight'] * (1 - 0.1 * 0.5))


def test_averages_follow():
    network = small_network()
    average = AveragedWeights(network, decay=0.9)
    expected = network[0].weight.detach().clone()
    start = expected.clone()
    for step in range(1, 200):
        with torch.no_grad():
            network[0].weight += 0.1
            network[1].num_batches_tracked += 1
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network[0].weight.detach()
    values = average.state_dict()
    torch.testing.assert_close(values['0.weight'], expected)
    assert (values['0.weight'] - start).min() > 10
    # A whole number is copied, not rounded down on the way.
    assert int(values['1.num_batches_tracked']) == 199
    assert values['1.num_batches_tracked'].dtype == torch.int64


def test_averages_are_put_in_and_taken_out():
    network = small_network().train()
    network[1].eval()
    average = AveragedWeights(network, decay=0.5)
    with torch.no_grad():
        network[0].weight.fill_(7)
    raw = {name: value.clone() for name, value in network.state_dict().items()}
    with average.applied():
        assert not network.training
        assert not torch.equal(network[0].weight, raw['0.weight'])
    assert network.training
    assert not network[1].training
    for name, value in network.state_dict().items():
        assert torch.equal(value, raw[name]), name


def test_averages_that_do_not_go_in_leave_the_network_as_it_was():
    network = small_network().train()
    average = AveragedWeights(network, decay=0.5)
    with torch.no_grad():
        network[0].weight.fill_(7)
        network[0].bias.fill_(7)
    average.load_state_dict({**average.state_dict()})
    average.state_dict()['0.bias'] = torch.zeros(99)
    with pytest.raises(RuntimeError, match='size mismatch'), average.applied():
        raise AssertionError('not reached')
    assert network.training
    assert (network[0].weight == 7).all()


def test_without_averaging_the_average_is_the_network():
    network = small_network()
    average = AveragedWeights(network, decay=0.0)
    with torch.no_grad():
        network[0].weight.fill_(7)
    average.update(1)
    assert torch.equal(average.state_dict()['0.weight'], network[0].weight)
    with average.applied():
        assert (network[0].weight == 7).all()
