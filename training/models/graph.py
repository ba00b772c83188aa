"""The graph that is exported and evaluated: uint8 images in, candidate rows out."""

from __future__ import annotations

from torch import Tensor, nn

from centertrack_ros.model_spec import BoxKind
from training.models.decode import candidate_rows


class TrackerGraph(nn.Module):
    """The graph that is exported and evaluated: uint8 images in, candidate rows out."""

    def __init__(self, network: nn.Module, max_candidates: int, box: BoxKind) -> None:
        super().__init__()
        self.network = network
        self.max_candidates = max_candidates
        self.box: BoxKind = box

    def forward(
        self, image: Tensor, previous_image: Tensor, prior_heatmap: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Images (B, H, W, 3) uint8 BGR, prior (B, 1, H/p, W/p) -> rows of `candidate_rows`."""
        maps = self.network(to_float(image), to_float(previous_image), prior_heatmap)
        return candidate_rows(maps, self.max_candidates, self.box)


def to_float(image: Tensor) -> Tensor:
    """uint8 images (B, H, W, 3) to float (B, 3, H, W), values unchanged."""
    # Cast first: TensorRT's parser refuses to transpose uint8.
    return image.float().permute(0, 3, 1, 2)
