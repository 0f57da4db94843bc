"""Layers with spectral norm 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

from ganlab.errors import UsageError
from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab import Player, Turn

WARM_UP = 15  # power iterations before the first step


class UnitSpectralNorm(nn.Module):
    """A weight divided by its greatest singular value, as estimated by the vectors u and v; ``iterate`` improves the estimate."""

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)  # (outputs, everything else)
        self.register_buffer("u", normalize(torch.randn_like(matrix[:, 0]), dim=0))
        self.register_buffer("v", normalize(torch.randn_like(matrix[0]), dim=0))
        self.iterate(weight, WARM_UP)

    @torch.no_grad()
    def iterate(self, weight: Tensor, times: int) -> None:
        """Power iteration. Never done in ``forward``, so that neither G's turn nor evaluation moves the estimate."""
        matrix = weight.detach().flatten(1)
        for _ in range(times):
            self.v.copy_(normalize(matrix.mT @ self.u, dim=0))
            self.u.copy_(normalize(matrix @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """``weight`` with spectral norm 1, of the same shape."""
        with torch.autocast(weight.device.type, enabled=False):  # in bfloat16 the norm would be off by a percent
            sigma = torch.dot(self.u, weight.flatten(1) @ self.v)
        return weight / sigma


@dataclass
class SpectralNormalization:
    """Divide each layer's weight by its spectral norm, as power iteration estimates it (Miyato et al. 2018, arXiv:1802.05957).

    A linear layer is then about 1-Lipschitz. Of a convolution it is the norm of the kernel as a matrix of ``(outputs, all else)``, as
    in the paper, which is no strict bound. One power iteration for each update of the player, and none in the other's turn or in
    evaluation.

    Options:
        player: whose linear and convolution layers.
        iterations: power iterations for each update.
    """

    player: Literal["discriminator", "generator"] = "discriminator"
    iterations: Annotated[int, Field(ge=1)] = 1

    @hookimpl
    def after_build(self, player: Player) -> None:
        if player.role == self.player:
            layers = [m for m in player.network.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
            if not layers:
                raise UsageError(
                    f"spectral_normalization finds no linear or convolution layer in the {player.role}", "remove it, or set its player"
                )
            for layer in layers:
                parametrize.register_parametrization(layer, "weight", UnitSpectralNorm(layer.weight))

    @hookimpl
    def after_update(self, turn: Turn) -> None:
        if turn.role == self.player:
            for module in turn.player.network.modules():
                if isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], UnitSpectralNorm):
                    module[0].iterate(module.original, self.iterations)
