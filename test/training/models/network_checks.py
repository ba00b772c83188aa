"""What the tests of every architecture check."""

from __future__ import annotations

import torch

from training.models import ARCHITECTURES
from training.models.original_checkpoint import our_name

HEADS = {'hm': 2, 'reg': 2, 'wh': 2, 'tracking': 2}
INPUTS = [(False, False), (True, False), (False, True), (True, True)]
NORM = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')


def build(architecture, *, previous_image=True, prior_heatmap=True, heads=HEADS, **options):
    """A network of `ARCHITECTURES` in evaluation mode, the same whenever it is built."""
    torch.manual_seed(0)
    entry = ARCHITECTURES[architecture]
    return entry.network(
        heads=heads,
        previous_image=previous_image,
        prior_heatmap=prior_heatmap,
        **{**entry.variant, **options},
    ).eval()


def random_inputs(network, height, width):
    """All inputs that `network` has, None for the others."""
    generator = torch.Generator().manual_seed(1)
    image, previous = torch.randn((2, 2, 3, height, width), generator=generator)
    prior = torch.rand((2, 1, height, width), generator=generator)
    return (
        image,
        previous if network.has_previous_image else None,
        prior if network.has_prior_heatmap else None,
    )


def parameters_without_gradient(network, height, width):
    """Names of the parameters that no output depends on.

    In evaluation mode: in training, batch norm takes the bias out of what it normalises.
    """
    stacks = network.forward_stacks(*random_inputs(network, height, width))
    generator = torch.Generator().manual_seed(2)
    loss = sum(
        (torch.randn(value.shape, generator=generator) * value).sum()
        for maps in stacks
        for value in maps.values()
    )
    loss.backward()
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]


def output_shapes(network, height, width):
    """Of every stack: head -> shape."""
    with torch.inference_mode():
        stacks = network.forward_stacks(*random_inputs(network, height, width))
    return [{name: tuple(value.shape) for name, value in maps.items()} for maps in stacks]


def expected_shapes(height, width, heads=HEADS):
    """Of one stack, as `output_shapes`."""
    return {name: (2, count, height // 4, width // 4) for name, count in heads.items()}


def norm_keys(prefix):
    """Tensors of the batch norm `prefix`."""
    return [f'{prefix}.{leaf}' for leaf in NORM]


def check_renames(network, original_keys):
    """Every original tensor becomes another one of ours, and none of ours is left."""
    renamed = {key: our_name(network, key) for key in original_keys}
    ours = set(network.state_dict())
    assert {k: v for k, v in renamed.items() if v not in ours} == {}
    assert ours - set(renamed.values()) == set()
    assert len(set(renamed.values())) == len(original_keys)


def count_values(architecture, heads, **options):
    """Parameters and statistics of the detector of full size; no memory is taken for it."""
    with torch.device('meta'):
        network = build(
            architecture, heads=heads, previous_image=False, prior_heatmap=False, **options
        )
    values = network.state_dict().values()
    return sum(value.numel() for value in values if value.is_floating_point())
