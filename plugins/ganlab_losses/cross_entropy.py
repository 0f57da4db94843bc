"""Losses on logits that are cross-entropies. All reduce over dim 0 and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

if TYPE_CHECKING:
    from ganlab import Turn

Label = Annotated[float, Field(ge=0, le=1)]


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)). PyTorch's takes x itself from 20 on, which in float64 is not exact: 2e-9 is left out, of the gradient too."""
    return functional.softplus(x, threshold=80.0)


def cross_entropy(logits: Tensor, target: float | Tensor) -> Tensor:
    """The mean over dim 0 of the binary cross-entropy of sigmoid(logits) with ``target`` in [0, 1]: exact for any logit."""
    if isinstance(target, float | int) and target in (0, 1):
        return softplus(-logits if target else logits).mean(0)
    return (softplus(logits) - target * logits).mean(0)


class PublishedDerivative(torch.autograd.Function):
    """The cross-entropy itself, with the derivative that the MATLAB tutorial's published code computes for it.

    For a logit x and a target y the derivative is sigmoid(x) - y. The published code has that for x < 0, but 2 - sigmoid(x) - y
    for x > 0, and -y at x = 0. So the logit of a real image is pulled down again as soon as it is above 0, where it is right to
    be, and real logits stay near 0. Values are the true ones.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        """Element by element: the cross-entropy of sigmoid(logits) with ``target``."""
        ctx.save_for_backward(logits, target)
        return softplus(logits) - target * logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """What the published code computes."""
        logits, target = ctx.saved_tensors
        probability = logits.sigmoid()
        published = torch.where(logits > 0, 2 - probability, torch.where(logits < 0, probability, torch.zeros_like(probability)))
        return gradient * (published - target), None


@dataclass
class BCE:
    """Binary cross-entropy, the loss of the first GAN (Goodfellow et al. 2014, arXiv:1406.2661).

    The discriminator minimises BCE(D(x), real_label) + BCE(D(G(z)), fake_label). The generator minimises
    BCE(D(G(z)), generator_label) (non-saturating), or mean log(1 - D(G(z))) when ``saturating``: the minimax game itself,
    whose gradient vanishes where D is sure of itself. Scores are logits; D(x) is their sigmoid.

    Options:
        saturating: the generator minimises log(1 - D(G(z))), a negative number, in place of -log D(G(z)).
        real_label: D's target on real images.
        fake_label: D's target on fakes.
        generator_label: G's target on fakes; of no effect when saturating, and then refused.
        derivative: "exact", or "matlab_published", which is wrong for logits >= 0: the one in the published code of the MATLAB
            tutorial. It acts as a regularizer, because D is pulled back from any logit above 0. What is logged stays the true
            cross-entropy. Not with saturating, which that tutorial has not.
    """

    saturating: bool = False
    real_label: Label = 1.0
    fake_label: Label = 0.0
    generator_label: Label = 1.0
    derivative: Literal["exact", "matlab_published"] = "exact"

    logits: ClassVar[bool] = True
    label_targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.saturating and self.generator_label != 1.0:
            raise ValueError("generator_label has no effect when saturating = true; remove one of them")
        if self.saturating and self.derivative != "exact":
            raise ValueError(f'derivative = "{self.derivative}" is that of the non-saturating loss; remove saturating = true')
        if self.real_label <= self.fake_label:
            raise ValueError(f"real_label = {self.real_label} must be greater than fake_label = {self.fake_label}")

    def real(self, turn: Turn) -> Tensor:
        assert turn.real_scores is not None
        return self._term(turn.real_scores, self.real_label if turn.real_target is None else turn.real_target)

    def fake(self, turn: Turn) -> Tensor:
        assert turn.fake_scores is not None
        return self._term(turn.fake_scores, self.fake_label if turn.fake_target is None else turn.fake_target)

    def generator(self, turn: Turn) -> Tensor:
        assert turn.fake_scores is not None
        if self.saturating:
            return -softplus(turn.fake_scores).mean(0)  # log(1 - sigmoid(s)) = -softplus(s)
        return self._term(turn.fake_scores, self.generator_label)

    def _term(self, logits: Tensor, target: float | Tensor) -> Tensor:
        if self.derivative == "exact":
            return cross_entropy(logits, target)
        if not isinstance(target, Tensor):
            target = torch.full((), target, dtype=logits.dtype, device=logits.device)  # as_tensor would wait for a GPU
        losses: Tensor = PublishedDerivative.apply(logits, target.to(logits.dtype))
        return losses.mean(0)


@dataclass
class RelativisticBCE:
    """Relativistic pairing: is a real image more real than the fake beside it? (Jolicoeur-Martineau 2018, arXiv:1807.00734)

    D minimises softplus(-(D(x) - D(G(z)))) and G softplus(D(x) - D(G(z))): both need both scores, and real with fake images are
    compared pair by pair. Only differences of scores mean something, so raw scores are logged, not probabilities.
    """

    pairs: ClassVar[bool] = True

    def discriminator(self, turn: Turn) -> Tensor:
        """D's loss on pairs, a scalar."""
        assert turn.real_scores is not None and turn.fake_scores is not None
        return softplus(turn.fake_scores - turn.real_scores).mean(0)

    def generator(self, turn: Turn) -> Tensor:
        """G's loss on pairs, a scalar."""
        assert turn.real_scores is not None and turn.fake_scores is not None
        return softplus(turn.real_scores - turn.fake_scores).mean(0)
