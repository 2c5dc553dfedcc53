"""ADiff: depth maps and one image of the object, after Affordance Diffusion's ContentNet."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.ablation.inputs import DEPTH
from experiments.ablation.network import PlainNet


class ADiffNet(PlainNet):
    """Inputs: the visible depth of hands and object, the front view, background and hand
    reference."""

    needs = (DEPTH,)

    def references(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The front view in place of all six views, so that their mean is this view."""
        views, background, hand_reference, points = super().references(given)
        return views[:, :1].expand_as(views), background, hand_reference, points

    def pixel_map(self, given: dict[str, Tensor]) -> Tensor:
        """Depth of the visible object, of the visible hands, and of both."""
        depth = given[DEPTH]
        nearest, layer = depth.max(1, keepdim=True)
        of_object = nearest * (layer == 0)
        return torch.cat([of_object, nearest - of_object, nearest], 1)
