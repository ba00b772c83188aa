"""Starting weights of networks whose normalisation is folded away, so that they can be trained."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

# Mean square of what a ReLU lets through, against what goes in.
_AFTER_RELU = 0.5
# Makes the output a tenth as large; not 0, which would stop the gradient of what lies before.
LITTLE_EFFECT = 100.0


def initialise_unnormalised(network: nn.Module, squares: Mapping[str, float]) -> None:
    """Random weights under which signals keep their size from layer to layer (He et al. 2015).

    Batch norms would see to that. Without them PyTorch's default, which takes five sixths of the
    power in every layer, leaves nothing of the image but the biases. Those become 0.

    Args:
        network: all its convolutions are set.
        squares: regular expression for names of convolutions -> mean square of their input where
            that of the last convolution's output is 1; the first that fits counts, of others it
            is that after a ReLU. `LITTLE_EFFECT` is for the ends of residual branches, so that
            their sums do not grow (Zhang et al. 2019), and for gates, so that they begin half
            open.
    """
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        rule = next((rule for rule in squares if re.search(rule, name)), None)
        square = _AFTER_RELU if rule is None else squares[rule]
        inputs = layer.weight[0].numel()
        nn.init.normal_(layer.weight, std=(inputs * square) ** -0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
