"""What every architecture shares: its inputs, its heads, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from training.heads import HEADS, check_heads

OriginalNames = tuple[tuple[str, str], ...]


class CenterTrackNetwork(nn.Module):
    """Images and prior heatmap in, one map per head and stack out.

    Attributes:
        stride: input pixels per output cell.
        prior_heatmap_stride: input pixels per cell of the prior heatmap.
        size_multiple: what height and width of the input have to be multiples of.
        original_names: what the tensors are called in the original programs: regular expressions
            and their replacements, all applied in order; heads need none.
        without_effect: regular expressions over original names of tensors that change nothing
            there, and why.
        heads: the heads by name.
    """

    stride = 4
    prior_heatmap_stride = 1
    size_multiple = 32
    original_names: OriginalNames = ()
    without_effect: OriginalNames = ()
    heads: nn.ModuleDict

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
        """The maps of every stack, all of which are trained; most networks have one.

        Arguments and results are those of `forward`.

        Raises:
            ValueError: a size that is not a multiple of `size_multiple`, or an input that the
                network was built without.
        """
        height, width = image.shape[-2:]
        if height % self.size_multiple or width % self.size_multiple:
            raise ValueError(
                f'image: expected height and width in multiples of {self.size_multiple}, '
                f'received {height} x {width}'
            )
        for name, built, value in (
            ('previous_image', self.has_previous_image, previous_image),
            ('prior_heatmap', self.has_prior_heatmap, prior_heatmap),
        ):
            if value is not None and not built:
                raise ValueError(f'{name}: this network was built without it; pass None')
        return self._stacks(image, previous_image, prior_heatmap)

    def _stacks(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> list[dict[str, Tensor]]:
        """`forward_stacks` of checked inputs; here for networks whose heads read one map."""
        features = self._features(image, previous_image, prior_heatmap)
        return [{name: head(features) for name, head in self.heads.items()}]

    def _features(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> Tensor:
        """The map (B, C, H/4, W/4) that all of `self.heads` read."""
        raise NotImplementedError


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
        """Sum of the stems whose input is given; an input without a stem has to be None."""
        total = self.image(image)
        if previous_image is not None:
            assert self.previous_image is not None
            total = total + self.previous_image(previous_image)
        if prior_heatmap is not None:
            assert self.prior_heatmap is not None
            total = total + self.prior_heatmap(prior_heatmap)
        return total


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
