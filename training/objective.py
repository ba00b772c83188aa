"""From a batch to the terms of the loss: the module that is trained, and spread over processes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from centertrack_ros.model_spec import ModelSpec
from training.losses import TotalLoss
from training.models.network import CenterTrackNetwork
from training.models.normalisation import ImageNormalisation

Batch = Mapping[str, Tensor]
Stacks = list[dict[str, Tensor]]


class Objective(nn.Module):
    """Normalisation, network and loss in one forward pass.

    Attributes:
        network: the one given.
        loss: the one given.

    Args:
        network: what is trained.
        loss: of its heads.
        spec: its inputs and their normalisation.
        channels_last: memory format of the images; that of the network is its own.
        compile: run the network through torch.compile.
    """

    def __init__(
        self,
        network: CenterTrackNetwork,
        loss: TotalLoss,
        spec: ModelSpec,
        *,
        channels_last: bool = True,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self._channels_last = channels_last
        forward = network.forward_stacks
        self._forward_stacks = torch.compile(forward) if compile else forward
        self._inputs = ('image',) + ('previous_image',) * spec.previous_image
        self._has_prior = spec.prior_heatmap
        self._normalise = ImageNormalisation(spec)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Each loss and their weighted sum `total`, see `TotalLoss`.

        Args:
            batch: collated samples of `training.data.dataset.make_sample`.
        """
        return self.loss(self.stacks(batch), batch)  # type: ignore[no-any-return]

    def stacks(self, batch: Batch) -> Stacks:
        """Maps of every stack of the network."""
        images = {name: self._image(batch[name]) for name in self._inputs}
        if self._has_prior:
            images['prior_heatmap'] = batch['prior_heatmap']
        return self._forward_stacks(**images)  # type: ignore[no-any-return]

    def _image(self, image: Tensor) -> Tensor:
        values = self._normalise(image)
        return values if self._channels_last else values.contiguous()
