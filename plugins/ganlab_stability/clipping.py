"""Gradients held to a greatest norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab import Run, Turn


@dataclass
class GradientClipping:
    """Scale a player's gradients down to a greatest L2 norm (Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063).

    Exactly ``g *= max_norm / norm`` where ``norm > max_norm``, all parameters of the player being one vector, and nothing else.
    (``torch.nn.utils.clip_grad_norm_`` divides by norm + 1e-6.) Logged for each player: the norm before clipping, and the share
    of updates that were clipped, as ``gradient/<player>_norm`` and ``gradient/<player>_clipped``.

    Options:
        max_norm: the greatest norm.
        player: whose gradients: "discriminator", "generator" or "both", each by itself.
    """

    max_norm: Annotated[float, Field(gt=0)] = 1.0

    prevents_non_finite: ClassVar[bool] = True
    player: Literal["both", "discriminator", "generator"] = "both"

    @hookimpl
    def before_update(self, run: Run, turn: Turn) -> None:
        if self.player in ("both", turn.role):
            norm = turn.player.gradient_norm()
            turn.player.scale_gradients((self.max_norm / norm).clamp(max=1.0))
            run.record(f"gradient/{turn.role}_norm", norm)
            run.record(f"gradient/{turn.role}_clipped", (norm > self.max_norm).to(norm.dtype))
