"""What every architecture shares: its inputs, its heads, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from training.heads import HEADS, check_heads


class CenterTrackNetwork(nn.Module):
    """Images and prior heatmap in, one map per head and stack out.

    Attributes:
        stride: input pixels per output cell.
        prior_heatmap_stride: input pixels per cell of the prior heatmap.
        size_multiple: what height and width of the input have to be multiples of.
    """

    stride = 4
    prior_heatmap_stride = 1
    size_multiple = 32

    def __init__(
        self, heads: Mapping[str, int], *, previous_image: bool, prior_heatmap: bool
    ) -> None:
        """Subclasses take these and options of their own, all by name.

        Args:
            heads: channels of each head of `training.heads`.
            previous_image, prior_heatmap: which inputs the network has beside the image.
        """
        super().__init__()
        check_heads(heads)
        self.has_previous_image = previous_image
        self.has_prior_heatmap = prior_heatmap

    def forward(
        self,
        image: Tensor,
        previous_image: Tensor | None = None,
        prior_heatmap: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The maps that are decoded: those of the last stack.

        Args:
            image: (B, 3, H, W) float BGR, normalised with the mean and deviation of the ModelSpec.
            previous_image: the same; None leaves its part of the sum out.
            prior_heatmap: (B, 1, H/p, W/p), p = `prior_heatmap_stride`; None as well.

        Returns:
            head name -> (B, channels, H/4, W/4), raw: no activation was applied.
        """
        return self.forward_stacks(image, previous_image, prior_heatmap)[-1]

    def forward_stacks(
        self,
        image: Tensor,
        previous_image: Tensor | None = None,
        prior_heatmap: Tensor | None = None,
    ) -> list[dict[str, Tensor]]:
        """The maps of every stack, all of which are trained; most networks have one."""
        raise NotImplementedError

    def check_inputs(self, previous_image: Tensor | None, prior_heatmap: Tensor | None) -> None:
        """For networks whose inputs do not all enter through `InputStems`, which checks itself.

        Raises:
            ValueError: an input that the network was built without.
        """
        for name, built, value in (
            ('previous_image', self.has_previous_image, previous_image),
            ('prior_heatmap', self.has_prior_heatmap, prior_heatmap),
        ):
            if value is not None and not built:
                raise ValueError(f'{name}: this network was built without it; pass None')


class InputStems(nn.Module):
    """The first layer, once per input, summed (CenterTrack, section 4.2).

    Args:
        make: builds the layer for a number of input channels.
        previous_image, prior_heatmap: which inputs there are beside the image.
        make_other: builds the layer of these inputs where it is not that of the image.
    """

    def __init__(
        self,
        make: Callable[[int], nn.Module],
        *,
        previous_image: bool,
        prior_heatmap: bool,
        make_other: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        make_other = make_other or make
        self.image = make(3)
        self.previous_image = make_other(3) if previous_image else None
        self.prior_heatmap = make_other(1) if prior_heatmap else None

    def forward(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> Tensor:
        """Sum of what is given.

        Raises:
            ValueError: an input that the network was built without.
        """
        total = self.image(image)
        for name, stem, value in (
            ('previous_image', self.previous_image, previous_image),
            ('prior_heatmap', self.prior_heatmap, prior_heatmap),
        ):
            if value is None:
                continue
            if stem is None:
                raise ValueError(f'{name}: this network was built without it; pass None')
            total = total + stem(value)
        return total


def check_size(image: Tensor, multiple: int) -> None:
    """Make sure that an image halves evenly all the way down a network and comes back up.

    Args:
        image: (B, C, H, W).
        multiple: what H and W have to be multiples of.

    Raises:
        ValueError: they are not.
    """
    height, width = image.shape[-2:]
    if height % multiple or width % multiple:
        raise ValueError(
            f'image: expected height and width in multiples of {multiple}, '
            f'received {height} x {width}'
        )


def make_head(
    name: str, in_channels: int, out_channels: int, hidden: tuple[int, ...], kernel_size: int = 3
) -> nn.Sequential:
    """Convolution, ReLU, 1x1 convolutions with ReLU between them, last one without.

    Args:
        name: of the head, for its initial bias.
        in_channels, out_channels: of the whole head.
        hidden: channels between the convolutions; () is a single 1x1 convolution.
        kernel_size: of the first of several convolutions.
    """
    layers: list[nn.Module] = []
    channels, kernel = in_channels, kernel_size
    for count in hidden:
        layers += [
            nn.Conv2d(channels, count, kernel, padding=kernel // 2),
            nn.ReLU(inplace=True),
        ]
        channels, kernel = count, 1
    last = nn.Conv2d(channels, out_channels, 1)
    for layer in (*layers, last):
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    assert last.bias is not None
    nn.init.constant_(last.bias, HEADS[name].initial_bias)
    return nn.Sequential(*layers, last)


def make_heads(
    in_channels: int, heads: Mapping[str, int], hidden_channels: int, hidden_layers: int = 1
) -> nn.ModuleDict:
    """All heads of a network; `reg` keeps one hidden layer however many the others have."""
    return nn.ModuleDict(
        {
            name: make_head(
                name,
                in_channels,
                count,
                (hidden_channels,) * (1 if name == 'reg' else hidden_layers),
            )
            for name, count in heads.items()
        }
    )
